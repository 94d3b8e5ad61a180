"""Reading the governed systems: their names, the figures of their days, and what they hold in all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from governance.domain.people import Actor, Permission, Systems
from governance.services.visible import SystemNames, Visible
from governance.systems.days import Day


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """`waiting` calls have no decision yet; `cases` are the open ones."""

    calls: int
    waiting: int
    flagged: int
    cases: int
    reports: int


class SystemQueries(SystemNames, Protocol):
    """What is read of systems, each on a connection of its own. `systems` limits what is found to these."""

    def days(self, systems: Systems, since: int) -> list[Day]: ...

    def totals(self, names: Collection[str], systems: Systems) -> Totals: ...


class ReadSystems:
    """What may be read of systems. Every method raises `Denied` for who may read of none."""

    def __init__(self, visible: Visible, queries: SystemQueries) -> None:
        self._visible = visible
        self._queries = queries

    def names(self, actor: Actor, permission: Permission = Permission.READ_CALLS) -> Mapping[int, str]:
        """The systems in which the actor has the permission, in the order of their names."""
        seen = self._visible.systems(actor, permission)
        return {number: name for number, name in self._queries.names().items() if seen is None or number in seen}

    def days(self, actor: Actor, since: int) -> list[Day]:
        """Figures from day `since` on (days from 1970, UTC), by system and day; days without calls have no entry."""
        return self._queries.days(self._visible.systems(actor, Permission.READ_CALLS), since)

    def totals(self, actor: Actor, names: Collection[str]) -> Totals:
        """Counts over the systems of these names, unknown ones left out: for a command that ran once, not for a page
        (it counts rows)."""
        return self._queries.totals(names, self._visible.systems(actor, Permission.READ_CALLS))
