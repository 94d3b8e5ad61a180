"""The tables of a package: its cases, verdicts and decisions as CSV for people with a spreadsheet.

They follow from the records, row by row in their order: the verifier derives them again and compares the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from governance.audit.spreadsheet import Cell, line
from governance.audit.spreadsheet import table as whole

_POLICIES = "policies"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cases": (
        "id",
        "kind",
        "state",
        "severity",
        "queue",
        "title",
        "system",
        "policy",
        "call_id",
        "decision_id",
        "opened_at",
        "due_at",
        "closed_at",
    ),
    "verdicts": (
        "id",
        "case_id",
        "outcome",
        "reason",
        "note",
        "given_by",
        "given_at",
        "approved_by",
        "approved_at",
        "returned_by",
        "returned_at",
    ),
    "decisions": (
        "id",
        "call_id",
        "revision",
        "action",
        "queue",
        "severity",
        _POLICIES,
        "explanation",
        "policy_set",
        "decided_at",
    ),
}
"""The columns of each table: members of a record. `policies` names them with what each came to."""


def table_file(name: str) -> str:
    return f"tables/{name}.csv"


def head(name: str) -> bytes:
    """The beginning of a table: its headings."""
    return whole(COLUMNS[name], ())


def row(name: str, record: Mapping[str, Any]) -> bytes:
    """The row of a record."""
    return line([_cell(record, column) for column in COLUMNS[name]])


class Tables:
    """The SHA-256 of each table, as the records come."""

    def __init__(self) -> None:
        self._digests = {name: hashlib.sha256(head(name)) for name in COLUMNS}

    def take(self, name: str, record: Mapping[str, Any]) -> None:
        """Takes the next record of a kind; kinds without a table are passed over."""
        if name in self._digests:
            self._digests[name].update(row(name, record))

    def check(self, files: Mapping[str, Mapping[str, Any]], fail: Callable[[str], None]) -> None:
        """Fails for each table of `files` (of a manifest) that is not the one that follows from the records."""
        for name, digest in self._digests.items():
            if files.get(table_file(name), {}).get("sha256") != digest.hexdigest():
                fail(f"{table_file(name)} says otherwise than the records.")


def _cell(record: Mapping[str, Any], column: str) -> Cell:
    value = record.get(column)
    if column == _POLICIES:
        named = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
        return ", ".join(f"{_text(one.get('policy'))} ({_text(one.get('outcome'))})" for one in named)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
