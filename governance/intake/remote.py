"""The server's side of the two processes that decode and record: sends bodies, hands back outcomes, and starts both
again when one dies."""

from __future__ import annotations

import fcntl
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import structlog

from governance.errors import GovernanceError, Misconfigured, Overloaded
from governance.intake import Body, Outcome, Taken, outcome, weight, wire
from governance.intake.process import READY
from governance.processes.child import DEVNULL, Child
from governance.processes.restart import Pauses, keep

log = structlog.get_logger("governance.intake")

WAITING_BYTES = 64 * 2**20
_PIPE_BYTES = 2**20
_PAUSES = (0.2, 1.0, 2.0, 5.0, 15.0)
_START_SECONDS = 60
# A body is decoded in a second or so, and a database that does not answer is said within five.
SILENT_SECONDS = 60
_STOP_SECONDS = 15


class RemoteIntake:
    """Thread-safe. `take` never blocks: a thread sends, another receives."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = dict(os.environ) if environment is None else environment
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[Future[Taken], int]] = {}
        self._number = 0
        self._bytes = 0
        self._outbox: queue.SimpleQueue[tuple[bytes, bytes] | None] = queue.SimpleQueue()
        self._up = threading.Event()
        self._begun = threading.Event()  # up, or ended before it ever was
        self._stopping = threading.Event()
        self.latest: Outcome | None = None
        self._keeper = threading.Thread(target=self._keep, name="intake", daemon=True)

    def start(self) -> None:
        """Starts the processes and waits until they take bodies. Raises `Misconfigured` if they do not come up."""
        self._keeper.start()
        self._begun.wait(_START_SECONDS)
        if not self._up.is_set():
            self.close()
            raise Misconfigured("The recording process did not start; the log says why.")

    @property
    def up(self) -> bool:
        return self._up.is_set()

    def take(self, body: Body) -> Future[Taken]:
        """Fails with `Overloaded` when the processes are down, or too much is waiting for them."""
        done: Future[Taken] = Future()
        done.set_running_or_notify_cancel()
        size = weight(body)
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
        """Waits for the outcome of what was sent, then ends the processes."""
        deadline = time.monotonic() + _STOP_SECONDS
        self._stopping.set()
        while self._pending and self._up.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            self._outbox.put(None)
        if self._keeper.is_alive():
            self._keeper.join(_STOP_SECONDS)

    def _keep(self) -> None:
        def ended(reason: str, pause: float) -> None:
            log.error("the recording process ended", reason=reason, again_in_seconds=pause)

        keep(self._run_once, self._stopping, Pauses(seconds=_PAUSES), ended)

    def _run_once(self) -> str:
        """Runs both processes to their end; what they had not answered fails, and the senders send again."""
        body_end, bodies = _pipe()
        batch_end, batches = _pipe()
        answers, answer_end = _pipe()
        # The one that reads what others wrote is told no secrets.
        untold = {name: value for name, value in self._environment.items() if not name.startswith("GOVERNANCE_")}
        decoder = _started("decoder", untold, body_end, batches)
        recorder = _started("recorder", self._environment, batch_end, answer_end)
        sender = threading.Thread(target=self._send, args=(bodies, self._outbox), name="intake-sender", daemon=True)
        try:
            if not answers.poll(_START_SECONDS):
                raise TimeoutError(f"not ready within {_START_SECONDS} seconds")
            if answers.recv_bytes(wire.ANSWER_BYTES) == READY:
                sender.start()
                self._up.set()
                self._begun.set()
                while True:
                    self._settle(*wire.read_answer(self._next(answers)))
        except (EOFError, OSError):
            pass
        except (wire.Malformed, TimeoutError) as error:
            log.error("intake.ended", reason=str(error))
        decoder.kill()  # it is over when the other is, unless that one died
        self._fail_all()
        if sender.is_alive():
            sender.join()
        bodies.close()
        answers.close()
        self._begun.set()
        recorder.end(_STOP_SECONDS)
        return recorder.reason()

    def _send(self, bodies: Connection, outbox: queue.SimpleQueue[tuple[bytes, bytes] | None]) -> None:
        # Where the processes are gone, the receiving loop sees it too, and says so to all who wait.
        with suppress(OSError):
            while (request := outbox.get()) is not None:
                for message in request:
                    bodies.send_bytes(message)
                del request, message  # before the next one comes
        bodies.close()

    def _next(self, answers: Connection) -> bytes:
        """The next answer. Raises `TimeoutError` when a body waits, and nothing at all is answered for too long."""
        while True:
            with self._lock:
                oldest = next(iter(self._pending), None)
            if answers.poll(SILENT_SECONDS):
                return answers.recv_bytes(wire.ANSWER_BYTES)
            if oldest is not None and oldest in self._pending:
                raise TimeoutError(f"no answer within {SILENT_SECONDS} seconds")

    def _settle(self, number: int, found: Taken | GovernanceError) -> None:
        error = None if isinstance(found, Taken) else found
        self.latest = outcome(error) or self.latest
        with self._lock:
            if number not in self._pending:
                raise wire.Malformed("an answer to nothing")
            done, size = self._pending.pop(number)
            self._bytes -= size
            # The database takes nothing now. What waits behind has waited as long, and is answered the same; should it
            # be committed after all, a resend changes nothing.
            waiting = [one for one, _ in self._pending.values()] if isinstance(error, Overloaded) else []
        _answer(done, found)
        for one in waiting:
            _answer(one, found)

    def _fail_all(self) -> None:
        with self._lock:
            self._up.clear()
            waiting, self._pending, self._bytes = self._pending, {}, 0
            self._outbox.put(None)
            self._outbox = queue.SimpleQueue()
        for done, _ in waiting.values():
            _answer(
                done, Overloaded("The recording process ended; the body may not be recorded.", advice="Send again.")
            )


def _answer(done: Future[Taken], found: Taken | GovernanceError) -> None:
    if done.done():
        return
    if isinstance(found, Taken):
        done.set_result(found)
    else:
        done.set_exception(found)


def _started(name: str, environment: dict[str, str], *ends: Connection) -> Child:
    """A process that has these ends to itself."""
    numbers = [end.fileno() for end in ends]
    child = Child(
        [sys.executable, "-m", f"governance.cli.{name}", *map(str, numbers)],
        environment=environment,
        passed=numbers,
        stdin=DEVNULL,
    )
    for end in ends:
        end.close()
    return child


def _pipe() -> tuple[Connection, Connection]:
    """The reading and the writing end; with room for a whole batch, where the system lets us."""
    reading, writing = Pipe(duplex=False)
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(writing.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return reading, writing
