"""What a lint rule is: one mistake, with an id, a sentence, and the place where it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from governance.policy.policy import Policy
from governance.policy.problems import Level, Problem
from governance.policy.source import Path, Place, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One policy as a rule sees it. `first_file` is the file in which its id was used first; `recognisers` are those of
    all policies, by name: the file that declares one first, and its declaration. `all` are the policies of the folder
    by id, this one included."""

    source: Source
    policy: Policy
    first_file: str
    today: date
    recognisers: Mapping[str, tuple[str, Mapping[str, object]]] = field(default_factory=dict)
    all: Mapping[str, Policy] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """What a rule found: a place (of a value; of its key with `key`; or exactly `at`) and what to say there."""

    path: Path
    message: str
    hint: str = ""
    key: bool = False
    at: Place | None = None


Check: TypeAlias = Callable[[Subject], Iterator[Remark]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A lint rule. `says` is its sentence in docs/policies.md."""

    id: str
    says: str
    check: Check
    level: Level = Level.ERROR

    def problems(self, subject: Subject) -> Iterator[Problem]:
        """What the rule has against this policy."""
        for remark in self.check(subject):
            place = remark.at or subject.source.place(remark.path, key=remark.key)
            found = subject.source.problem(place, self.id, remark.message, remark.hint)
            yield Problem(
                file=found.file,
                line=found.line,
                column=found.column,
                rule=found.rule,
                message=found.message,
                hint=found.hint,
                source=found.source,
                level=self.level,
            )
