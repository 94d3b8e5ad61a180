"""`python -m benchmarks.measure_detectors FOLDER [--write]`: how much of public labelled sets the patterns find.

FOLDER holds `task.source.jsonl.gz`, one JSON object a line: `text`, `label` (1: holds what the task is about), `meta`
(personal data: `spans`, [type, start, end]). The sets are not in this repository. `--write` puts the tables into
docs/detectors.md, between the markers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.detectors.patterns import PatternDetector
from governance.domain.content import Content, ContentKind
from governance.domain.findings import Finding

PAGE = Path(__file__).parents[1] / "docs" / "detectors.md"
BEGIN, END = "<!-- measured: written by benchmarks/measure_detectors.py -->", "<!-- end of measured -->"

FLAG, SURE = 0.5, 0.8
"""Scores to count from: a finding worth a look, and one that most default policies act on (`min_score`)."""

PERSONAL = {
    "CREDIT_CARD": "payment_card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "PHONE_NUMBER": "phone",
    "US_DRIVER_LICENSE": "driver_license",
    "US_SSN": "ssn",
}
"""Marked types that have a form of their own, and our label of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Right and wrong answers. Ratios are NaN where nothing was there to be answered."""

    hit: int = 0
    missed: int = 0
    false: int = 0
    passed: int = 0

    @property
    def recall(self) -> float:
        return _ratio(self.hit, self.hit + self.missed)

    @property
    def precision(self) -> float:
        return _ratio(self.hit, self.hit + self.false)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.hit, 2 * self.hit + self.missed + self.false)

    @property
    def false_share(self) -> float:
        """The share of harmless texts that were found to be something."""
        return _ratio(self.false, self.false + self.passed)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def found(detector: PatternDetector, text: str) -> Sequence[Finding]:
    return detector.examine(Content(kind=ContentKind.MESSAGE, text=text, role="user"))


def texts(detector: PatternDetector, path: Path, score: float) -> Counts:
    """Each text counts once: it has a finding of at least this score, or it has none."""
    counts = Counter(
        (bool(row["label"]), any(finding.score >= score for finding in found(detector, row["text"])))
        for row in rows(path)
    )
    return Counts(
        hit=counts[True, True], missed=counts[True, False], false=counts[False, True], passed=counts[False, False]
    )


def spans(detector: PatternDetector, path: Path) -> dict[str, Counts]:
    """Each marked place counts once, by type: found when a finding of our label covers at least half of it. A finding
    is wrong when it lies on no marked place of its label."""
    hit: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for row in rows(path):
        findings = [finding for finding in found(detector, row["text"]) if finding.score >= FLAG]
        marked = [(PERSONAL[kind], start, end) for kind, start, end in row["meta"]["spans"] if kind in PERSONAL]
        for label, start, end in marked:
            covered = max((_overlap(one, start, end) for one in findings if one.label == label), default=0)
            (hit if 2 * covered >= end - start else missed)[label] += 1
        dates = [(start, end) for kind, start, end in row["meta"]["spans"] if kind == "DATE_TIME"]
        for one in findings:
            if one.label == "date_of_birth" and any(_overlap(one, start, end) for start, end in dates):
                continue
            if not any(label == one.label and _overlap(one, start, end) for label, start, end in marked):
                false[one.label] += 1
    labels = sorted(hit.keys() | missed.keys() | false.keys())
    return {label: Counts(hit=hit[label], missed=missed[label], false=false[label]) for label in labels}


def _overlap(finding: Finding, start: int, end: int) -> int:
    return max(0, min(finding.end, end) - max(finding.start, start))


def tables(folder: Path) -> str:
    """All tables, as Markdown."""
    return "\n\n".join((_instructions(folder), _personal(folder), _secrets(folder), _lexical(folder)))


def _instructions(folder: Path) -> str:
    detector = PatternDetector.of(["injection", "jailbreak"])
    lines = [f"| Instructions | attacks | found at {FLAG} | at {SURE} | harmless | wrongly at {FLAG} | at {SURE} |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for path in sorted(folder.glob("injection.*.jsonl.gz")):
        low, high = texts(detector, path, FLAG), texts(detector, path, SURE)
        attacks, harmless = low.hit + low.missed, low.false + low.passed
        shares = (_percent(low.recall), _percent(high.recall), _percent(low.false_share), _percent(high.false_share))
        lines.append(
            f"| {_name(path)} | {attacks:,} | {shares[0]} | {shares[1]} | {harmless:,} | {shares[2]} | {shares[3]} |"
        )
    return "\n".join(lines)


def _personal(folder: Path) -> str:
    lines = ["| Personal data | marked | recall | precision |", "|---|---:|---:|---:|"]
    for path in sorted(folder.glob("pii.*.jsonl.gz")):
        by_label = spans(PatternDetector.of(["pii"]), path)
        whole = Counts(
            hit=sum(one.hit for one in by_label.values()),
            missed=sum(one.missed for one in by_label.values()),
            false=sum(one.false for one in by_label.values()),
        )
        for label, one in [*((f"{_name(path)}: {label}", one) for label, one in by_label.items()), ("all", whole)]:
            lines.append(f"| {label} | {one.hit + one.missed} | {_figure(one.recall)} | {_figure(one.precision)} |")
    return "\n".join(lines)


def _secrets(folder: Path) -> str:
    lines = ["| Secrets | lines with | lines without | recall | precision | F1 |", "|---|---:|---:|---:|---:|---:|"]
    for path in sorted(folder.glob("secrets.*.jsonl.gz")):
        one = texts(PatternDetector.of(["secrets"]), path, FLAG)
        there, not_there = one.hit + one.missed, one.false + one.passed
        figures = " | ".join(map(_figure, (one.recall, one.precision, one.f1)))
        lines.append(f"| {_name(path)} | {there} | {not_there} | {figures} |")
    return "\n".join(lines)


def _lexical(folder: Path) -> str:
    lines = ["| Lexical safety signals | harmful | found | harmless | wrongly found |", "|---|---:|---:|---:|---:|"]
    for path in sorted(folder.glob("toxicity.*.jsonl.gz")):
        one = texts(PatternDetector.of(["safety", "harm"]), path, FLAG)
        harmful, harmless = one.hit + one.missed, one.false + one.passed
        lines.append(
            f"| {_name(path)} | {harmful:,} | {_percent(one.recall)} | {harmless:,} | {_percent(one.false_share)} |"
        )
    return "\n".join(lines)


def _name(path: Path) -> str:
    return path.name.split(".")[1]


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.1f} %"


def _figure(share: float) -> str:
    return "–" if share != share else f"{share:.3f}"


def write(page: str, measured: str) -> str:
    """The page with the tables between its markers; `ValueError` when it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no markers")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure_detectors", description="Measures patterns.")
    parser.add_argument("folder", type=Path, help="folder of task.source.jsonl.gz")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/detectors.md")
    stated = parser.parse_args(None if arguments is None else list(arguments))
    if not any(stated.folder.glob("*.jsonl.gz")):
        parser.error(f"no *.jsonl.gz in {stated.folder}")
    measured = tables(stated.folder)
    print(measured)
    if stated.write:
        PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
