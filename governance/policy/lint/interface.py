"""The interface of lint rules: a rule finds one kind of mistake, and has an id, a sentence, and the place of each
mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from governance.policy.policy import Policy
from governance.policy.problems import Level, Problem
from governance.policy.source import Path, Place, Source

T = TypeVar("T")


class Together(dict[str, Policy]):
    """The policies of a folder by id. A rule that looks at all of them works out what it needs once (`remembered`)."""

    def __init__(self, policies: Mapping[str, Policy] = MappingProxyType({})) -> None:
        super().__init__(policies)
        self._made: dict[str, Any] = {}

    def remembered(self, name: str, make: Callable[[Mapping[str, Policy]], T]) -> T:
        if name not in self._made:
            self._made[name] = make(self)
        made: T = self._made[name]
        return made


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
    all: Together = field(default_factory=Together)


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
        """What the rule finds wrong with this policy."""
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
