"""What the recording process does: decodes in one thread, and writes in another what is waiting, in one go."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from functools import partial
from multiprocessing.connection import Connection

from governance.intake import LocalIntake, Taken, wire


def serve(connection: Connection, intake: LocalIntake) -> None:
    """Answers each body when it is committed, in no particular order, until the connection closes."""
    lock = threading.Lock()

    def reply(number: int, done: Future[Taken]) -> None:
        answer = wire.answer(number, done.exception() or done.result())
        # Where the server is gone, what it sent is committed all the same.
        with lock, contextlib.suppress(OSError):
            connection.send_bytes(answer)

    while True:
        try:
            number, body = wire.read_request(connection.recv_bytes())
        except (EOFError, OSError):
            return
        taken = intake.take(body)
        del body  # before the next one comes in
        taken.add_done_callback(partial(reply, number))
