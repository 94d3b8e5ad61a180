"""What a package's manifest and summary say of its leaves: derived by the exporter, and again by the verifier."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.audit.records import RECORDS
from governance.audit.scope import Scope

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffc\ufffe\uffff]"
)
NOTHING = "No event of the log fits what was asked for, but for the entry about this export where that fits."


@dataclass(slots=True)
class Facts:
    """Counts of what was asked for; leaves that are there for what they prove do not count."""

    scope: Scope
    count: int = 0
    own: int = 0
    first: int | None = None
    last: int | None = None
    contiguous: bool = True
    kinds: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    actors: set[str] = field(default_factory=set)
    records: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {name: {"count": 0, "absent": []} for name, _ in RECORDS.values()}
    )

    def take(self, seq: int, leaf: Mapping[str, Any]) -> bool:
        """Counts a leaf; whether it is among what was asked for."""
        if not self.scope.holds(seq, leaf):
            return False
        if self.last is None:
            self.first = seq
        elif seq != self.last + 1:
            self.contiguous = False
        self.last = seq
        self.count += 1
        self.own += self.scope.is_own(leaf)
        self.kinds[leaf["kind"]] += 1
        self.actors.add(leaf["actor"])
        if leaf["kind"] == "decision.made":
            self.actions[str(leaf["data"].get("action"))] += 1
        elif leaf["kind"] == "verdict.given":
            self.outcomes[str(leaf["data"].get("outcome"))] += 1
        return True

    @property
    def empty(self) -> bool:
        return self.count == self.own

    def leaves(self) -> dict[str, Any]:
        """The manifest's `leaves`."""
        return {"count": self.count, "first": self.first, "last": self.last, "contiguous": self.contiguous}

    def counts(self) -> dict[str, int]:
        """The manifest's `kinds`."""
        return dict(sorted(self.kinds.items()))


def summary(manifest: Mapping[str, Any], facts: Facts) -> bytes:
    """The bytes of summary.txt. Raises KeyError, TypeError, AttributeError for a manifest of another shape."""
    chosen = manifest["filter"]
    span = f"{chosen['since'] or 'the beginning'} to {chosen['until'] or 'the export'}"
    lines = [
        *([f"THIS PACKAGE HOLDS NOTHING. {NOTHING}", ""] if facts.empty else []),
        f"Evidence from {manifest['origin']}",
        "",
        f"Made       {manifest['made_at']} by {_who(manifest, manifest['made_by'])}",
        f"Time       {span}",
        f"System     {chosen['system'] or 'all'}",
        f"Policy     {chosen['policy'] or 'any'}",
        f"Case       {chosen['case'] or 'any'}",
        f"Kinds      {', '.join(chosen['kinds']) or 'all'}",
        f"Log        {manifest['checkpoint']['size']} events, root {manifest['checkpoint']['root']}",
        f"Inside     {facts.count} events"
        + (f", {facts.first} to {facts.last}" if facts.count else "")
        + (", a selection" if not facts.contiguous else ", none left out between" if facts.count else ""),
        "Complete   "
        + (f"of {facts.scope}" if facts.scope.provable else "not shown: a selection by policy, case or kind"),
        "",
        "Events",
        *(f"  {count:>9}  {kind}" for kind, count in sorted(facts.kinds.items())),
        "",
        "Records",
        *(
            f"  {about['count']:>9}  {name}"
            + (f", and {len(about['absent'])} that no longer exist" if about["absent"] else "")
            for name, about in facts.records.items()
        ),
    ]
    for title, counts in (("Actions decided", facts.actions), ("Verdicts", facts.outcomes)):
        if counts:
            lines += ["", title, *(f"  {count:>9}  {name}" for name, count in sorted(counts.items()))]
    if manifest["names"]:
        lines += ["", "Who", *(f"  {reference}  {name}" for reference, name in sorted(manifest["names"].items()))]
    return "".join(_printable(line) + "\n" for line in lines).encode("utf-8", "replace")


def _printable(line: str) -> str:
    """The line without controls, and without what hides, joins or turns text: by ranges of code points, so that every
    verifier finds the same bytes, whatever edition of Unicode it knows."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", line)


def _who(manifest: Mapping[str, Any], reference: str) -> str:
    name = manifest["names"].get(reference)
    return f"{name} ({reference})" if name else reference
