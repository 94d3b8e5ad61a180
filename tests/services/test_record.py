"""The recorder: what comes together is committed together, and one bad batch does not fail its neighbours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from governance.errors import BadInput, Misconfigured, Overloaded
from governance.ingest.batch import Batch
from governance.services.calls.record import BatchReceipt, Recordable, Recorder


@dataclass
class Done:
    new: int = 0
    repeated: int = 0
    conflicts: int = 0
    call_ids: Sequence[int] = ()


@dataclass
class Writer:
    """Notes the groups that it is given; refuses those that hold `bad`."""

    bad: Recordable | None = None
    groups: list[int] = field(default_factory=list)

    def write(self, batches: Sequence[Recordable]) -> Sequence[BatchReceipt]:
        if any(batch is self.bad for batch in batches):
            raise ValueError("does not fit")
        self.groups.append(len(batches))
        return [Done() for _ in batches]


def held(recorder: Recorder) -> Callable[[], None]:
    """Keeps the recorder busy with decoding a first batch; gives what lets it go on."""
    busy, go = threading.Event(), threading.Event()

    def load() -> Batch:
        busy.set()
        assert go.wait(10)
        return Batch()

    recorder.submit(load, weight=1)
    assert busy.wait(10)
    return go.set


def test_what_comes_while_a_group_is_decoded_is_the_next_group() -> None:
    writer = Writer()
    recorder = Recorder(writer)
    go_on = held(recorder)
    waiting = [recorder.submit(Batch, weight=1) for _ in range(3)]
    go_on()
    for done in waiting:
        done.result(10)
    recorder.close()
    assert writer.groups == [1, 3]


def test_a_batch_that_cannot_be_written_or_read_fails_alone() -> None:
    writer = Writer(bad=Batch())
    recorder = Recorder(writer)
    go_on = held(recorder)

    def unreadable() -> Batch:
        raise BadInput("No batch.")

    good = [recorder.submit(Batch, weight=1) for _ in range(2)]
    bad = recorder.submit(lambda: writer.bad or Batch(), weight=1)
    broken = recorder.submit(unreadable, weight=1)
    go_on()
    for done in good:
        done.result(10)
    with pytest.raises(Overloaded, match="nothing was recorded"):
        bad.result(10)
    with pytest.raises(BadInput, match="No batch"):
        broken.result(10)
    recorder.close()
    assert writer.groups == [1, 1, 1]


def test_what_waits_is_written_before_it_closes_and_nothing_is_taken_after() -> None:
    writer = Writer()
    recorder = Recorder(writer)
    go_on = held(recorder)
    waiting = recorder.submit(Batch, weight=1)
    threading.Timer(0.05, go_on).start()
    recorder.close()
    assert waiting.done()
    with pytest.raises(Overloaded, match="stopping"):
        recorder.submit(Batch, weight=1)


def test_a_damaged_database_makes_senders_keep_what_they_have() -> None:
    class Damaged:
        def write(self, batches: Sequence[Recordable]) -> Sequence[BatchReceipt]:
            raise Misconfigured("The database file is damaged.")

    recorder = Recorder(Damaged())
    with pytest.raises(Overloaded):
        recorder.submit(Batch, weight=1).result(10)
    recorder.close()
