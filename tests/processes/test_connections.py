"""Connections to a real `governance serve`: no delay on those that are kept, and an end for those that say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from governance.cli.serve import listen
from tests.serving import Serving

# The same command with shorter limits: to wait half a minute would show nothing more.
SHORT = """
import sys
from governance.cli import main, protocol
protocol.HEAD_SECONDS, protocol.BODY_SECONDS = 1.0, 2.0
sys.argv[0] = "governance"
main()
"""
PIDFD_GETFD = 438  # the same on every architecture of Linux


class Short(Serving):
    def start(self, *arguments: str, ready: str = "/healthz") -> None:
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SHORT, "serve", "--no-worker", "--port", str(self.port)],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while self.status(ready) != 200:
            assert self.process.poll() is None, (self.folder / "serve.log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    serving = Short(tmp_path_factory.mktemp("serving"))
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def connection(serving: Serving) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=30) as made:
        yield made


def head(method: str, path: str, **more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in more.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def closed(connection: socket.socket) -> bytes:
    """What is sent until the server closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            got += piece
    return got


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_listened_on_gives_connections_without_delay(host: str) -> None:
    found: list[int] = []

    async def accept() -> None:
        ready = asyncio.Event()

        def made(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            ready.set()

        async with await asyncio.start_server(made, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            await ready.wait()
            writer.close()
            await writer.wait_closed()

    try:
        listening = listen(host, 0)
    except Exception as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with listening:
        asyncio.run(accept())
    assert found
    assert all(found)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="another process's sockets are seen on Linux only")
def test_the_server_does_not_delay_what_it_answers_on_a_kept_connection(
    serving: Serving, connection: socket.socket
) -> None:
    connection.sendall(head("GET", "/healthz"))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert serving.process is not None
    (number,) = [
        one.fd
        for one in psutil.Process(serving.process.pid).net_connections("tcp")
        if one.raddr and one.raddr.port == connection.getsockname()[1]
    ]
    process = os.pidfd_open(serving.process.pid)
    copied = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
    os.close(process)
    if copied < 0:
        pytest.skip(f"another process's sockets cannot be seen here: {os.strerror(ctypes.get_errno())}")
    with socket.socket(fileno=copied) as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"])
def test_a_head_that_does_not_end_is_not_waited_for(connection: socket.socket, said: bytes) -> None:
    connection.sendall(said)
    assert closed(connection) == b""


def test_a_head_that_comes_in_single_bytes_neither(connection: socket.socket) -> None:
    connection.settimeout(0.1)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    sent = 0
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while sent < 600:
            connection.sendall(b"a")
            sent += 1
            with contextlib.suppress(TimeoutError):
                if connection.recv(1) == b"":
                    break
    assert sent < 600


@pytest.mark.parametrize("path", ["/signin", "/v1/check", "/healthz", "/_stcore/upload_file/a/b"])
def test_a_body_that_does_not_end_is_not_waited_for(connection: socket.socket, path: str) -> None:
    connection.sendall(head("POST", path, **{"Content-Length": "100000", "Content-Type": "application/json"}) + b"{")
    closed(connection)


def test_hundreds_that_say_nothing_keep_nobody_out(serving: Serving) -> None:
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", serving.port), timeout=30)) for _ in range(300)
        ]
        for one in silent:
            one.sendall(b"GET /healthz HT")
        assert serving.status("/healthz") == 200
        for one in silent:
            assert closed(one) == b""
        assert serving.status("/healthz") == 200
