"""Takes OTLP bodies in: decodes and records them. In this process, or in two of their own (`remote`).

A server uses processes of their own, one that decodes and one that records: both keep an interpreter busy, and neither
the console's pages nor the other requests should wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from governance.domain.calls import ContentEvent
from governance.errors import BadInput, GovernanceError, Overloaded
from governance.ingest import otlp
from governance.services.calls.record import BatchReceipt, Recorder
from governance.store.calls.prepared import PreparedCall, prepare

log = structlog.get_logger("governance.intake")

Signal = Literal["traces", "logs"]
_DECODE = {"traces": otlp.decode_traces, "logs": otlp.decode_logs}


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """A request's body as it came. `system` is "" unless the key decides the system; `limit` bytes when unpacked."""

    signal: Signal
    content: bytes
    content_type: str
    coding: str = ""
    system: str = ""
    limit: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of a body that is now committed. `items` are the spans and log events taken, `rejected` the others;
    `problems` says why."""

    items: int = 0
    rejected: int = 0
    problems: tuple[str, ...] = ()
    new: int = 0
    repeated: int = 0
    conflicts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of the latest attempt to record something: `trouble` is "" where it was committed, else why not.

    `at` is monotonic seconds; for `holds` seconds from then senders were asked to stay away.
    """

    at: float
    trouble: str = ""
    holds: float = 0.0


def outcome(error: BaseException | None) -> Outcome | None:
    """None for what says nothing of the database: a body that was refused."""
    if error is None:
        return Outcome(at=time.monotonic())
    if isinstance(error, Overloaded):
        return Outcome(at=time.monotonic(), trouble=error.message, holds=error.retry_after)
    return None


class Intake(Protocol):
    @property
    def up(self) -> bool:
        """Whether bodies are taken now."""
        ...

    @property
    def latest(self) -> Outcome | None:
        """What became of the latest body; None before the first."""
        ...

    def take(self, body: Body) -> Future[Taken]:
        """Done when the body is committed; fails with `BadInput`, `TooLarge` or `Overloaded`. Does not block."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """What a body holds, ready to be recorded; `rejected` and `problems` as in `ingest.batch.Batch`."""

    calls: Sequence[PreparedCall] = ()
    content_events: Sequence[ContentEvent] = ()
    rejected: int = 0
    problems: tuple[str, ...] = ()


class LocalIntake:
    """Hands over to this process's recorder, whose thread decodes and writes."""

    up = True

    def __init__(self, recorder: Callable[[], Recorder]) -> None:
        self._recorder = recorder
        self.latest: Outcome | None = None

    def take(self, body: Body) -> Future[Taken]:
        try:
            taken = record(self._recorder(), lambda: decode(body), weight(body))
            taken.add_done_callback(self._note)
            return taken
        except GovernanceError as error:
            done: Future[Taken] = Future()
            done.set_exception(error)
            return done

    def _note(self, done: Future[Taken]) -> None:
        self.latest = outcome(done.exception()) or self.latest


def record(recorder: Recorder, load: Callable[[], Decoded], size: int) -> Future[Taken]:
    """Has the recorder load and write a batch of about `size` bytes. Raises `Overloaded` when too much is waiting."""
    done: Future[Taken] = Future()
    done.set_running_or_notify_cancel()
    loaded: list[Decoded] = []

    def remembered() -> Decoded:
        loaded.append(load())
        return loaded[0]

    def pass_on(receipt: Future[BatchReceipt]) -> None:
        error = receipt.exception()
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(_taken(loaded[0], receipt.result()))

    recorder.submit(remembered, weight=size).add_done_callback(pass_on)
    return done


def decode(body: Body) -> Decoded:
    """Raises `BadInput` or `TooLarge`; also for what no decoder foresaw, or the sender would send it for ever."""
    try:
        batch = _DECODE[body.signal](body.content, body.content_type, body.coding, limit=body.limit, system=body.system)
        return Decoded(
            calls=[prepare(call) for call in batch.calls],
            content_events=batch.content_events,
            rejected=batch.rejected,
            problems=batch.problems,
        )
    except GovernanceError:
        raise
    except Exception as error:
        log.exception("intake.not_decoded", signal=body.signal, error=type(error).__name__, exc_info=False)
        raise BadInput("The body cannot be read.", advice="Check the exporter that sent it.") from None


def _taken(batch: Decoded, receipt: BatchReceipt) -> Taken:
    return Taken(
        items=len(batch.calls) + len(batch.content_events),
        rejected=batch.rejected,
        problems=batch.problems,
        new=receipt.new,
        repeated=receipt.repeated,
        conflicts=receipt.conflicts,
    )


def weight(body: Body) -> int:
    """About how many bytes the decoded batch holds: gzip states its length in its last four (RFC 1952 §2.3.1)."""
    if body.coding != "gzip":
        return len(body.content)
    return min(body.limit, max(len(body.content), int.from_bytes(body.content[-4:], "little")))
