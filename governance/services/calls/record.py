"""Takes in model calls. One thread writes for the whole process and commits what came together in one go.

`submit` waits until its batch is committed: only then may a receiver answer 2xx. What waits is bounded in bytes;
beyond that the work is shed (`Overloaded`), because the sender can retry and memory cannot grow.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from governance.domain.calls import ContentEvent
from governance.errors import GovernanceError, Misconfigured, Overloaded

GROUP_CALLS = 2_000
WAITING_BYTES = 64 * 2**20


class Recordable(Protocol):
    """What the decoders give: calls, or what the store has made ready of them (`store.calls.prepared`)."""

    @property
    def calls(self) -> Sequence[Any]: ...

    @property
    def content_events(self) -> Sequence[ContentEvent]: ...


class BatchReceipt(Protocol):
    """What became of one batch; `call_ids` are the new calls' ids, in order."""

    @property
    def new(self) -> int: ...

    @property
    def repeated(self) -> int: ...

    @property
    def conflicts(self) -> int: ...

    @property
    def call_ids(self) -> Sequence[int]: ...


class CallWriter(Protocol):
    """Commits several batches at once, or none of them."""

    def write(self, batches: Sequence[Recordable]) -> Sequence[BatchReceipt]: ...


@dataclass(slots=True)
class _Waiting:
    load: Callable[[], Recordable]
    weight: int
    done: Future[BatchReceipt]


class Recorder:
    """Thread-safe. The writing thread starts with the first batch and ends with `close`.

    It decodes as well: a second busy thread would only take the interpreter from it in turns.
    """

    def __init__(self, writer: CallWriter) -> None:
        self._writer = writer
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, load: Callable[[], Recordable], *, weight: int) -> Future[BatchReceipt]:
        """Queues a batch of about `weight` bytes; the future is done when it is committed, or why it could not be.

        `load` gives the batch, in the writing thread; what it raises is the future's error. Raises `Overloaded` when
        too much is waiting.
        """
        with self._changed:
            if self._closed:
                raise Overloaded("The server is stopping.", retry_after=5)
            if self._waiting and self._bytes + weight > WAITING_BYTES:
                raise Overloaded("Too much is waiting to be written.", advice="Send again later.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()
            item = _Waiting(load, weight, Future())
            item.done.set_running_or_notify_cancel()  # a sender that hangs up does not undo what it sent
            self._waiting.append(item)
            self._bytes += weight
            self._changed.notify_all()
        return item.done

    def record(self, batch: Recordable) -> BatchReceipt:
        """Commits one batch and gives its receipt: for callers that may wait."""
        return self.submit(lambda: batch, weight=0).result()

    def close(self) -> None:
        """Writes what is waiting, then ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        # What comes while a group is decoded is left for the next: if all senders waited for one commit, all would
        # send at once after it, and there would be nothing to do until they have.
        while count := self._wait():
            group: list[tuple[_Waiting, Recordable]] = []
            calls = 0
            while count and calls < GROUP_CALLS:
                item = self._take()
                count -= 1
                try:
                    batch = item.load()
                except Exception as error:
                    self._settle(item, error)
                else:
                    group.append((item, batch))
                    calls += len(batch.calls)
            if group:
                self._write(group)

    def _wait(self) -> int:
        """Until something waits, and how much; 0 when closed and done."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return len(self._waiting)

    def _take(self) -> _Waiting:
        with self._changed:
            return self._waiting.popleft()

    def _write(self, group: list[tuple[_Waiting, Recordable]]) -> None:
        """One bad batch must not fail its neighbours: after a failure each is tried alone.

        Where the store takes nothing at all (it is locked, full or away), that fails what waits as well: their senders
        have waited as long, and to try each of them would keep the last for minutes.
        """
        try:
            receipts = self._writer.write([batch for _, batch in group])
        except Overloaded as error:
            with self._changed:
                behind = list(self._waiting)
                self._waiting.clear()
            for item in [item for item, _ in group] + behind:
                self._settle(item, error)
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    self._write([one])
            else:
                self._settle(group[0][0], _shown(error))
        else:
            for (item, _), receipt in zip(group, receipts, strict=True):
                self._settle(item, receipt)

    def _settle(self, item: _Waiting, outcome: BatchReceipt | Exception) -> None:
        with self._changed:
            self._bytes -= item.weight
        if isinstance(outcome, Exception):
            item.done.set_exception(outcome)
        else:
            item.done.set_result(outcome)


def _shown(error: Exception) -> Exception:
    """Nothing was committed: the sender keeps its data and may retry, whatever the database's own words are."""
    if isinstance(error, GovernanceError) and not isinstance(error, Misconfigured):
        return error
    shed = Overloaded("The database did not take the calls; nothing was recorded.", advice="Send again later.")
    shed.__cause__ = error
    return shed
