"""Finds columns of delimited text (CSV, TSV, Markdown tables) whose header names a telephone.

A single line does not show this. A header is a line with a cell that is such a name; the lines right after it with as
many cells are its rows.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterator

_DELIMITERS = ",;\t|"
_LONGEST = 4_000
"""Code points of a line that is read: bounds the work for each."""
_LONGEST_NAME = 60
_CELLS = {
    delimiter: re.compile(f'(?:"[^"]*"|[^"{re.escape(delimiter)}])*(?:{re.escape(delimiter)}|$)')
    for delimiter in _DELIMITERS
}
_AROUND = " \t\"'*_`"
_NAME = re.compile(
    r"(?i)(?:[a-z]{2,16}[ _.-])?(?:home|work|office|business|contact|cell|mobile|primary|private|main|day)?[ _-]?"
    r"(?:tel|telephone|telefon|telefono|teléfono|téléphone|telefone|telefoon|puhelin|phone|mobile|mobil|handy|fax|gsm|"
    r"msisdn|rufnummer|portable|movil|móvil|celular|cellulare|whats ?app|cell ?phone|телефон|тел|電話|电话|手机)"
    r"(?:[ _.-]?(?:numbers?|num|no|nr|nummer|numero|home|work|office|private|privat|mobile?|\d|#)){0,2}\.?"
)


def phone_cell(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The cell (start, end) that begins with this place, if its column is called a telephone."""
    cells = _cells(text)
    at = bisect_right(cells, (start, len(text))) - 1
    if at < 0 or end > cells[at][1] or text[cells[at][0] : start].strip(_AROUND):
        return None
    return cells[at]


@functools.lru_cache(maxsize=8)
def _cells(text: str) -> tuple[tuple[int, int], ...]:
    """All cells (start, end) of such columns, in order."""
    found: list[tuple[int, int]] = []
    columns: list[int] = []
    delimiter, width = "", 0
    for start, line in _lines(text):
        cells = _split(line, delimiter) if columns else []
        if columns and len(cells) == width:
            found += [(start + cells[column][0], start + cells[column][1]) for column in columns]
            continue
        columns = []
        for delimiter in (*(one for one in _DELIMITERS if one in line), ""):
            cells = _split(line, delimiter)
            columns = [at for at, (a, b) in enumerate(cells) if b - a < _LONGEST_NAME and _named(line[a:b])]
            if columns:
                width = len(cells)
                break
    return tuple(found)


def _named(cell: str) -> bool:
    return _NAME.fullmatch(cell.strip(_AROUND)) is not None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with where they begin; the longest are read as if they were empty."""
    at = 0
    for line in text.split("\n"):
        yield at, "" if len(line) > _LONGEST else line.removesuffix("\r")
        at += len(line) + 1


def _split(line: str, delimiter: str) -> list[tuple[int, int]]:
    """Where the cells of a line are, without their delimiters; "" where the line is one cell."""
    if not delimiter:
        return [(0, len(line))] if line.strip() else []
    if line.count('"') % 2:
        ends = [at for at, character in enumerate(line) if character == delimiter]
        return list(zip([0, *(end + 1 for end in ends)], [*ends, len(line)], strict=True))
    cells = []
    for match in _CELLS[delimiter].finditer(line):
        ended = line[match.start() : match.end()].endswith(delimiter)
        cells.append((match.start(), match.end() - ended))
        if not ended:
            break
    return cells
