"""`governance audit list`: the audit trail as lines or JSON."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.options import moment
from governance.cli.output import JsonFlag, emit, table
from governance.domain.events import EventKind
from governance.services.evidence.access import READING
from governance.services.evidence.read import EventFilter
from governance.services.named import unknown


def list_events(
    kind: Annotated[str, typer.Option(help="Only these kinds of event, by commas.")] = "",
    reading: Annotated[bool, typer.Option("--reading", help="Only who read what.")] = False,
    actor: Annotated[str, typer.Option(help="Only what this one did, as person:17 or key:3.")] = "",
    subject: Annotated[str, typer.Option(help="Only what is about this, as case:214.")] = "",
    since: Annotated[str, typer.Option(help="From this time on.")] = "",
    until: Annotated[str, typer.Option(help="Up to, without, this time.")] = "",
    before: Annotated[int | None, typer.Option(help="Only events with a smaller id.", min=0, max=2**53)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List events, the newest first. Calls, decisions and reading only where they are asked for."""
    kinds = [one.strip() for one in kind.split(",") if one.strip()]
    for one in kinds:
        if one not in set(EventKind):
            raise unknown("kind", one, set(EventKind))
    if reading:
        kinds += [one.value for one in READING]
    begin, end = moment("--since", since), moment("--until", until)
    chosen = EventFilter(kinds=tuple(kinds), actor=actor, subject=subject, since=begin, until=end)
    rows = running().read_audit.events(acting(), chosen, before=before, limit=limit)

    def human() -> None:
        columns = ("Id", "Entry", "At", "Kind", "Actor", "Subject", "System")
        found = [
            (row.id, row.seq, row.at, row.kind, row.actor, row.subject or None, row.system or None) for row in rows
        ]
        table(columns, found, empty="No entry fits.")

    documents: list[dict[str, Any]] = [
        {
            "id": row.id,
            "seq": row.seq,
            "at": row.at,
            "kind": row.kind,
            "actor": row.actor,
            "subject": row.subject,
            "system": row.system,
            "data": dict(row.data),
        }
        for row in rows
    ]
    emit(documents, human, as_json=json)
