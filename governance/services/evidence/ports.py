"""What the use cases of evidence need from the outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from governance.audit.note import Signer
from governance.services.jobs.ports import Transaction as JobTransaction

if TYPE_CHECKING:  # who only records needs no policies, and what they need takes 40 MB
    pass


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event's row: its place, its time in microseconds, what can be searched by, and the leaf that proves it."""

    seq: int
    at: int
    kind: str
    actor: str
    subject: str
    system: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The log's size, the hashes of its incomplete tiles, its latest signed checkpoint, and when that was."""

    size: int
    edge: bytes
    checkpoint: str
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeafFilter:
    """Which leaves; an empty field means any. `since` is inclusive, `until` exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    system: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A check that failed. `fingerprint` is the same for the same failure; `checkpoint` is the kept one that was not
    met ("" for none); only a kept checkpoint of at least `size` can end the finding."""

    kind: str
    fingerprint: str
    detail: str
    size: int
    checkpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a verification found wrong: first `at`, last `seen_at`. `acknowledged_by` is `person:<id>` or
    `operator:<account>`."""

    id: int
    kind: str
    detail: str
    size: int
    checkpoint: str
    at: datetime
    seen_at: datetime
    times: int
    met_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str

    @property
    def open(self) -> bool:
        """Whether it is an alarm still."""
        return self.met_at is None and self.acknowledged_at is None


class Findings(Protocol):
    """What verifications of the log found wrong."""

    def found(self, failure: Failure, *, at: datetime) -> int:
        """Opens a finding, or renews the one of the same failure that is not met yet; gives its number."""

    def get(self, number: int) -> Finding | None: ...

    def standing(self) -> Sequence[Finding]:
        """Those that are not met, the oldest first."""

    def met(self, number: int, *, at: datetime) -> None: ...

    def acknowledge(self, number: int, *, by: str, note: str, at: datetime) -> bool:
        """False where it is acknowledged or met already."""


class Transaction(JobTransaction, Protocol):
    """A unit of work of evidence."""

    @property
    def findings(self) -> Findings: ...


class AuditSnapshot(Protocol):
    """The log at one moment."""

    @property
    def head(self) -> StoredHead | None:
        """None for an empty log."""

    @property
    def unsealed(self) -> int:
        """Events that have no place yet."""

    @property
    def seals_behind(self) -> bool:
        """Whether events may wait for their place (PostgreSQL), or have it from the start (SQLite)."""

    def beyond(self, size: int) -> int:
        """How many events have a place at or after `size`."""

    def events(self) -> Iterator[StoredEvent]:
        """All events that have a place, in order."""

    def tile(self, level: int, number: int) -> bytes | None: ...

    def tiles(self) -> int:
        """How many complete tiles are stored."""

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Size and note of the checkpoints that were kept, by size."""

    def select(self, chosen: LeafFilter) -> Iterator[tuple[int, bytes]]:
        """Place and leaf of the sealed events that were chosen, in order."""

    def about(self, subjects: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Place and leaf of the sealed events whose subject is one of these, in no order."""

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """RFC 6962 §2.1.1: the path of leaf `seq` in the tree of `size`. Raises `Tampered` if tiles are missing."""

    def consistency(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 §2.1.2."""


class AuditReader(Protocol):
    """Opens the log for proving, verifying and exporting; `signer` signs what leaves the house."""

    @property
    def signer(self) -> Signer: ...

    def settle(self) -> None:
        """Seals what is committed and waits for its place."""

    def snapshot(self) -> AbstractContextManager[AuditSnapshot]: ...


class EvidenceRecords(Protocol):
    """Records as evidence carries them: JSON objects, redacted, in any order; those that are gone are left out."""

    def calls(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The call objects of the public contract."""

    def decisions(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, call_id, revision, action, queue, severity, policies [{policy, outcome, action, status}] ...}"""

    def cases(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, kind, state, queue, severity, title, system, call_id, decision_id, opened_at, closed_at ...}"""

    def verdicts(self, cases: Sequence[int]) -> list[dict[str, Any]]:
        """{id, case_id, outcome, reason, note, given_by, given_at, approved_by, returned_by ...} of these cases."""

    def reports(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, reference, system, trace_id, call_id, case_id, received_at}; not the reporter's words."""

    def systems(self) -> Sequence[str]:
        """The names of all systems."""

    def policies(self) -> Sequence[str]:
        """The ids of all policies of every set that was ever loaded."""

    def has_case(self, number: int, system: str) -> bool:
        """Whether there is such a case, in `system` unless that is ""."""

    def names(self, references: Sequence[str]) -> dict[str, str]:
        """Whom references such as `person:17` and `key:3` stand for, where that is known."""
