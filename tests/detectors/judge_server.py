"""An OpenAI-compatible service on this machine that answers, or misbehaves, as a test tells it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = Mapping[str, str]


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: Headers
    body: dict[str, Any]

    @property
    def system(self) -> str:
        return str(self.body["messages"][0]["content"])

    @property
    def material(self) -> str:
        return str(self.body["messages"][1]["content"])


@dataclass
class Reply:
    """`body` as bytes, or what writes to the socket itself."""

    body: bytes | Callable[[socket.socket], None] = b""
    status: int = 200
    headers: Headers = field(default_factory=dict)


def completion(content: object, *, tokens: int = 100, **choice: object) -> Reply:
    """What a model said, as chat completions carry it."""
    message = {"role": "assistant", "content": content}
    document = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": tokens - 10, "completion_tokens": 10, "total_tokens": tokens},
    }
    return Reply(json.dumps(document).encode())


def scored(score: float, reason: str = "none") -> Reply:
    return completion(json.dumps({"why": "Because.", "reason": reason, "score": score}))


class JudgeServer(ThreadingHTTPServer):
    """`answer` makes the reply to a question, `models` that to a look whether it is there."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer: Callable[[Asked], Reply] = lambda _: scored(0.0)
        self.models: Callable[[], Reply] = lambda: Reply(b'{"data": []}')
        self.asked: list[Asked] = []
        self.looked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.looked += 1
        self._reply(self.server.models())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = Asked(path=self.path, headers=dict(self.headers), body=body)
        self.server.asked.append(asked)
        self._reply(self.server.answer(asked))

    def _reply(self, reply: Reply) -> None:
        if callable(reply.body):
            reply.body(self.connection)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(port: int = 0) -> Iterator[JudgeServer]:
    server = JudgeServer(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
