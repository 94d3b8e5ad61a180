"""What an erasure destroys, table by table. Every column that can hold content, or name somebody, is in here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from governance.audit.commitment import new_salt
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.calls import search

_TITLE = "A call needs a look"
_DOCUMENT = "document"


def conversation(connection: sa.Connection, number: int, *, everything: bool) -> tuple[str, tuple[int, ...]]:
    """Destroys a conversation's key and what it sealed; its system and its calls. With `everything` also what names
    people: ids of users and sessions, explanations, notes.

    The calls' rows are locked before the conversation's: who checks a call takes them in this order.
    """
    calls = _calls_of(connection, number)
    v = t.conversation.c
    values: dict[str, Any] = {"wrapped_key": None}
    if everything:
        values["key"] = f"erased:{number}"  # the session's id is gone, and its next call begins a conversation anew
    connection.execute(t.conversation.update().where(v.id == number).values(values))
    calls = _calls_of(connection, number)  # also those that were recorded until we had the conversation
    messages = (
        connection.execute(sa.select(t.message.c.id).where(t.message.c.conversation_id == number)).scalars().all()
    )
    connection.execute(t.message.update().where(t.message.c.conversation_id == number).values(body=None))
    _content(connection, calls, messages)
    if everything:
        _names(connection, calls)
    name = connection.execute(
        sa.select(t.system.c.name).join(t.conversation, v.system_id == t.system.c.id).where(v.id == number)
    ).scalar_one()
    return name, tuple(calls)


def call(connection: sa.Connection, number: int) -> tuple[str, tuple[int, ...]]:
    """Destroys one call's content, also where other calls repeat it, and what names people in its row; its system, and
    the other calls that repeated some of it."""
    lock = sa.select(t.call.c.parts, t.call.c.system_id, t.call.c.conversation_id).where(t.call.c.id == number)
    if connection.dialect.name != "sqlite":
        lock = lock.with_for_update()
    row = connection.execute(lock).one()
    messages = [entry[1] for entry in json.loads(row.parts)]
    for some in bulk.chunks(messages):
        connection.execute(t.message.update().where(t.message.c.id.in_(some)).values(body=None))
    _content(connection, [number], messages)
    _names(connection, [number])
    gone = set(messages)
    c = t.call.c
    others = connection.execute(
        sa.select(c.id, c.parts).where(c.conversation_id == row.conversation_id, c.id != number).order_by(c.id)
    )
    sharing = tuple(one.id for one in others if any(entry[1] in gone for entry in json.loads(one.parts)))
    name = connection.execute(sa.select(t.system.c.name).where(t.system.c.id == row.system_id)).scalar_one()
    return str(name), sharing


def report(connection: sa.Connection, number: int) -> str:
    """Destroys a report's words, and the notes on its case; its system."""
    r = t.report.c
    connection.execute(
        t.report.update().where(r.id == number).values(wrapped_key=None, body=None, digest=os.urandom(32))
    )
    row = connection.execute(
        sa.select(r.case_id, t.system.c.name).join(t.system, t.system.c.id == r.system_id).where(r.id == number)
    ).one()
    if row.case_id is not None:
        _notes(connection, [row.case_id])
    return str(row.name)


def reports_about(connection: sa.Connection, calls: Sequence[int]) -> list[int]:
    """Reports about these calls: they quote the answers."""
    found: list[int] = []
    for some in bulk.chunks(calls):
        found += connection.execute(sa.select(t.report.c.id).where(t.report.c.call_id.in_(some))).scalars()
    return found


def _calls_of(connection: sa.Connection, conversation_id: int) -> list[int]:
    wanted = sa.select(t.call.c.id).where(t.call.c.conversation_id == conversation_id).order_by(t.call.c.id)
    if connection.dialect.name != "sqlite":
        wanted = wanted.with_for_update()
    return list(connection.execute(wanted).scalars())


def _content(connection: sa.Connection, calls: Sequence[int], messages: Sequence[int]) -> None:
    """Sealed content, redacted texts, the search index, excerpts."""
    search.remove(connection, messages)
    for some in bulk.chunks([*messages, *calls]):
        where = t.examination.c.subject_id.in_(some)
        connection.execute(t.examination.update().where(where).values(redacted=None, sealed=None))
    for some in bulk.chunks(calls):
        connection.execute(t.call.update().where(t.call.c.id.in_(some)).values(attributes=None))
        connection.execute(t.call_conflict.update().where(t.call_conflict.c.call_id.in_(some)).values(body=b""))
        # A new salt: what the log committed to of the case before says nothing any more.
        for number in connection.execute(sa.select(t.case.c.id).where(t.case.c.call_id.in_(some))).scalars().all():
            connection.execute(
                t.case.update()
                .where(t.case.c.id == number)
                .values(excerpt="", excerpt_sealed=None, salt=new_salt(), version=t.case.c.version + 1)
            )


def _names(connection: sa.Connection, calls: Sequence[int]) -> None:
    """Ids of users, sessions and documents; explanations and values of decisions; what reviewers wrote."""
    for some in bulk.chunks(calls):
        connection.execute(t.call.update().where(t.call.c.id.in_(some)).values(session_id="", user_id="", user_role=""))
        _blank(connection, t.reveal, t.reveal.c.call_id.in_(some), reason="")
        cases = connection.execute(sa.select(t.case.c.id).where(t.case.c.call_id.in_(some))).scalars().all()
        # A case without a policy got its title from the decision's explanation.
        connection.execute(t.case.update().where(t.case.c.id.in_(cases), t.case.c.policy == "").values(title=_TITLE))
        _notes(connection, cases)
        for row in connection.execute(sa.select(t.call.c.id, t.call.c.parts).where(t.call.c.id.in_(some))).all():
            connection.execute(t.call.update().where(t.call.c.id == row.id).values(parts=_frame(row.parts)))
        decisions = sa.select(t.decision.c.id, t.decision.c.detail).where(t.decision.c.call_id.in_(some))
        for row in connection.execute(decisions).all():
            connection.execute(t.decision.update().where(t.decision.c.id == row.id).values(detail=_detail(row.detail)))
    _examinations(connection, calls)


def _examinations(connection: sa.Connection, calls: Sequence[int]) -> None:
    """What detectors wrote down of documents and tools beside their findings."""
    frames = bulk.select_in(connection, "SELECT parts FROM call WHERE id IN {in}", calls)
    subjects = [*calls, *{entry[1] for row in frames for entry in json.loads(row[0])}]
    e = t.examination.c
    for row in bulk.select_in(
        connection, "SELECT subject_id, detector_set, findings FROM examination WHERE subject_id IN {in}", subjects
    ):
        bare = _detail(row[2])
        if bare != row[2]:
            connection.execute(
                t.examination.update().where(e.subject_id == row[0], e.detector_set == row[1]).values(findings=bare)
            )


def _notes(connection: sa.Connection, cases: Sequence[int]) -> None:
    for some in bulk.chunks(cases):
        _blank(connection, t.verdict, t.verdict.c.case_id.in_(some), note="")
        _blank(connection, t.case_note, t.case_note.c.case_id.in_(some), note="")


def _blank(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool], **values: Any) -> None:
    """Empties free text; the salt goes too, so that the log's commitment to it says nothing any more."""
    values["salt"] = None
    connection.execute(table.update().where(where).values(values))


def _frame(text: str) -> str:
    """The parts without ids, labels and names of documents, and without references; roles and tools' names stay."""
    bare = []
    for kind, message, *rest in json.loads(text):
        word = rest[0] if rest and kind != _DOCUMENT else ""
        bare.append([kind, message, word] if word else [kind, message])
    return json.dumps(bare, separators=(",", ":"))


def _detail(text: str) -> str:
    """A decision's or an examination's JSON without explanations, values and words: which policies fired and which
    rules hit, of what category and where, stays."""
    document = json.loads(text)
    if "explanation" in document:
        document["explanation"] = ""
    for policy in document.get("policies", ()):
        policy["explanation"], policy["values"] = "", {}
    for finding in document.get("findings", ()):
        if data := _figures(finding.get("data", {})):
            finding["data"] = data
        else:
            finding.pop("data", None)
    return json.dumps(document, separators=(",", ":"))


def _figures(data: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and yes or no; of texts only those that say how something was found."""
    return {
        name: value
        for name, value in data.items()
        if isinstance(value, bool | int | float) or name in ("view", "spans", "status", "action")
    }
