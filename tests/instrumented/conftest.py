"""The three parties of the story: an instrumented application, a model behind an OpenAI-compatible server, and us."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.serving import Serving

ANSWER = "Your parcel arrives on Thursday. Write to parcels@example.com if it does not."


@pytest.fixture(scope="session")
def instrumented_python() -> Path:
    """The interpreter of the instrumentors' environment."""
    return environments.INSTRUMENTED.python("the instrumentors")


class _Model(BaseHTTPRequestHandler):
    """One answer to every chat, in OpenAI's format."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_790_000_000,
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
                "usage": {"prompt_tokens": 27, "completion_tokens": 19, "total_tokens": 46},
            }
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The base URL of an OpenAI-compatible server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Served:
    """A running `governance serve`; `get` asks its API with a key of all scopes."""

    url: str
    key: str

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    serving = Serving(tmp_path_factory.mktemp("served"), GOVERNANCE_POLICIES=str(environments.ROOT / "policies"))
    key = serving.key("ingest,read")
    try:
        serving.start()
        yield Served(url=serving.url, key=key)
    finally:
        serving.stop()


def _wait(condition: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(why())
        time.sleep(0.1)


@pytest.fixture(scope="session")
def ask(instrumented_python: Path, model_url: str, served: Served) -> Callable[[str, str], dict[str, Any]]:
    """`ask(convention, question)`: lets the application ask, gives its model call from our API once checked."""
    settings = {
        "openai-v2-events": {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"},
        "openai-v2-span": {
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        },
        "openai-v2-silent": {},
        "openinference": {},
    }

    def run(convention: str, question: str) -> dict[str, Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "OTEL_SERVICE_NAME": "parcel-bot",
            "OTEL_EXPORTER_OTLP_ENDPOINT": served.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{served.key}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "NO_PROXY": "127.0.0.1",
            **settings[convention],
        }
        script = str(Path(__file__).with_name("application.py"))
        done = subprocess.run(
            [str(instrumented_python), script, convention, model_url, question],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        trace_id = done.stdout.strip()
        found: list[dict[str, Any]] = []

        def checked() -> bool:
            calls = served.get(f"/v1/calls?trace_id={trace_id}")["items"]
            whole = [served.get(f"/v1/calls/{call['id']}") for call in calls]
            found[:] = [call for call in whole if call["kind"] == "llm" and call["status"] != "recorded"]
            return bool(found)

        _wait(checked, 30, lambda: f"no checked model call in trace {trace_id}; the application said: {done.stderr}")
        return found[0]

    return run
