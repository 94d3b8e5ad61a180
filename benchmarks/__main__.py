"""`python -m benchmarks [NAME...] [--write]`: runs `bench_*.py` (all, or those named) and prints their tables.

Each module has `run() -> Table`. `--write` puts the tables into docs/benchmarks.md, between the markers.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from benchmarks import machine
from benchmarks.table import Row, Table, number

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: written by `make bench ARGS=--write` -->", "<!-- end of figures -->"
COLUMNS = ("What", "Measured", "The machine's own limit", "Share", "Goal")


def main() -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures speed and memory.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; default all")
    parser.add_argument("--write", action="store_true", help=f"write the tables to {PAGE.relative_to(HERE.parent)}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(known)}")

    console = Console()
    console.print(machine.description(), style="dim")
    tables: list[Table] = []
    failed: list[str] = []
    for name in arguments.names or known:
        started = time.monotonic()
        with console.status(f"{name} ..."):
            try:
                tables.append(importlib.import_module(f"benchmarks.bench_{name}").run())
            except Exception as error:
                failed.append(name)
                console.print(f"\n{name}: {type(error).__name__}: {error}", style="red", markup=False)
                continue
        _print(console, tables[-1], time.monotonic() - started)
    if arguments.write and not failed:
        _write(tables, whole=not arguments.names)
        console.print(f"\nWritten to {PAGE}.")
    missed = [row.what for table in tables for row in table.rows if row.met is False]
    if missed:
        console.print(f"\nGoals missed: {'; '.join(missed)}.", style="red", markup=False)
    return 1 if failed else 0


def cells(row: Row) -> tuple[str, str, str, str, str]:
    limit = "" if row.limit is None else f"{number(row.limit)} {row.unit} ({row.limit_is})"
    share = "" if row.limit is None else f"{100 * row.measured / row.limit:.0f} %"
    met = {None: "", True: ": met", False: ": missed"}[row.met]
    return row.what, f"{number(row.measured)} {row.unit}", limit, share, row.goal + met


def _print(console: Console, table: Table, seconds: float) -> None:
    grid = Grid(title=f"{table.title} ({seconds:.0f} s)", title_justify="left", box=None, pad_edge=False)
    for place, column in enumerate(COLUMNS):
        grid.add_column(column, justify="right" if place in (1, 3) else "left")
    for row in table.rows:
        grid.add_row(*cells(row))
    console.print()
    console.print(grid)
    for note in table.notes:
        console.print(note, style="dim", markup=False)


def _write(tables: list[Table], *, whole: bool) -> None:
    """Replaces the figures of docs/benchmarks.md: all of them, or the sections of the tables given."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    sections = {} if whole else dict(_sections(old))
    for table in tables:
        lines = [f"| {' | '.join(COLUMNS)} |", "|---|---:|---|---:|---|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in table.rows]
        taken = f"Taken on {datetime.now(UTC):%Y-%m-%d} on {machine.description()}."
        sections[table.title] = "\n".join([*lines, "", " ".join([taken, *table.notes])])
    body = "\n\n".join(f"## {title}\n\n{text.strip()}" for title, text in sections.items())
    PAGE.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def _sections(text: str) -> list[tuple[str, str]]:
    parts = text.split("\n## ")[1:]
    return [(part.partition("\n")[0].strip(), part.partition("\n")[2]) for part in parts]


if __name__ == "__main__":
    sys.exit(main())
