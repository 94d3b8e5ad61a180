"""What differs between two policy sets: policy by policy, field by field, in the words of the files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governance.policy.policy import PolicySet, canonical_json

_LEAF_ENTRIES = 200
_LEAF_VALUE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """`path` as `params.min_score`, `exceptions[0].expires`, `tests[hit].expect`. None: not written, so its default."""

    path: str
    was: Any
    now: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChange:
    policy: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """`added`, `removed` are policy ids; `files` are what else the set holds (the Cedar files), by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[PolicyChange, ...]
    files: tuple[FieldChange, ...]

    @property
    def count(self) -> int:
        """How many policies and files differ."""
        return len(self.added) + len(self.removed) + len(self.changed) + len(self.files)

    @property
    def words(self) -> str:
        """ "2 policies added, 1 changed": for a line."""
        parts = [
            (len(self.added), "added"),
            (len(self.removed), "removed"),
            (len(self.changed), "changed"),
        ]
        said = [f"{number} {what}" for number, what in parts if number]
        if said:
            number, _, what = said[0].partition(" ")
            said[0] = f"{number} {'policy' if number == '1' else 'policies'} {what}"
        if self.files:
            said.append(f"{len(self.files)} access {'file' if len(self.files) == 1 else 'files'} changed")
        return ", ".join(said) or "nothing differs"

    def document(self) -> dict[str, Any]:
        """As JSON, whole."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [
                {"policy": change.policy, "fields": [_field(one) for one in change.fields]} for change in self.changed
            ],
            "files": [_field(one) for one in self.files],
        }

    def leaf(self) -> dict[str, Any]:
        """As an audit event proves it: values as JSON text (a leaf has no floats), shortened, of bounded number."""
        entries: list[dict[str, Any]] = [{"policy": name, "change": "added"} for name in self.added]
        entries += [{"policy": name, "change": "removed"} for name in self.removed]
        entries += [
            {"policy": change.policy, "field": one.path, "was": _short(one.was), "now": _short(one.now)}
            for change in self.changed
            for one in change.fields
        ]
        entries += [{"file": one.path, "change": "changed"} for one in self.files]
        left_out = max(0, len(entries) - _LEAF_ENTRIES)
        return {"changes": entries[:_LEAF_ENTRIES]} | ({"left_out": left_out} if left_out else {})


def difference(before: PolicySet | None, after: PolicySet) -> Difference:
    """What `after` is beside `before`; everything is added where there was none."""
    old = {policy.id: policy.document() for policy in before.policies} if before is not None else {}
    new = {policy.id: policy.document() for policy in after.policies}
    changed = []
    for name in sorted(old.keys() & new.keys()):
        fields = tuple(_changes("", old[name], new[name]))
        if fields:
            changed.append(PolicyChange(policy=name, fields=fields))
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(changed),
        files=tuple(_files(_rest(before) if before is not None else {}, _rest(after))),
    )


def _rest(policy_set: PolicySet) -> dict[str, Any]:
    """What a set holds beside its policies, one entry a file."""
    rest: dict[str, Any] = {}
    for name, value in policy_set.document().items():
        if name in ("apiVersion", "kind", "policies"):
            continue
        if name == "access":
            rest |= value
        else:
            rest[name] = value
    return rest


def _files(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[FieldChange]:
    for name in sorted(was.keys() | now.keys()):
        if canonical_json(was.get(name)) != canonical_json(now.get(name)):
            yield FieldChange(path=name, was=was.get(name), now=now.get(name))


def _changes(path: str, was: Any, now: Any) -> Iterator[FieldChange]:
    if canonical_json(was) == canonical_json(now):
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for key in (*was, *(key for key in now if key not in was)):
            yield from _changes(f"{path}.{key}" if path else str(key), was.get(key), now.get(key))
    elif _records(was) and _records(now):
        old, new = _named(was), _named(now)
        for name in (*old, *(name for name in new if name not in old)):
            yield from _changes(f"{path}[{name}]", old.get(name), new.get(name))
    else:
        yield FieldChange(path=path, was=was, now=now)


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _named(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entries by their name where each has one of its own, else by their number."""
    names = [item.get("name") for item in items]
    if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return {str(name): item for name, item in zip(names, items, strict=True)}
    return {str(number): item for number, item in enumerate(items)}


def _field(change: FieldChange) -> dict[str, Any]:
    return {"path": change.path, "was": change.was, "now": change.now}


def _short(value: Any) -> str:
    text = "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _LEAF_VALUE else text[: _LEAF_VALUE - 1] + "…"
