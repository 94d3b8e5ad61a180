"""What an actor may see. All reading asks here, and nowhere else: the services in `<wing>/read.py` give the store only
the systems that this module answers with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from governance.domain.people import Actor, Permission, Systems
from governance.services.authorise import Authority
from governance.services.named import unknown
from governance.services.ports import UnitOfWork


class SystemNames(Protocol):
    """The systems that have sent a call."""

    def names(self) -> Mapping[int, str]:
        """All of them by id, in the order of their names."""


class Visible:
    """The systems that an actor may see, as ids. One for the process, safe to share among threads.

    A system keeps its name and its id for ever, so both are remembered: reading costs no query for them.
    """

    def __init__(self, authority: Authority[UnitOfWork], systems: SystemNames) -> None:
        self._authority = authority
        self._systems = systems
        self._ids: Mapping[str, int] = {}

    def names(self, actor: Actor, *permissions: Permission) -> frozenset[str] | None:
        """The names of the systems in which the actor has one of the permissions; None is all.

        Raises `Denied` (recorded) where there is none, also for what belongs to no system.
        """
        found: set[str] = set()
        for permission in permissions:
            names = self._authority.systems(actor, permission)
            if names is None:
                return None
            found |= names
        if not found:
            self._authority.require(actor, permissions[0])
        return frozenset(found)

    def systems(self, actor: Actor, *permissions: Permission, named: Collection[str] = ()) -> Systems:
        """The ids of the systems of `names`; of these only the `named`, where any is.

        Raises `Denied` as `names`, and `BadInput` for a name that is not among them, be it another's or nobody's.
        Somebody bound to systems that have sent nothing yet sees nothing, whatever is named.
        """
        names = self.names(actor, *permissions)
        seen = None if names is None else tuple(sorted(self._known(names).values()))
        if not named or seen == ():
            return seen
        known = self._known(named)
        for name in named:
            if name not in known or (seen is not None and known[name] not in seen):
                there = [one for number, one in self._systems.names().items() if seen is None or number in seen]
                raise unknown("system", name, there, none="No system has sent a call yet.")
        return tuple(sorted(known.values()))

    def _known(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of those `names` that there are. Asks the store only about a name that is new."""
        wanted = set(names)
        if not wanted <= self._ids.keys():
            self._ids = {name: number for number, name in self._systems.names().items()}
        return {name: self._ids[name] for name in wanted if name in self._ids}
