"""What the two processes behind a server's receiver do. Bodies go round: from the server to the one that decodes, from
there to the one that records, and their outcomes back to the server. Each ends when what it reads from closes.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import Future, wait
from functools import partial
from multiprocessing.connection import Connection

import structlog

from governance.errors import GovernanceError
from governance.intake import Taken, decode, record, wire
from governance.services.calls.record import Recorder

log = structlog.get_logger("governance.intake")

READY = b"ready"
# What may wait in the recording process; more waits, undecoded, before it.
AHEAD_BYTES = 16 * 2**20


def decode_all(bodies: Connection, batches: Connection) -> None:
    """Sends on what each body holds, or why it cannot be read, one after the other."""
    with contextlib.suppress(EOFError, OSError):
        batches.send_bytes(READY)
        while True:
            number, body = wire.read_request(bodies.recv_bytes(), bodies.recv_bytes())
            try:
                message = wire.batch(number, decode(body), limit=body.limit)
            except Exception as error:  # whatever it was, the next body may be better
                message = wire.refusal(number, error)
            del body  # before the next one comes in
            batches.send_bytes(message)
            del message


def record_all(batches: Connection, answers: Connection, recorder: Recorder, *, limit: int) -> None:
    """Answers each body, of at most `limit` bytes, when it is committed, in no particular order.

    Ends at the first message that cannot be read: a decoder that sends such a thing is not to be listened to again, and
    the server starts both processes anew.
    """
    longest = wire.batch_bytes(limit)
    lock = threading.Lock()

    def reply(answer: bytes) -> None:
        # Where the server is gone, what it sent is committed all the same.
        with lock, contextlib.suppress(OSError):
            answers.send_bytes(answer)

    def end(error: Exception) -> None:
        log.error("intake.malformed", reason=str(error))
        with lock:
            answers.close()  # the server sees it, and ends the decoder

    def settle(number: int, done: Future[Taken]) -> None:
        error = done.exception()
        if isinstance(error, wire.Malformed):
            end(error)
        else:
            reply(wire.answer(number, error or done.result()))

    waiting: deque[tuple[Future[Taken], int]] = deque()
    held = 0
    with contextlib.suppress(EOFError):
        if batches.recv_bytes(len(READY)) != READY:
            return
        reply(READY)
        while True:
            try:
                message = batches.recv_bytes(longest)
                number, refusal = wire.read_head(message)
            except (OSError, wire.Malformed) as error:  # an OSError is a message that is too long
                end(error)
                return
            if refusal:
                reply(wire.answer(number, refusal))
                continue
            size = len(message)
            try:
                taken = record(recorder, partial(wire.read_batch, message), size)
            except GovernanceError as error:
                reply(wire.answer(number, error))
                continue
            del message
            taken.add_done_callback(partial(settle, number))
            waiting.append((taken, size))
            held += size
            while waiting and (held > AHEAD_BYTES or waiting[0][0].done()):
                taken, size = waiting.popleft()
                wait([taken])
                held -= size
