"""Finds a recogniser that cannot work, fails its own examples, or is declared differently elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from governance.detectors.interface import Options
from governance.detectors.patterns.recognisers import MOST, troubles
from governance.policy.lint.interface import Remark, Rule, Subject

_OF = ("pii", "secrets", "patterns")
_HINT = "See docs/detectors/pii.md, Recognisers."


def check(subject: Subject) -> Iterator[Remark]:
    for alias, detect in subject.policy.detectors.items():
        listed = _listed(detect.stated.options) if detect.use in _OF else []
        path = ("detectors", alias, "recognisers")
        if len(listed) > MOST:
            yield Remark(path=path, message=f"at most {MOST} recognisers can be declared", hint=_HINT)
            continue
        seen: set[str] = set()
        for number, declared in enumerate(listed):
            for where, message in troubles(declared):
                yield Remark(path=(*path, number, *where), message=message, hint=_HINT)
            name = declared.get("name") if isinstance(declared, dict) else None
            if not isinstance(name, str):
                continue
            file, first = subject.recognisers.get(name, ("", declared))
            if name in seen or first != declared:
                where_ = "here" if name in seen else f"in {file}"
                message = f"recogniser {name!r} is declared already {where_}"
                hint = "In two policies the declarations must be the same; in one, a name stands once."
                yield Remark(path=(*path, number, "name"), message=message, hint=hint)
            seen.add(name)


def _listed(options: Options) -> list[object]:
    value = options.get("recognisers")
    return list(value) if isinstance(value, list | tuple) else []


RULE = Rule(id="bad-recogniser", says="Recognisers compile, pass their examples, and are declared once.", check=check)
