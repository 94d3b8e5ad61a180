"""The server's side of the recording process: sends bodies, hands back outcomes, starts it again when it dies."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from multiprocessing.connection import Connection

import structlog

from governance.errors import GovernanceError, Misconfigured, Overloaded
from governance.intake import Body, Taken, wire

log = structlog.get_logger("governance.intake")

WAITING_BYTES = 64 * 2**20
_PAUSES = (0.2, 1.0, 2.0, 5.0, 15.0)
_START_SECONDS = 60
_STOP_SECONDS = 15


class RemoteIntake:
    """Thread-safe. `take` never blocks: a thread sends, another receives."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[Future[Taken], int]] = {}
        self._number = 0
        self._bytes = 0
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._up = threading.Event()
        self._begun = threading.Event()  # up, or ended before it ever was
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="intake", daemon=True)

    def start(self) -> None:
        """Starts the process and waits until it takes bodies. Raises `Misconfigured` if it does not come up."""
        self._keeper.start()
        self._begun.wait(_START_SECONDS)
        if not self._up.is_set():
            self.close()
            raise Misconfigured("The recording process did not start; the log says why.")

    @property
    def up(self) -> bool:
        return self._up.is_set()

    def take(self, body: Body) -> Future[Taken]:
        """Fails with `Overloaded` when the process is down, or too much is waiting for it."""
        done: Future[Taken] = Future()
        done.set_running_or_notify_cancel()
        size = len(body.content)
        with self._lock:
            if self._stopping.is_set() or not self._up.is_set():
                done.set_exception(Overloaded("The recording process is starting.", advice="Send again."))
                return done
            if self._pending and self._bytes + size > WAITING_BYTES:
                done.set_exception(Overloaded("Too much is waiting to be written.", advice="Send again later."))
                return done
            self._number += 1
            number = self._number
            self._pending[number] = (done, size)
            self._bytes += size
            self._outbox.put(wire.request(number, body))
        return done

    def close(self) -> None:
        """Waits for the outcome of what was sent, then ends the process."""
        deadline = time.monotonic() + _STOP_SECONDS
        self._stopping.set()
        while self._pending and self._up.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            self._outbox.put(None)
        if self._keeper.is_alive():
            self._keeper.join(_STOP_SECONDS)

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - began > 60 else failures + 1
            pause = _PAUSES[min(failures, len(_PAUSES)) - 1] if failures else _PAUSES[0]
            log.error("the recording process ended", code=code, again_in_seconds=pause)
            self._stopping.wait(pause)

    def _run_once(self) -> int:
        """Runs one process to its end; what it had not answered fails, and the senders send again."""
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "governance.cli.recorder", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        connection = Connection(ours.detach())
        sender = threading.Thread(target=self._send, args=(connection, self._outbox), name="intake-sender", daemon=True)
        try:
            if connection.recv_bytes() == b"ready":
                sender.start()
                self._up.set()
                self._begun.set()
                while True:
                    self._settle(*wire.read_answer(connection.recv_bytes()))
        except (EOFError, OSError):
            pass
        self._fail_all()
        if sender.is_alive():
            sender.join()
        connection.close()
        self._begun.set()
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _send(self, connection: Connection, outbox: queue.SimpleQueue[bytes | None]) -> None:
        while (message := outbox.get()) is not None:
            try:
                connection.send_bytes(message)
            except OSError:
                return  # the receiving loop sees the end too, and says so to all who wait
        if self._stopping.is_set():
            with socket.socket(fileno=connection.fileno()) as end:
                end.shutdown(socket.SHUT_WR)
                end.detach()

    def _settle(self, number: int, outcome: Taken | GovernanceError) -> None:
        with self._lock:
            done, size = self._pending.pop(number)
            self._bytes -= size
        if isinstance(outcome, Taken):
            done.set_result(outcome)
        else:
            done.set_exception(outcome)

    def _fail_all(self) -> None:
        with self._lock:
            self._up.clear()
            waiting, self._pending, self._bytes = self._pending, {}, 0
            self._outbox.put(None)
            self._outbox = queue.SimpleQueue()
        for done, _ in waiting.values():
            done.set_exception(
                Overloaded("The recording process ended; the body may not be recorded.", advice="Send again.")
            )
