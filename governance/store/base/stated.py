"""What the audit log says of rows: which columns, and in which form.

An event that makes or changes a row of one of these tables carries the row as it then stands (`data.rows`), and
`audit verify` compares the last such statement with the table. Every column of the database has its place here or in
`UNSTATED`; a test fails for a new one that has none. Calls, decisions and examinations are many, so their events carry
less: see `services/calls/events.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from governance.audit.commitment import commitment, new_salt, opening
from governance.domain.events import Json
from governance.store.base import bulk
from governance.store.base import tables as t

Key = int | str | tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """How one table is stated. `plain` columns stand as they are (bytes in hex), `committed` ones as keyed commitments
    under the row's salt, `digested` ones (sealed, or without any secret) as SHA-256. `vanishes`: rows may be deleted
    without an event.
    `ordered` is the column that tells which of two statements is the later one, where transactions overlap; `since` one
    that is NULL while no event has stated the row yet."""

    table: sa.Table
    plain: tuple[str, ...]
    committed: tuple[str, ...] = ()
    digested: tuple[str, ...] = ()
    vanishes: bool = False
    ordered: str = ""
    since: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.plain, *self.committed, *self.digested)

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key.columns)


_ALL = (
    Stated(
        table=t.principal,
        plain=("issuer", "must_change_password", "disabled_at", "created_at"),
        committed=("subject", "name", "email", "password_hash"),
    ),
    Stated(table=t.role_binding, plain=("principal_id", "role", "system", "source")),
    Stated(
        table=t.session,
        plain=("token_hash", "principal_id", "created_at", "expires_at", "browser_hash"),
        vanishes=True,
    ),
    Stated(
        table=t.api_key,
        plain=("prefix", "secret_hash", "scopes", "system", "created_by", "created_at", "expires_at", "revoked_at"),
    ),
    Stated(
        table=t.case,
        plain=(
            *("kind", "state", "queue", "severity", "system_id", "call_id", "decision_id", "policy", "evidence"),
            *("reports", "opened_at", "due_at", "escalated", "escalated_by", "closed_at"),
        ),
        committed=("title", "excerpt"),
        ordered="version",
    ),
    Stated(table=t.assignment, plain=("case_id", "principal_id", "claimed_at", "ended_at", "end")),
    Stated(table=t.case_note, plain=("case_id", "kind", "written_by", "written_at"), committed=("note",)),
    Stated(table=t.case_call, plain=()),
    Stated(
        table=t.verdict,
        plain=(
            *("case_id", "outcome", "reason", "given_by", "given_at", "seconds"),
            *("approved_by", "approved_at", "returned_by", "returned_at"),
        ),
        committed=("note",),
    ),
    Stated(
        table=t.report,
        plain=("reference", "receipt_hash", "system_id", "trace_id", "call_id", "case_id", "state", "received_at"),
        digested=("body",),
    ),
    Stated(table=t.reveal, plain=("principal_id", "case_id", "call_id", "at", "until"), committed=("reason",)),
    Stated(table=t.policy_set, plain=("digest", "loaded_at")),
    Stated(
        table=t.policy_rollout,
        plain=("policy_set_id", "against_id", "origin", "state", "proposed_by", "proposed_at"),
        committed=("gate",),
    ),
    Stated(table=t.policy_rollout_step, plain=("rollout_id", "state", "by", "at"), committed=("by_name", "note")),
    Stated(table=t.policy_backtest, plain=("digest", "against", "at"), committed=("by_name", "result")),
    Stated(
        table=t.audit_finding,
        plain=(
            *("kind", "fingerprint", "detail", "size", "checkpoint", "at"),
            *("met_at", "acknowledged_at", "acknowledged_by"),
        ),
        committed=("note",),
    ),
    Stated(
        table=t.access_review,
        plain=("digest", "signed_at", "signed_by"),
        committed=("note",),
        digested=("document",),
        since="signed_at",
    ),
    Stated(table=t.call_conflict, plain=("call_id", "digest", "received_at"), digested=("body",)),
)
STATED: Mapping[str, Stated] = {one.table.name: one for one in _ALL}


def name_of(table: str, key: Key) -> str:
    """`verdict:12`, `case_call:9001:214`: how a statement names a row."""
    return ":".join(map(str, (table, *(key if isinstance(key, tuple) else (key,)))))


def statement(stated: Stated, row: Any) -> dict[str, Json]:
    """A row as the log states it; `row` has the table's columns as attributes, of whatever type somebody left there."""
    said: dict[str, Json] = {}
    for column in stated.plain:
        value = getattr(row, column)
        said[column] = t.as_bytes(value).hex() if isinstance(value, bytes | memoryview) else value
    for column in stated.committed:
        label = f"{stated.table.name}.{column}"
        salt = row.salt
        said[column] = (
            None if salt is None else commitment(opening(t.as_bytes(salt), label), as_text(getattr(row, column)))
        )
    for column in stated.digested:
        value = getattr(row, column)
        said[column] = None if value is None else hashlib.sha256(t.as_bytes(value)).hexdigest()
    if stated.ordered:
        said[stated.ordered] = getattr(row, stated.ordered)
    return said


def as_text(value: object) -> str | bytes:
    """A text column's value, to be committed to; SQLite keeps values of any type there."""
    return value if isinstance(value, str | bytes) else repr(value)


def statements(connection: sa.Connection, table: str, keys: Collection[Key]) -> dict[str, Json]:
    """The statements of these rows, by name; null for a row that is not there (any more)."""
    said: dict[str, Json] = {name_of(table, key): None for key in keys}
    for name, statement in present(connection, table, list(keys)).items():
        said[name] = dict(statement)
    return said


def present(connection: sa.Connection, table: str, keys: Sequence[Key]) -> dict[str, Mapping[str, Json]]:
    """The statements of those of these rows that are there, by name."""
    stated = STATED[table]
    mark = bulk.mark(connection)
    found: dict[str, Mapping[str, Json]] = {}
    one = " AND ".join(f'"{name}" = {mark}' for name in stated.key)
    for some in bulk.chunks(keys, 500):
        wanted = " OR ".join([f"({one})"] * len(some))
        values = tuple(value for key in some for value in (key if isinstance(key, tuple) else (key,)))
        # Past SQLAlchemy's types: a value of another type is to be compared, not to end the comparison.
        for row in connection.exec_driver_sql(f'SELECT * FROM "{table}" WHERE {wanted}', values):  # noqa: S608
            found[name_of(table, tuple(getattr(row, name) for name in stated.key))] = statement(stated, row)
    return found


def of_tuple(table: str, row: tuple[Any, ...]) -> dict[str, Json]:
    """The statement of a row that is about to be written, given as all its columns."""
    stated = STATED[table]
    values = SimpleNamespace(**dict(zip(stated.table.c.keys(), row, strict=True)))
    key = tuple(getattr(values, name) for name in stated.key)
    return {name_of(table, key): dict(statement(stated, values))}


def salt_all(connection: sa.Connection) -> None:
    """Gives a salt to rows that are older than salts."""
    for stated in _ALL:
        if not stated.committed:
            continue
        table, key = stated.table, next(iter(stated.table.primary_key.columns))
        unsalted = sa.select(key).where(table.c.salt.is_(None)).limit(1_000)
        while ids := connection.execute(unsalted).scalars().all():
            for number in ids:
                connection.execute(table.update().where(key == number).values(salt=new_salt()))


def all_statements(connection: sa.Connection, most: int = 100) -> Iterator[dict[str, Json]]:
    """Every row of every table that is stated, at most so many at a time."""
    for stated in _ALL:
        batch: dict[str, Json] = {}
        for row in every(connection, stated):
            key = tuple(getattr(row, name) for name in stated.key)
            batch[name_of(stated.table.name, key)] = dict(statement(stated, row))
            if len(batch) == most:
                yield batch
                batch = {}
        if batch:
            yield batch


def every(connection: sa.Connection, stated: Stated, *, keys: bool = False, at_once: int = 2_000) -> Iterable[Any]:
    """All rows of a table by key (or their keys alone), in pages."""
    columns = [stated.table.c[name] for name in stated.key]
    wanted = sa.select(*(columns if keys else stated.table.columns)).order_by(*columns).limit(at_once)
    if stated.since:
        wanted = wanted.where(stated.table.c[stated.since].isnot(None))
    after: tuple[int | str, ...] | None = None
    while True:
        page = wanted if after is None else wanted.where(sa.tuple_(*columns) > after)
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < at_once:
            return
        after = tuple(getattr(rows[-1], name) for name in stated.key)


BY_OTHER_EVENTS: Mapping[str, tuple[str, ...]] = {
    "call": (
        *("id", "trace_id", "span_id", "parent_span_id", "system_id", "release_id", "conversation_id", "kind", "name"),
        *("session_id", "user_id", "user_role", "started_at", "duration_us", "model", "provider", "input_tokens"),
        *("output_tokens", "cached_tokens", "error", "content_captured", "parts", "attributes", "revision", "status"),
        *("action", "queue", "failure", "received_at"),
    ),
    "decision": (
        *("id", "call_id", "revision", "policy_set_id", "action", "queue", "severity", "detail", "decided_at"),
        *("shadow", "detector_set"),
    ),
    "examination": ("subject_id", "detector_set", "findings", "redacted", "sealed"),
    "system": ("id", "name"),
    "release": ("id", "system_id", "fingerprint", "parts"),
    "policy_set": ("policies",),
}
"""Columns that `audit verify` compares with what events of calls, decisions and policy sets say."""

UNSTATED: Mapping[str, str] = {
    "api_key.last_used_at": "operational: to the hour, decides nothing",
    "assignment.lease_hash": "operational: the claim's token; the claim itself is stated",
    "assignment.lease_until": "operational: a claim is renewed each minute; the verdict's event says who decided",
    "access_review.due_at": "operational: since when a review waits",
    "access_review.reminded_at": "operational: when somebody was reminded last",
    "audit_checkpoint": "the log itself: the check `checkpoints`",
    "audit_finding.seen_at": "operational: when it was found last",
    "audit_finding.times": "operational: how often it was found",
    "audit_event": "the log itself: the checks `sequence`, `leaves` and `rows`",
    "audit_head": "the log itself: the check `tiles`",
    "audit_stream": "the log itself: the check `streams`",
    "audit_tile": "the log itself: the check `tiles`",
    "call.counted": "derived: what daily_figure counts of the call",
    "call.span_digest": "operational: tells resends; the same facts are committed to",
    "call_log": "operational: tells resent log records",
    "case.excerpt_sealed": "sealed, and bound to its case by the cipher; an excerpt of what is in examination",
    "case.version": "operational: orders the statements",
    "check_job": "operational: calls that wait",
    "checkpoint_copy": "operational: copies of what is signed, and compared with the log by whoever keeps them",
    "conversation": "keys and where they belong; content opens with its own conversation's key alone",
    "daily_figure": "derived from decisions",
    "daily_policy_figure": "derived from decisions",
    "daily_set_figure": "derived from decisions",
    "detector_health": "operational: whether detectors answer",
    "detector_set": "operational: which detectors a digest stands for",
    "erased": "derived from what `content.erased` names",
    "erasure": "each step is an event of its own; the reason is shown and not stated",
    "erasure_mark": "operational: counts erasures, for writers that keep keys in memory",
    "id_block": "operational: the next ids",
    "installation_secret": "keys: a changed one makes digests and search fail",
    "job": "operational: background work",
    "job_schedule": "operational: background work",
    "legal_hold": "placing and releasing are events of their own; the reason is shown and not stated",
    "message": "sealed, and bound to its id by the cipher; what is shown of it is in examination",
    "outbox_message": "operational: messages on their way out",
    "principal.failed_sign_ins": "operational: slows guessing",
    "principal.locked_until": "operational: slows guessing",
    "provider_sign_in": "diagnostic: what a claim held; the roles that followed are stated",
    "release.first_seen_at": "operational: when a release was seen first",
    "report.digest": "operational: tells a resent report",
    "report.wrapped_key": "changes when the key-encryption key does; the body is sealed under it",
    "retention_rule": "each change is an event of its own, with the days before and after",
    "session.revoked_at": "ends an access early; when it ends at the latest is stated",
    "state_adoption": "operational: whether older rows are stated",
    "system.first_seen_at": "operational: when a system was seen first",
    "worker": "operational: who checks calls",
    **{
        f"{one.table.name}.salt": "opens the commitments: a changed salt makes them fail"
        for one in _ALL
        if one.committed
    },
}
"""Columns (or whole tables) that the log does not speak of, and why. What a page, an export or the API shows of
what people decided, wrote or were allowed must not stand here."""
