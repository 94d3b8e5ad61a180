"""`python -m benchmarks.detection FOLDER [--write] [--without-peers]`: measures detectors and default policies.

FOLDER holds labelled sets (see `sets`). `--write` puts the tables into the pages under docs/detectors, each between its
markers. The peers' environments are made beside .venv, once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.detection import beside, decisions, ours
from benchmarks.detection.counts import Counts, figure, markdown, milliseconds
from benchmarks.detection.sets import sources
from governance.detectors.linear.weights import load, packaged
from governance.detectors.patterns import PatternDetector

HERE = Path(__file__).parents[2] / "docs"


def instructions(folder: Path) -> str:
    return ours.patterns(folder, "injection", ["injection", "jailbreak"], title="Instructions", there="attacks")


def lexical(folder: Path) -> str:
    return ours.patterns(folder, "toxicity", ["safety", "harm"], title="Lexical safety signals", there="harmful")


def personal(folder: Path) -> str:
    detector = PatternDetector.of(["pii"])
    found: dict[str, Mapping[str, Counts]] = {
        name: ours.personal_data(texts, lambda one: ours.our_personal_data(detector, one))
        for name, texts in sources(folder, "pii").items()
    }
    return ours.personal(found)


def secrets(folder: Path) -> str:
    detector = PatternDetector.of(["secrets"])
    rows = []
    for name, texts in sources(folder, "secrets").items():
        (one,) = ours.scored(texts, lambda text: ours.highest(detector, text), (ours.FLAG,))
        rows.append(
            (
                *(name, f"{one.there}", f"{one.harmless}", figure(one.recall), figure(one.precision), figure(one.f1)),
                milliseconds(one.milliseconds),
            )
        )
    head = ("Secrets", "lines with", "lines without", "recall", "precision", "F1", "ms a text")
    return markdown(head, rows)


def policies(folder: Path) -> str:
    return decisions.of_set(folder, decisions.checker())


def redaction(folder: Path) -> str:
    return decisions.left_in_redacted(folder, decisions.checker())


def classifier(folder: Path) -> str:
    return "\n\n".join(ours.classifier(folder, head) for head in ("direct", "indirect", "toxicity"))


def left_out(folder: Path) -> str:
    """What the packaged models' training wrote down: each source judged by models that never saw it."""
    del folder
    return "\n\n".join(load(packaged(name)).notes["figures"] for name in ("injection", "toxicity"))


SECTIONS: dict[str, Callable[[Path], str]] = {
    "policies": policies,
    "redaction": redaction,
    "instructions": instructions,
    "left-out": left_out,
    "classifier": classifier,
    "personal": personal,
    "secrets": secrets,
    "lexical": lexical,
    "grounding": ours.of_answers,
    "peers": beside.tables,
}
"""By the name in a page's markers: `<!-- measured NAME -->` to `<!-- end NAME -->`."""


def write(page: str, measured: Mapping[str, str]) -> str:
    """The page with each section's tables between its markers; sections that were not measured stay."""
    for name, tables in measured.items():
        before, begin, rest = page.partition(f"<!-- measured {name} -->")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if begin and end:
            page = f"{before}{begin}\n\n{tables}\n\n{end}{after}"
    return page


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description="Measures what is detected.")
    parser.add_argument("folder", type=Path, help="folder of task.source.jsonl.gz")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="this section; may be given again")
    parser.add_argument("--without-peers", action="store_true", help="measure the product alone")
    parser.add_argument("--write", action="store_true", help="write the tables to the pages under docs")
    stated = parser.parse_args(None if arguments is None else list(arguments))
    if not any(stated.folder.glob("*.jsonl.gz")):
        parser.error(f"no *.jsonl.gz in {stated.folder}")
    measured: dict[str, str] = {}
    for name, measure in SECTIONS.items():
        if (stated.only and name not in stated.only) or (name == "peers" and stated.without_peers):
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        measured[name] = measure(stated.folder)
        print(f"\n{measured[name]}\n", flush=True)
    if stated.write:
        for path in sorted(HERE.rglob("*.md")):
            page = path.read_text(encoding="utf-8")
            if (written := write(page, measured)) != page:
                path.write_text(written, encoding="utf-8")
                print(f"Written to {path.relative_to(HERE.parent)}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
