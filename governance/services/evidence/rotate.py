"""Rotates the key-encryption key: every content key is wrapped anew, and content stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission
from governance.errors import BadInput
from governance.services.authorise import Authority
from governance.services.ports import UnitOfWork


class Rotation(Protocol):
    """The stored keys (`store.evidence.rotation`)."""

    def begin(self) -> None: ...

    def total(self) -> int: ...

    def some(self, place: tuple[int, int]) -> tuple[tuple[int, int], int, int] | None: ...

    def end(self) -> None: ...

    def refuse_old(self) -> None: ...


class RotateKeys:
    def __init__(self, authority: Authority[UnitOfWork], rotation: Rotation, *, rotating: Callable[[], bool]) -> None:
        """`rotating` says whether an old key is at hand beside the new one."""
        self._authority = authority
        self._rotation = rotation
        self._rotating = rotating

    def require(self, actor: Actor) -> None:
        """Raises `Denied` unless the actor may rotate keys."""
        self._authority.require(actor, Permission.MANAGE_ACCESS)

    def run(self, actor: Actor, heard: Callable[[int, int | None], None] = lambda _done, _of: None) -> int:
        """Wraps what is under the old key anew; how many keys that were. Killed in between, it goes on when it is run
        again. Raises `BadInput` without an old key."""
        self.require(actor)
        if not self._rotating():
            raise BadInput(
                "There is no old key-encryption key to rotate from.",
                advice="Set GOVERNANCE_KEY_ENCRYPTION_KEY to the new key and GOVERNANCE_KEY_ENCRYPTION_KEY_OLD to the "
                "one before.",
            )
        self._rotation.begin()
        total, seen, changed = self._rotation.total(), 0, 0
        place: tuple[int, int] = (0, 0)
        while (step := self._rotation.some(place)) is not None:
            place, looked, anew = step
            seen, changed = seen + looked, changed + anew
            heard(seen, total)
        self._rotation.end()
        if changed:
            with self._authority.act(actor) as tx:
                tx.append(self._authority.event(EventKind.KEYS_ROTATED, actor, data={"keys": changed}))
        return changed

    def check_finished(self, actor: Actor) -> None:
        """Raises `Conflict` where the old key is still needed."""
        self.require(actor)
        self._rotation.refuse_old()
