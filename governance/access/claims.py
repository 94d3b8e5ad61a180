"""Reads role names from an identity provider's claims. Pure; trusts the claims' signature, not their shape.

Nothing grants a role but an exact name: a group named as a role, or one that the operator's map names. A claim that
is absent or cannot be read gives no names, and says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance.domain.people import Role

MOST_NAMES = 10_000
MOST_TEXT = 1 << 20
_DEEPEST = 20
_NAME_KEYS = ("name", "displayName", "display", "value", "id", "role")
"""What an object of a list calls itself: SCIM, Entra ID, Keycloak mappers, Spring, home-made ones."""
_STATE_KEYS = ("active", "enabled")


class ClaimShape(StrEnum):
    """How a claim came; the value is the word that people read."""

    ABSENT = "absent"
    TEXT = "text"
    LIST = "list"
    OBJECTS = "list of objects"
    OBJECT = "object"
    POINTER = "pointer"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleClaim:
    """What came in the claim `path`: its shape, the names in it, and why it gives none (`problem`, "" if readable)."""

    path: str
    shape: ClaimShape
    names: tuple[str, ...] = ()
    problem: str = ""

    @property
    def readable(self) -> bool:
        return not self.problem


def read(claims: Mapping[str, Any], path: str) -> RoleClaim:
    """Reads the claim at `path`: a claim of that name, else a way into nested objects with dots
    (`realm_access.roles`), where each step may itself contain dots (`resource_access.my.client.roles`)."""
    found = _at(claims, path, _DEEPEST)
    if found is None:
        pointed = claims.get("_claim_names")
        if (isinstance(pointed, Mapping) and path in pointed) or (path == "groups" and claims.get("hasgroups")):
            problem = "the provider sent a pointer instead of the groups, because the person is in too many"
            return RoleClaim(path=path, shape=ClaimShape.POINTER, problem=problem)
        return RoleClaim(path=path, shape=ClaimShape.ABSENT, problem="it did not come")
    shape, names, problem = _names(found)
    if len(names) > MOST_NAMES:
        shape, problem = ClaimShape.UNREADABLE, f"it holds more than {MOST_NAMES:,} names"
    if problem:
        return RoleClaim(path=path, shape=shape, problem=problem)
    return RoleClaim(path=path, shape=shape, names=tuple(dict.fromkeys(names)))


def roles(names: Iterable[str], mapped: Mapping[str, Role]) -> tuple[Role, ...]:
    """The roles that `names` give: by the map, else by being a role's own name. Upper and lower case differ.

    One leading slash is not part of a name: Keycloak writes a top-level group as `/reviewer`. A nested group keeps
    its other slashes, so `/team/admin` is not `admin`.
    """
    known = {name.removeprefix("/"): role for name, role in mapped.items()}
    own = {role.value: role for role in Role}
    plain = [name.removeprefix("/") for name in names]
    given = {role for name in plain if (role := known.get(name) or own.get(name)) is not None}
    return tuple(sorted(given, key=list(Role).index))


def _at(value: Any, path: str, depth: int) -> Any:
    """The value at a dotted path, or None. The longest name that fits counts, so `a.b` before `a` and then `b`."""
    if not isinstance(value, Mapping) or depth < 0:
        return None
    if path in value:
        return value[path]
    end = path.rfind(".")
    while end > 0:
        inner = _at(value.get(path[:end]), path[end + 1 :], depth - 1)
        if inner is not None:
            return inner
        end = path.rfind(".", 0, end)
    return None


_Read = tuple[ClaimShape, list[str], str]


def _names(value: Any) -> _Read:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, Mapping):
        return _object(value)
    return ClaimShape.UNREADABLE, [], f"it came as {_kind(value)}"


def _text(value: str) -> _Read:
    """One name, or several between commas. Blanks are part of a name: "no admin" is not "admin"."""
    if len(value) > MOST_TEXT:
        return ClaimShape.UNREADABLE, [], "it is longer than 1 MiB"
    text = value.strip(" ")
    if text[:1] in ("[", "{"):
        try:
            inside = json.loads(text)
        except (ValueError, RecursionError):
            return ClaimShape.UNREADABLE, [], "it came as a text that begins like JSON and is none"
        return _list(inside) if isinstance(inside, list) else _object(inside)
    names = [name for part in text.split(",") if (name := part.strip(" "))]
    # A distinguished name (`CN=Reviewers,OU=Groups`) is one name that contains commas.
    return ClaimShape.TEXT, [*names, text] if len(names) > 1 else names, ""


def _list(value: list[Any]) -> _Read:
    """Texts, objects with a name, or both. Whatever else stands in the list is no name."""
    names: list[str] = []
    objects = readable = 0
    for item in value:
        if isinstance(item, str):
            names.append(item)
            readable += 1
        elif isinstance(item, Mapping):
            objects += 1
            own = _own_names(item)
            readable += own is not None
            names += own or []
    if value and not readable:
        return ClaimShape.UNREADABLE, [], f"it came as a list of {_kind(value[0])}"
    return ClaimShape.OBJECTS if objects else ClaimShape.LIST, [name for name in names if name.strip()], ""


def _object(value: Mapping[str, Any]) -> _Read:
    """Keyed by name (ZITADEL: role to the organisations that granted it), or one object with a name."""
    own = _own_names(value)
    if own is not None:
        return ClaimShape.OBJECT, own, ""
    if all(isinstance(inner, Mapping) or inner is True or inner is False for inner in value.values()):
        return ClaimShape.OBJECT, [name for name, inner in value.items() if inner is not False and name.strip()], ""
    return ClaimShape.UNREADABLE, [], "it came as an object whose keys are no names of roles"


def _own_names(item: Mapping[str, Any]) -> list[str] | None:
    """What an object calls itself; [] where it says that it is not active; None where it has no name."""
    names = [value for key in _NAME_KEYS if isinstance(value := item.get(key), str) and value.strip()]
    if not names:
        return None
    return [] if any(item.get(key) is False for key in _STATE_KEYS) else names


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    for kind, word in ((bool, "true or false"), (int | float, "a number"), (list, "lists")):
        if isinstance(value, kind):
            return word
    return "objects without a name" if isinstance(value, Mapping) else f"a {type(value).__name__}"
