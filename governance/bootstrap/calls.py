"""Calls: recording, checking, inline checks, explanations and reveals."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from governance.bootstrap.policies import PolicyParts
from governance.store.base import patience

if TYPE_CHECKING:
    from governance.intake import Intake
    from governance.intake.recording import Recording
    from governance.services.calls.explain import ExplainService
    from governance.services.calls.inline import InlineService
    from governance.services.calls.read import ReadCalls
    from governance.services.calls.record import Recorder
    from governance.services.calls.reveal import RevealService
    from governance.store.calls.checks import SqlCheckStore
    from governance.store.calls.documents import AttributeReader
    from governance.store.calls.redacted import RedactedTexts
    from governance.store.jobs.checking import JobQueue
    from governance.store.transaction import Transaction


class CallParts(PolicyParts):
    """The use cases of calls. They stand on the policy sets that decide now."""

    def read_call(self, call_id: int) -> dict[str, Any]:
        """The call object of docs/api.md, its texts and attributes redacted. Raises `NotFound`."""
        from governance.store.calls.documents import read_call

        with self.database.read() as connection:
            return read_call(connection, call_id, texts=self.texts, attributes=self.attributes)

    @cached_property
    def read_calls(self) -> ReadCalls:
        from governance.services.calls.read import ReadCalls
        from governance.store.calls.queries import CallQueries

        return ReadCalls(
            self.visible, CallQueries(self.database, lambda: self.texts, lambda: self.attributes), self.access_log
        )

    @cached_property
    def texts(self) -> RedactedTexts:
        """Redacted texts, as people are shown them."""
        from governance.store.calls.redacted import RedactedTexts

        return RedactedTexts(self.key_ring)

    @property
    def names_masked(self) -> bool:
        """Whether the policies in force have a model look for names (`presidio`); else patterns alone redact."""
        units = self.in_force.latest().enforce.runner.content_units
        return any(unit.partition("/")[0] == "presidio" for unit in units)

    @cached_property
    def attributes(self) -> AttributeReader:
        from governance.store.calls.documents import AttributeReader

        return AttributeReader(self.key_ring, self.redact_text)

    def redact_text(self, text: str) -> str:
        """A text without what the detectors find in it that must not be shown; costly detectors are not asked."""
        from governance.domain.content import Content, ContentKind
        from governance.services.calls.check import WITHHELD, unseen

        found = self.in_force.latest().enforce.runner.glance(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
        return WITHHELD if unseen(found) else self.redactor.redact(text, found.findings)

    @cached_property
    def inline(self) -> InlineService:
        from governance.services.calls.inline import InlineService

        return InlineService(
            self.recorder,
            self.new_check_store,
            self.in_force.current,
            self.redactor.redact,
            self.redact_text,
            self.read_call,
        )

    @cached_property
    def jobs(self) -> JobQueue:
        """The queue of calls to check: a table on SQLite, Procrastinate on PostgreSQL."""
        from governance.store.jobs.checking import ProcrastinateQueue, TableQueue

        return ProcrastinateQueue() if self.database.dialect == "postgresql" else TableQueue(self.database.ids)

    @cached_property
    def recorder(self) -> Recorder:
        from governance.services.calls.record import Recorder
        from governance.store.calls.record import CallWriter

        patient = patience.SENDER_SECONDS if self.answers else patience.LONGEST_SECONDS
        return Recorder(CallWriter(self.database, self.key_ring, self.jobs, self.clock, patient_seconds=patient))

    def new_check_store(self) -> SqlCheckStore[Transaction]:
        """Where one thread that checks reads calls from and writes decisions to: it keeps caches of its own."""
        from governance.services.review.opening import open_for_decision
        from governance.store.calls.checks import SqlCheckStore

        return SqlCheckStore(self.database, self.key_ring, self.clock, open_for_decision)

    @cached_property
    def intake(self) -> Intake:
        """Where the receiver's bodies go: this process, until a server sets a process of its own."""
        from governance.intake import LocalIntake

        return LocalIntake(lambda: self.recorder)

    def patient(self) -> AbstractContextManager[None]:
        """Bounds how long what is done for a request waits for a database that others hold."""
        return patience.at_most(patience.SENDER_SECONDS)

    @cached_property
    def recording(self) -> Recording:
        """Whether calls are recorded now."""
        from governance.intake.recording import Recording
        from governance.store.base.probe import try_write

        return Recording(lambda: self.intake, lambda: try_write(self.database))

    @cached_property
    def reveal(self) -> RevealService:
        from governance.services.calls.reveal import RevealService
        from governance.store.calls.documents import SqlOriginals

        originals = SqlOriginals(self.database, self.key_ring)
        lasts = timedelta(minutes=self.settings.reveal_minutes)
        return RevealService(self.authority, originals, lasts=lasts, redact=self.redact_text)

    @cached_property
    def explain(self) -> ExplainService:
        from governance.services.calls.explain import ExplainService

        return ExplainService(self.authority, self.decisions)
