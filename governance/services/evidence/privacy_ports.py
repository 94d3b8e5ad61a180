"""What erasure, legal holds and retention need of a transaction, as Protocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.domain.events import Json
from governance.domain.privacy import (
    Erasable,
    Erasure,
    ErasureCode,
    Holdable,
    LegalHold,
    RetentionClass,
    RetentionRule,
)
from governance.services.jobs.ports import Transaction as JobTransaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Scrubbed:
    """What one step of an erasure destroyed: of which system, the conversation if the whole of it went, the
    calls, the reports, and the cases whose excerpts and notes went."""

    system: str
    conversation: int | None = None
    calls: tuple[int, ...] = ()
    reports: tuple[int, ...] = ()
    cases: tuple[int, ...] = ()


class Erasures(Protocol):
    """Requests to erase, and the erasing itself. What is erased twice stays erased."""

    def take_turns(self) -> None:
        """Nobody else erases, or places a hold, until the commit."""

    def add(
        self,
        *,
        what: Erasable,
        target: str,
        system: str,
        code: ErasureCode,
        reason: str,
        by: str,
        by_name: str,
        at: datetime,
        approved: bool = False,
    ) -> int: ...

    def get(self, number: int) -> Erasure | None: ...

    def latest(self, *, limit: int, before: int | None) -> Sequence[Erasure]:
        """The newest first."""

    def approved(self) -> Sequence[Erasure]:
        """Those that are approved and not done."""

    def open_for(self, what: Erasable, target: str, system: str) -> Erasure | None:
        """A request that waits or runs."""

    def erased_under(self, what: Erasable, target: str) -> Erasure | None:
        """The erasure by which it went already: of a conversation, call or report."""

    def settle(self, number: int, *, approved: bool, by: str, by_name: str, at: datetime) -> None: ...

    def systems_of(self, what: Erasable, target: str, system: str) -> frozenset[str]:
        """The systems that hold such content; none where it is not there."""

    def report_number(self, named: str) -> int | None:
        """The number of a report that is named by number or by reference."""

    def conversations_of(self, subject: str, system: str, *, limit: int) -> Sequence[int]:
        """Conversations in which calls still name the subject."""

    def covering(
        self, *, conversation: int | None = None, call: int | None = None, report: int | None = None
    ) -> Sequence[LegalHold]:
        """The standing holds that cover the content."""

    def covering_subject(self, subject: str, system: str) -> Sequence[LegalHold]:
        """The standing holds that cover any of the subject's conversations."""

    def conversation(self, number: int, erasure: int, *, everything: bool) -> Scrubbed:
        """Destroys a conversation's key and all that it sealed; with `everything` also what names people."""

    def call(self, number: int, erasure: int) -> Scrubbed:
        """Destroys the content of one call, also where other calls repeat it: those are named after it."""

    def report(self, number: int, erasure: int) -> Scrubbed:
        """Destroys a report's words."""

    def rows(self, calls: Sequence[int], cases: Sequence[int], reports: Sequence[int]) -> dict[str, Json]:
        """What the log is to say of the rows that stay of these, as they stand now."""

    def erased(self, number: int, *, target: str, at: datetime) -> None:
        """Says that an erasure is done; `target` is what it is known by from now on."""

    def counted(self, number: int, *, conversations: int, calls: int, reports: int) -> None: ...

    def purged(self, at: datetime) -> None:
        """Says of all that is erased that its bytes are gone from the database's files."""

    def unpurged(self) -> int: ...

    def expired_conversations(
        self, system: str, others: Sequence[str], before: datetime, *, everything: bool, limit: int
    ) -> Sequence[int]:
        """Conversations of a system ("" is all but `others`) whose last call was before, with something to erase."""

    def expired_reports(self, system: str, others: Sequence[str], before: datetime, *, limit: int) -> Sequence[int]: ...


class Holds(Protocol):
    def place(self, *, what: Holdable, target: str, reason: str, by: str, by_name: str, at: datetime) -> int: ...

    def get(self, number: int) -> LegalHold | None: ...

    def latest(self, *, limit: int, before: int | None, standing: bool) -> Sequence[LegalHold]: ...

    def release(self, number: int, *, by: str, by_name: str, at: datetime) -> bool:
        """False where it was released already."""

    def exists(self, what: Holdable, target: str) -> bool:
        """Whether there is such a thing."""


class Retention(Protocol):
    def rules(self) -> Sequence[RetentionRule]: ...

    def set(self, rule: RetentionRule) -> None: ...

    def remove(self, system: str, subject: RetentionClass) -> bool: ...


class Transaction(JobTransaction, Protocol):
    """A unit of work about privacy."""

    @property
    def erasures(self) -> Erasures: ...

    @property
    def holds(self) -> Holds: ...

    @property
    def retention(self) -> Retention: ...
