"""Counts a backtest in this process, or in worker processes over JSON lines."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from governance.detectors.runner import Runner
from governance.engine.check import Checker
from governance.engine.compare import said_of
from governance.engine.decide import DecisionEngine
from governance.errors import GovernanceError
from governance.policy.policy import PolicySet
from governance.processes.child import PIPE, Child
from governance.services.calls.check import CheckService, Deciding, DecidingSet, LoadedCall
from governance.services.policies.backtest.ports import BacktestOrder, BuildRunner, Record
from governance.services.policies.backtest.replay import Replay, Slice
from governance.services.policies.backtest.tally import Tally


class Broken(GovernanceError):
    """A counting process ended, or could not do its work."""


class InProcess:
    """Counts in this process."""

    def __init__(self, order: BacktestOrder, record: Record, build: BuildRunner) -> None:
        self._order, self._record, self._build = order, record, build
        self._judged = record.judged(order.span)
        self._replay = Replay(
            record,
            order.before,
            order.after,
            judged=self._judged,
            now=order.now,
            system=order.span.system,
            most=order.most,
        )
        self._looks: tuple[_Look, _Look] | None = None

    def count(self, part: Slice) -> Tally:
        return self._replay.count(part)

    def examine(self, calls: Sequence[int]) -> Tally:
        before, after = self._looking()
        tally = Tally()
        keys = self._record.keys_of(calls)
        old, new = before.decided(calls), after.decided(calls)
        for number in calls:
            if number in old and number in new:
                tally.add(number, keys[number], old[number], new[number], self._judged.get(number))
            else:
                tally.stale += 1
        return tally

    def all(self, kind: str, jobs: Iterable[Any], heard: Callable[[Tally], None]) -> None:
        work: Callable[[Any], Tally] = self.count if kind == "count" else self.examine
        for job in jobs:
            heard(work(job))

    def close(self) -> None:
        for look in self._looks or ():
            look.close()

    def _looking(self) -> tuple[_Look, _Look]:
        if self._looks is None:
            before, after = self._order.before.policy_set, self._order.after.policy_set
            self._looks = (self._look(before), self._look(after))
        return self._looks

    def _look(self, policy_set: PolicySet) -> _Look:
        runner = self._build(policy_set.detector_uses(), policy_set.access)
        return _Look(policy_set, runner, self._record, self._order)


class _Look:
    """One set's own detectors and conditions over whole calls. What they know already they do not look at again."""

    def __init__(self, policy_set: PolicySet, runner: Runner, record: Record, order: BacktestOrder) -> None:
        self._runner = runner
        deciding = DecidingSet(
            policy_set_id=0,
            digest=policy_set.digest,
            detectors=runner,
            checker=Checker(runner, DecisionEngine(policy_set, clock=lambda: order.now)),
            scopes=policy_set.scopes,
        )
        self._service = CheckService(
            _Loads(record, policy_set), lambda: Deciding(enforce=deciding), lambda text, _: text, str
        )

    def decided(self, calls: Sequence[int]) -> dict[int, list[Any]]:
        """What the set says of each call; those that cannot be read or checked are not there."""
        return {number: said_of(checked.decision) for number, checked in self._service.anew(calls).items()}

    def close(self) -> None:
        self._runner.close()


class _Loads:
    """The reading half of `services.calls.check.CheckStore`: nothing is ever saved here."""

    def __init__(self, record: Record, policy_set: PolicySet) -> None:
        self._record, self._scopes = record, policy_set.scopes

    def load(self, call_ids: Sequence[int], sets: Deciding, *, decided: bool = False) -> Sequence[LoadedCall]:
        return self._record.load(call_ids, sets, self._scopes)

    def save(self, checked: object, sets: object, *, job: int | None = None) -> Any:
        raise AssertionError("a backtest writes nothing")

    def standing(self, call_ids: object) -> Any:
        raise AssertionError("a backtest asks for no decision")


class Processes:
    """Counts in several processes of `command`, which get their order and then one job after the other."""

    def __init__(
        self,
        order: BacktestOrder,
        count: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        shared: Callable[[], AbstractContextManager[str]],
    ) -> None:
        self._processes: list[Child] = []
        try:
            for _ in range(count):
                self._processes.append(Child(command, environment=environment, stdout=PIPE))
            for process in self._processes:
                _answer(process)  # it has started, which takes a second or two: only now is a moment held for it
            with shared() as snapshot:
                for process in self._processes:
                    _say(process, json.dumps(snapshot))
                for process in self._processes:
                    _answer(process)
            told = json.dumps(order.document())
            for process in self._processes:
                _say(process, told)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise _ended() from None
            raise

    def all(self, kind: str, jobs: Iterable[Any], heard: Callable[[Tally], None]) -> None:
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        expected = 0
        for job in jobs:
            waiting.put(job)
            expected += 1
        answers: queue.SimpleQueue[Tally | Exception] = queue.SimpleQueue()
        stopping = threading.Event()
        threads = [
            threading.Thread(target=_feed, args=(process, kind, waiting, answers, stopping), daemon=True)
            for process in self._processes
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(expected):
                answer = answers.get()
                if isinstance(answer, Exception):
                    raise answer
                heard(answer)
        finally:
            stopping.set()

    def close(self) -> None:
        """Ends the processes, whatever they are at: nothing of theirs is kept."""
        for process in self._processes:
            process.kill()


def _feed(
    process: Child,
    kind: str,
    waiting: queue.SimpleQueue[Any],
    answers: queue.SimpleQueue[Tally | Exception],
    stopping: threading.Event,
) -> None:
    """Gives a process one job after the other until there is none."""
    while not stopping.is_set():
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            _say(process, json.dumps({kind: job}))
            answers.put(Tally.of(_answer(process)))
        except Exception as error:
            answers.put(error if isinstance(error, Broken) else _ended())
            return


def _answer(process: Child) -> Any:
    """The next thing it says. Raises `Broken` where that is an error, or nothing."""
    line = process.stdout.readline()
    if not line:
        raise _ended()
    answer = json.loads(line)
    if "error" in answer:
        raise Broken(answer["error"], advice="Run the backtest again; governance doctor says what is wrong.")
    return answer


def _ended() -> Broken:
    return Broken("A counting process ended.", advice="Run it again.")


def _say(process: Child, line: str) -> None:
    process.stdin.write(f"{line}\n".encode())
    process.stdin.flush()


def serve(
    lines: Iterator[str],
    answer: Callable[[str], None],
    record: Callable[[str], Record],
    here: Callable[[BacktestOrder, Record], InProcess],
) -> None:
    """What a counting process does, each step answered by one line: it says that it is there; it begins to read the
    snapshot that a line names; then, after a line with the order, a job a line until they end."""
    try:
        record("").close()  # whatever takes time, or goes wrong, the first time
        answer("{}")
        name = next(lines, "")
        if not name:
            return
        with closing(record(json.loads(name))) as reading:
            answer("{}")
            order = next(lines, "")
            if order:
                _work(lines, answer, here(BacktestOrder.of(json.loads(order)), reading))
    except GovernanceError as error:
        answer(json.dumps({"error": str(error)}))


def _work(lines: Iterator[str], answer: Callable[[str], None], counters: InProcess) -> None:
    try:
        for line in lines:
            job = json.loads(line)
            try:
                tally = counters.count(tuple(job["count"])) if "count" in job else counters.examine(job["examine"])
                answer(json.dumps(tally.document(), separators=(",", ":")))
            except GovernanceError as error:
                answer(json.dumps({"error": str(error)}))
    finally:
        counters.close()


@contextmanager
def counters(
    order: BacktestOrder,
    count: int,
    record: Record,
    *,
    build: BuildRunner,
    command: Sequence[str],
    environment: Callable[[], Mapping[str, str]],
) -> Iterator[InProcess | Processes]:
    """Counters for an order; closed at the end, whatever ends it."""
    working: InProcess | Processes
    if count < 2:
        working = InProcess(order, record, build)
    else:
        working = Processes(order, count, command, environment(), record.shared)
    try:
        yield working
    finally:
        working.close()
