"""A real `governance serve` under test: started, killed and started again on one data directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


class Serving:
    """One installation. `folder` holds its data and its log `serve.log`; no setting of the surroundings leaks in."""

    def __init__(self, folder: Path, *, database_url: str = "", **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")}
        self.environment = kept | {"GOVERNANCE_DATA_DIR": str(folder)} | settings
        if database_url:
            self.environment["GOVERNANCE_DATABASE_URL"] = database_url
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A `governance` command on the same data."""
        return subprocess.run(
            [sys.executable, "-m", "governance", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
            cwd=self.folder,
        )

    def key(self, scope: str = "ingest,check,report,read", *more: str) -> str:
        created = self.run("key", "create", "--scope", scope, "--json", *more)
        return str(json.loads(created.stdout)["key"])

    def start(self, *arguments: str, ready: str = "/readyz") -> None:
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "governance", "serve", "--port", str(self.port), *arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.status(ready) == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the server did not start:\n" + (self.folder / "serve.log").read_text()[-3000:])

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def family(self) -> list[psutil.Process]:
        """The server and the processes it started."""
        assert self.process is not None
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> list[psutil.Process]:
        """kill -9 of the server alone; gives what it had started, which must then end by itself."""
        assert self.process is not None
        family = self.family()
        self.process.kill()
        self.process.wait()
        return family[1:]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def traces(numbers: Iterable[int], text: str = "Where is my parcel {}?", at: int | None = None) -> bytes:
    """An OTLP body of chat spans; the ids follow from the numbers. `at` is their start in nanoseconds, else now."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="support-bot")))
    scope = resource.scope_spans.add()
    now = time.time_ns() if at is None else at
    for number in numbers:
        span = scope.spans.add(
            trace_id=(number // 4 + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name="chat m",
            kind=3,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
        )
        message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": text.format(number)}]}])
        for key, value in {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.conversation.id": f"c{number // 8}",
            "gen_ai.input.messages": message,
        }.items():
            span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return bytes(request.SerializeToString())
