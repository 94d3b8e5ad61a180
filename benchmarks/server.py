"""A real `governance serve` on a fresh data directory, and what it and its worker take of memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_SECONDS = 60
_RECORDING = {"governance.cli.decoder", "governance.cli.recorder"}


@dataclass(kw_only=True)
class Server:
    """`peaks` maps a part ("server", "recorder", "worker") to its largest resident size in bytes since `reset`; the
    recorder's is that of the two processes that decode and record, together."""

    url: str
    key: str
    folder: Path
    process: subprocess.Popen[bytes]
    peaks: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / "governance.db"

    def reset(self) -> None:
        self.peaks.clear()

    def sample(self) -> None:
        """Notes the resident size of the server and of its children."""
        try:
            parent = psutil.Process(self.process.pid)
            family = [("server", parent), *((_part(child), child) for child in parent.children(recursive=True))]
        except psutil.NoSuchProcess:
            return
        sizes: dict[str, int] = {}
        for part, process in family:
            try:
                sizes[part] = sizes.get(part, 0) + process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        for part, size in sizes.items():
            self.peaks[part] = max(size, self.peaks.get(part, 0))


def _part(process: psutil.Process) -> str:
    return "recorder" if _RECORDING & set(process.cmdline()) else "worker"


@contextmanager
def running(*, checking: bool = True) -> Iterator[Server]:
    """Serves on a free port until the block ends. `checking` False leaves the worker out."""
    with tempfile.TemporaryDirectory(prefix="governance-bench-") as name:
        folder = Path(name)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GOVERNANCE_")}
        environment |= {"GOVERNANCE_DATA_DIR": str(folder)}
        governance = [sys.executable, "-m", "governance"]
        created = subprocess.run(
            [*governance, "key", "create", "--scope", "ingest,check,report,read", "--json"],
            env=environment,
            capture_output=True,
            check=True,
        )
        key = json.loads(created.stdout)["key"]
        port = _free_port()
        command = [*governance, "serve", "--port", str(port), *([] if checking else ["--no-worker"])]
        with (folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        server = Server(url=f"http://127.0.0.1:{port}", key=key, folder=folder, process=process)
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(server, done), daemon=True)
        try:
            # Without a worker the server is alive, and says that it is not ready: nothing would be checked.
            _wait_for(server, "/readyz" if checking else "/healthz")
            watcher.start()
            yield server
        finally:
            done.set()
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _watch(server: Server, done: threading.Event) -> None:
    while not done.wait(0.02):
        server.sample()


def _wait_for(server: Server, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(server.url + path, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(
        "the server did not start:\n" + (server.folder / "serve.log").read_text(errors="replace")[-2000:]
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
