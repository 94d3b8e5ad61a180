"""An audit log as the product wrote it before streams: leaves of version 1, on the schema of revision 0008.

This is history, and changes no more: the writer of today is not asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from governance.audit.note import Checkpoint, Signer
from governance.audit.tiles import Edge


def leaf(at: int, kind: str, actor: str, subject: str, system: str, data: dict[str, Any]) -> bytes:
    """`at` in microseconds since 1970."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)
    value = {
        "actor": actor,
        "at": moment.isoformat(timespec="microseconds")[:-6] + "Z",
        "data": data,
        "kind": kind,
        "subject": subject,
        "system": system,
        "v": 1,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write(engine: sa.Engine, signer: Signer, events: Iterable[tuple[int, str, str]], *, waiting: int = 0) -> None:
    """A whole log of events `(at, kind, system)`. On PostgreSQL the last `waiting` of them wait for their place."""
    chosen = list(events)
    sealed = chosen[: len(chosen) - waiting]
    leaves = [
        leaf(at, kind, "service:0", f"call:{n}", system, {"call": n}) for n, (at, kind, system) in enumerate(chosen)
    ]
    edge, tiles = Edge().append([hashlib.sha256(b"\0" + one).digest() for one in leaves[: len(sealed)]])
    note = signer.sign(Checkpoint(signer.name, edge.size, edge.root()).text)
    postgresql = engine.dialect.name == "postgresql"
    number, xid = ("nextval('audit_event_id')", "pg_current_xact_id()::text::bigint") if postgresql else (":id", "NULL")
    insert = sa.text(
        "INSERT INTO audit_event (id, seq, at, kind, actor, subject, system, leaf, xid) "
        f"VALUES ({number}, :seq, :at, :kind, 'service:0', :subject, :system, :leaf, {xid})"
    )
    with engine.begin() as connection:
        for n, (at, kind, system) in enumerate(chosen):
            values = {
                "seq": n if n < len(sealed) else None,
                "at": at,
                "kind": kind,
                "subject": f"call:{n}",
                "system": system,
                "leaf": leaves[n],
            }
            connection.execute(insert, values if postgresql else {**values, "id": n + 1})
        for tile in tiles:
            connection.execute(
                sa.text("INSERT INTO audit_tile (level, number, hashes) VALUES (:level, :number, :hashes)"),
                {"level": tile.level, "number": tile.number, "hashes": tile.hashes},
            )
        if sealed:
            values = {"size": edge.size, "edge": edge.to_bytes(), "note": note, "at": sealed[-1][0]}
            connection.execute(
                sa.text("INSERT INTO audit_head (id, size, edge, checkpoint, at) VALUES (1, :size, :edge, :note, :at)"),
                values,
            )
            del values["edge"]
            connection.execute(
                sa.text("INSERT INTO audit_checkpoint (size, note, at) VALUES (:size, :note, :at)"), values
            )
