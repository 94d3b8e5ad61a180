"""What the use cases of calls need from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from governance.domain.calls import Call
from governance.review.lifecycle import CaseRecord
from governance.services.ports import UnitOfWork

if TYPE_CHECKING:  # who only records needs no policies, and what they need takes 40 MB
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class RevealRecord:
    """A reveal that is in force; `case_id` is None where none was named."""

    case_id: int | None
    until: datetime


class Reveals(Protocol):
    def add(
        self, *, principal_id: int, case_id: int | None, call_id: int, reason: str, at: datetime, until: datetime
    ) -> int:
        """Gives the reveal's id, by which its event names it: the reason is free text and stays out of the log."""

    def in_force(self, principal_id: int, call_id: int, now: datetime) -> RevealRecord | None: ...


class Originals(Protocol):
    """Decrypts what a call's content was."""

    def call(self, call_id: int) -> Call:
        """Raises `NotFound` for an unknown call."""


class CasesOfReveals(Protocol):
    """What a reveal needs to know of cases."""

    def find(self, case_id: int) -> CaseRecord | None: ...


class KnownCalls(Protocol):
    """What a reveal needs to know of calls."""

    def call(self, call_id: int) -> tuple[str, str] | None:
        """The system and trace id of a call."""


class Transaction(UnitOfWork, Protocol):
    """A unit of work about calls."""

    @property
    def reveals(self) -> Reveals: ...

    @property
    def cases(self) -> CasesOfReveals: ...

    @property
    def reports(self) -> KnownCalls: ...
