"""What commands print: a table for people, or one JSON document with `--json`; progress on stderr, terminals only.

Words that came with calls are never markup here either: cells are plain text, and control characters, which a terminal
would obey, are shown as their Unicode pictures.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

_WIDE = 200
# C1 controls and bidirectional marks, overrides and isolates: JSON alone escapes only C0.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    """Stdout; where it is no terminal, wide enough that a table loses nothing to the edge."""
    return Console(
        markup=False, highlight=False, emoji=False, soft_wrap=False, width=None if sys.stdout.isatty() else _WIDE
    )


def counted(number: int, what: str) -> str:
    """A number with what it counts: 1 call, 1,940 calls."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def plain(text: object) -> str:
    """The text with control characters (escape sequences, bidirectional overrides) made visible and lone surrogates
    replaced."""
    return "".join(_visible(character) for character in str(text))


def _visible(character: str) -> str:
    point = ord(character)
    if character in "\n\t":
        return character
    if point < 0x20:
        return chr(0x2400 + point)
    if 0x7F <= point < 0xA0 or 0xD800 <= point <= 0xDFFF or 0x202A <= point <= 0x202E or 0x2066 <= point <= 0x2069:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = "Nothing yet.") -> None:
    """Prints rows under headings; `empty` where there are none. None is shown as a dash."""
    if not rows:
        typer.echo(empty)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text("–" if cell is None else plain(_cell(cell))) for cell in row))
    console().print(grid)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def emit(document: object, human: Callable[[], None], *, as_json: bool) -> None:
    """The one answer of a command: `document` as JSON, or what `human` prints."""
    if as_json:
        sys.stdout.write(dump(document) + "\n")
    else:
        human()


def dump(document: object, *, indent: int | None = 2) -> str:
    """JSON of plain types, dataclasses, enumerations and times (RFC 3339, UTC). Lone surrogates stay escaped, and so
    does what a terminal would obey."""
    text = json.dumps(document, default=_plain_type, ensure_ascii=False, indent=indent)
    text = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode("utf-8", "backslashreplace").decode()


def _plain_type(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """`with progress("Importing", 1000) as advance: advance(10)`. Draws nothing where stderr is no terminal."""
    with progress_of(label, total) as heard:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            heard(done, total)

        yield advance


@contextmanager
def progress_of(label: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """As `progress`, for work that says how many of how many are done, and may learn the total late."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
