"""What the use cases of evidence need from the outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from governance.audit.note import Signer
from governance.services.jobs.ports import Transaction as JobTransaction

if TYPE_CHECKING:
    from governance.services.evidence.state import StateTables


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
    """The log's size, the hashes of its incomplete tiles, its latest signed checkpoint, and when that was; the latest
    time of any event, and how late an event was at most (microseconds; see `audit.streams`)."""

    size: int
    edge: bytes
    checkpoint: str
    at: int
    latest: int
    late: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeafFilter:
    """Which leaves; an empty field means any. `since` and `first` are inclusive, `until` and `end` exclusive; `first`
    and `end` are places."""

    since: datetime | None = None
    until: datetime | None = None
    system: str = ""
    kinds: tuple[str, ...] = ()
    first: int = 0
    end: int | None = None


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


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedReview:
    """An access review of a month; unsigned (`signed_by` None) while it waits."""

    month: str
    document: str | None
    digest: str | None
    signed_at: datetime | None
    signed_by: str | None
    note: str
    reminded_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A person's roles as `role` or `role@system`."""

    person: int
    roles: tuple[str, ...]
    disabled_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyGrant:
    """What an API key opens."""

    key: int
    prefix: str
    scopes: tuple[str, ...]
    system: str
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingCount:
    """How many events of a kind a reader has in a system ("" for none)."""

    reader: str
    kind: str
    system: str
    events: int


class AccessReviews(Protocol):
    """Who may do what, who read what, and the reviews of both."""

    def grants(self) -> Sequence[Grant]:
        """Everybody, by number."""

    def key_grants(self) -> Sequence[KeyGrant]:
        """All API keys, by number."""

    def reading(self, kinds: Sequence[str], since: datetime, until: datetime) -> Sequence[ReadingCount]:
        """By reader, kind and system, in order."""

    def began(self) -> datetime | None:
        """When the log began."""

    def get(self, month: str) -> SignedReview | None: ...

    def all(self) -> Sequence[SignedReview]:
        """Those that are due or signed, the latest month first."""

    def ask(self, month: str, *, at: datetime, reminded: bool) -> None:
        """Notes that a review is due; with `reminded` that an alert said so."""

    def sign(self, month: str, *, document: str, digest: str, by: str, note: str, at: datetime) -> bool:
        """False where it is signed already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCopy:
    """The last copy of a checkpoint in one place outside; `copied_at` None before the first. `error` is why the latest
    attempt failed, "" when it did not."""

    name: str
    since: datetime
    size: int | None
    note: str
    copied_at: datetime | None
    failed_at: datetime | None
    error: str
    alerted_at: datetime | None


class CheckpointCopies(Protocol):
    """The last copy in each place."""

    def all(self) -> Sequence[KeptCopy]: ...

    def kept(self, name: str, *, size: int, note: str, at: datetime) -> None:
        """The place holds this checkpoint, which is the latest, now."""

    def expect(self, name: str, *, at: datetime) -> None:
        """The place is set: the age of its copy counts from now on where there is none yet."""

    def failed(self, name: str, error: str, *, at: datetime) -> None: ...

    def alerted(self, name: str, *, at: datetime) -> None: ...


class KeepCopy(Protocol):
    """A place outside this installation that keeps checkpoints. `where` is shown to people and holds no secret."""

    @property
    def where(self) -> str: ...

    def latest(self) -> str:
        """The last checkpoint that the place itself holds; "" where it holds none or cannot tell."""

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        """Returns once the place holds it; the same again changes nothing there. Raises `NotDelivered`."""


class Transaction(JobTransaction, Protocol):
    """A unit of work of evidence."""

    @property
    def findings(self) -> Findings: ...

    @property
    def copies(self) -> CheckpointCopies: ...

    @property
    def access_reviews(self) -> AccessReviews: ...


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

    def count(self, size: int) -> int:
        """How many places from 0 on and below `size` have an event."""

    def events(self) -> Iterator[StoredEvent]:
        """All events that have a place, in order."""

    def pending(self) -> Iterator[bytes]:
        """Leaves that are committed and have no place yet, in the order in which they will get one."""

    @property
    def tables(self) -> StateTables:
        """The tables at the same moment."""

    def tile(self, level: int, number: int) -> bytes | None: ...

    def tiles(self) -> int:
        """How many complete tiles are stored."""

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Size and note of the checkpoints that were kept, by size."""

    def streams(self) -> Mapping[str, tuple[int, int]]:
        """By system, the number of the stream's next event, and how many events have no number (see
        `audit.streams`)."""

    def select(self, chosen: LeafFilter, *, newest_first: bool = False) -> Iterator[tuple[int, bytes]]:
        """Place and leaf of the sealed events that were chosen, in order."""

    def ends(self, chosen: LeafFilter) -> tuple[int, int] | None:
        """The first and the last place of the sealed events that were chosen; None where there is none."""

    def node(self, level: int, index: int) -> bytes:
        """The hash over the 2**level leaves from index * 2**level on. Raises `Tampered` if tiles are missing."""

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
