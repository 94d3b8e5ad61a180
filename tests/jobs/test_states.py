"""A job's states on both databases, against a model: whatever is done in whatever order, one effect a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from governance.domain.jobs import Job, JobState
from governance.store.base import tables as t
from governance.store.transaction import Database
from tests.conftest import Clock

LEASE = timedelta(seconds=60)
KINDS = ("known", "other")
SETTINGS = hypothesis.settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)


@dataclass
class Model:
    lock: str
    kind: str
    priority: int
    state: str
    due: object
    attempts: int = 0
    claim: int = 0
    lease: object = None
    effects: int = 0


class Jobs(RuleBasedStateMachine):
    """Processes that add, claim, finish, fail, die, wake up late; and a person who retries and cancels."""

    database: Database
    claims: Bundle[Job] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.model: dict[int, Model] = {}
        with self.database.write() as tx:
            tx.connection.execute(t.job.delete())

    # What processes do

    @rule(
        lock=st.sampled_from(["", "", "a", "b"]),
        kind=st.sampled_from(KINDS),
        priority=st.integers(-1, 1),
        later=st.sampled_from([0, 30]),
    )
    def add(self, lock: str, kind: str, priority: int, later: int) -> None:
        due = self.clock() + timedelta(seconds=later)
        with self.database.write() as tx:
            number = tx.jobs.add(kind, {"n": 1}, at=self.clock(), not_before=due, priority=priority, lock=lock)
        self.model[number] = Model(lock=lock, kind=kind, priority=priority, state="waiting", due=due)

    def may_run(self, number: int) -> bool:
        one = self.model[number]
        free = not one.lock or not any(
            other.lock == one.lock and other.state == "running" for key, other in self.model.items() if key != number
        )
        now = self.clock()
        ready = (one.state == "waiting" and one.due <= now) or (one.state == "running" and one.lease <= now)  # type: ignore[operator]
        return one.kind == "known" and free and ready

    @rule(target=claims)
    def take_next(self) -> Job | hypothesis.stateful.MultipleResults[Job]:
        ready = sorted((-one.priority, number) for number, one in self.model.items() if self.may_run(number))
        with self.database.look() as tx:
            assert tx.jobs.due(["known"], self.clock()) is bool(ready)
        with self.database.write() as tx:
            job = tx.jobs.claim(["known"], now=self.clock(), lease=LEASE)
        assert (job.id if job else None) == (ready[0][1] if ready else None)
        return self.claimed(job)

    @rule(target=claims, data=st.data())
    def take_one(self, data: st.DataObject) -> Job | hypothesis.stateful.MultipleResults[Job]:
        if not self.model:
            return hypothesis.stateful.multiple()
        number = data.draw(st.sampled_from(sorted(self.model)))
        with self.database.write() as tx:
            job = tx.jobs.claim(["known"], now=self.clock(), lease=LEASE, job_id=number)
        assert (job is not None) is self.may_run(number)
        return self.claimed(job)

    def claimed(self, job: Job | None) -> Job | hypothesis.stateful.MultipleResults[Job]:
        if job is None:
            return hypothesis.stateful.multiple()
        one = self.model[job.id]
        one.state, one.lease = "running", self.clock() + LEASE
        one.attempts, one.claim = one.attempts + 1, one.claim + 1
        assert (job.attempts, job.claim) == (one.attempts, one.claim)
        return job

    def mine(self, job: Job) -> bool:
        one = self.model[job.id]
        return one.state == "running" and one.claim == job.claim

    @rule(job=claims)
    def finish(self, job: Job) -> None:
        """Also by a process that slept through its lease, and twice."""
        with self.database.write() as tx:
            done = tx.jobs.done(job, at=self.clock())
        assert done is self.mine(job)
        if done:
            self.model[job.id].state = "done"
            self.model[job.id].effects += 1

    @rule(job=consumes(claims), counted=st.booleans())
    def wait_again(self, job: Job, counted: bool) -> None:
        at = self.clock() + timedelta(seconds=20)
        with self.database.write() as tx:
            done = tx.jobs.again(job, at=at, error="X", counted=counted)
        assert done is self.mine(job)
        if done:
            one = self.model[job.id]
            one.state, one.due, one.attempts = "waiting", at, one.attempts - (not counted)

    @rule(job=consumes(claims))
    def give_up(self, job: Job) -> None:
        with self.database.write() as tx:
            done = tx.jobs.failed(job, at=self.clock(), error="X")
        assert done is self.mine(job)
        if done:
            self.model[job.id].state = "failed"

    @rule(job=claims)
    def renew(self, job: Job) -> None:
        with self.database.write() as tx:
            tx.jobs.renew(job, until=self.clock() + LEASE)
        if self.mine(job):
            self.model[job.id].lease = self.clock() + LEASE

    @rule(seconds=st.sampled_from([1, 20, 61]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    # What a person does

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([*sorted(self.model), 10**9]))
        with self.database.write() as tx:
            done = tx.jobs.retry(number, at=self.clock())
        one = self.model.get(number)
        assert done is (one is not None and one.state in ("waiting", "failed", "cancelled"))
        if done and one is not None:
            one.state, one.due, one.attempts = "waiting", self.clock(), 0

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([*sorted(self.model), 10**9]))
        with self.database.write() as tx:
            done = tx.jobs.cancel(number, at=self.clock())
        one = self.model.get(number)
        assert done is (one is not None and one.state in ("waiting", "failed"))
        if done and one is not None:
            one.state = "cancelled"

    @invariant()
    def the_database_says_the_same(self) -> None:
        with self.database.look() as tx:
            found = {job.id: job for job in tx.jobs.page(state=None, kind="", before=None, limit=1000)}
            figures = tx.jobs.figures(self.clock())
            unknown = tx.jobs.unknown(["known"])
        assert found.keys() == self.model.keys()
        for number, one in self.model.items():
            job = found[number]
            assert (job.state, job.attempts, job.claim) == (one.state, one.attempts, one.claim)
            assert (job.finished_at is not None) is (one.state in ("done", "failed", "cancelled"))
            assert (job.lease_until is not None) is (one.state == "running")
            assert one.effects <= 1
        running = [one.lock for one in self.model.values() if one.state == "running" and one.lock]
        assert len(running) == len(set(running)), "a lock is held once"
        counts = [sum(one.state == state for one in self.model.values()) for state in ("waiting", "running", "failed")]
        assert [figures.waiting, figures.running, figures.failed] == counts
        open_others = [one for one in self.model.values() if one.kind == "other" and one.state == JobState.WAITING]
        assert unknown == len(open_others)


def test_whatever_happens_a_job_has_one_effect(database: Database) -> None:
    class Here(Jobs):
        pass

    Here.database = database
    run_state_machine_as_test(Here, settings=SETTINGS)
