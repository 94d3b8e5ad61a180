"""A receiver of webhooks on loopback that answers as it is told, and what a stranger's library says of what it got."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import standardwebhooks

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
Answer = Callable[[socket.socket], None]


def answers(status: str, *headers: str) -> Answer:
    """An answer with a body of a megabyte, which nobody needs to read."""

    def answer(connection: socket.socket) -> None:
        head = "\r\n".join((f"HTTP/1.1 {status}", "Content-Length: 1000000", "Connection: close", *headers, "", ""))
        connection.sendall(head.encode())
        with suppress(OSError):
            connection.sendall(b"x" * 1_000_000)

    return answer


def breaks_off(connection: socket.socket) -> None:
    connection.close()


class Receiver:
    """Takes one request a connection; keeps headers and bodies. `answer` may be changed between requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/hook?token=t"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def hangs(self, connection: socket.socket) -> None:
        """Reads all and says nothing."""
        self.ended.wait(60)

    def drips(self, connection: socket.socket) -> None:
        """Sends a header a byte at a time, and never comes to its end."""
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.ended.wait(0.02):
                connection.sendall(b"a")

    def verified(self) -> list[dict[str, object]]:
        """What arrived, as the Standard Webhooks' own library reads it; it raises where a signature is wrong."""
        found = []
        for headers, body in self.got:
            payload = standardwebhooks.Webhook(SECRET).verify(body, headers)
            assert isinstance(payload, dict)
            found.append(payload)
        return found

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            stream = connection.makefile("rb")
            stream.readline()
            headers: dict[str, str] = {}
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            self.got.append((headers, stream.read(int(headers.get("content-length", "0")))))
            self.answer(connection)
