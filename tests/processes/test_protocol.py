"""What a server does with connections that say nothing, or not all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from governance.cli import protocol

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body before it answers, but for /hasty."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    assert scope["type"] == "http"
    more = scope["path"] != "/hasty"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 1.5)
    config = uvicorn.Config(
        app, http=protocol.Protocol, ws="websockets-sansio", lifespan="off", log_config=None, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with socket.create_connection(listening.getsockname(), timeout=20) as made:
        yield made
    server.should_exit = True
    thread.join(20)
    listening.close()


def answered(connection: socket.socket) -> bool:
    got = b""
    while not got.endswith(b"ok"):
        piece = connection.recv(65_536)
        assert piece, "closed before it answered"
        got += piece
    return got.startswith(b"HTTP/1.1 200")


def rest(connection: socket.socket) -> bytes:
    """All until the server closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            got += piece
    return got


@pytest.mark.parametrize("said", [b"", b"GET / HT", ASKED])
def test_who_does_not_finish_a_head_is_let_go(connection: socket.socket, said: bytes) -> None:
    connection.sendall(said)
    assert rest(connection) == b""


def test_also_after_a_request_that_was_answered(connection: socket.socket) -> None:
    connection.sendall(ASKED + b"\r\n")
    assert answered(connection)
    connection.sendall(b"GET / HT")
    assert b"HTTP/1.1" not in rest(connection)


def test_a_body_may_take_its_time_and_a_connection_may_rest(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        time.sleep(0.6)
        connection.sendall(b"ab")
        assert answered(connection)
        time.sleep(0.6)


@pytest.mark.parametrize("path", [b"/", b"/hasty"])
def test_who_does_not_finish_a_body_is_let_go(connection: socket.socket, path: bytes) -> None:
    connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    got = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while True:  # a byte at a time, for as long as it is taken
            connection.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                connection.settimeout(0.1)
                piece = connection.recv(65_536)
                if not piece:
                    break
                got += piece
    assert got.endswith(b"ok") == (path == b"/hasty")


def test_requests_that_come_together_are_all_answered(connection: socket.socket) -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    connection.sendall(post + b"ab" + ASKED + b"\r\n" + post + b"a")
    got = b""
    while got.count(b"ok") < 2:
        got += connection.recv(65_536)
    time.sleep(0.6)  # longer than a head may take
    connection.sendall(b"b")
    assert answered(connection)


def test_a_web_socket_stays_open(connection: socket.socket) -> None:
    connection.sendall(
        ASKED + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert connection.recv(65_536).startswith(b"HTTP/1.1 101")
    connection.settimeout(2.0)
    with pytest.raises(TimeoutError):
        connection.recv(1)
