"""Tables as CSV that a spreadsheet opens without running anything: no cell is a formula.

A cell that begins with a character that a spreadsheet may read as the start of a formula gets an apostrophe before it,
as OWASP advises ("CSV Injection"); every cell is quoted. Numbers are written as numbers, a negative one too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Cell: TypeAlias = str | int | None

_MARK = "\ufeff"  # without it, spreadsheets read UTF-8 as another encoding
_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# What a reader skips before it looks for a formula, and what ends a cell early.
_SKIPPED = " \u00a0\u200b\u200c\u200d\u2060\ufeff\x00"


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A whole table: headings, then rows, in UTF-8 with a byte order mark and the line ends of RFC 4180."""
    return b"".join([_MARK.encode(), line(columns), *(line(row) for row in rows)])


def line(row: Sequence[Cell]) -> bytes:
    """One row of a table."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([cell(value) for value in row])
    return out.getvalue().encode("utf-8", "backslashreplace")


def cell(value: Cell) -> str:
    """One cell: nothing for None, and no text that a spreadsheet would take for a formula."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = value.replace("\x00", "\ufffd")
    return f"'{text}" if text.lstrip(_SKIPPED).startswith(_STARTS) or text.startswith(_STARTS) else text
