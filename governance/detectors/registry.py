"""Which detectors there are, what can be asked of them, and how what all policies ask becomes one runner."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from governance.detectors import access, behaviour, patterns, structure
from governance.detectors.interface import (
    CallDetector,
    Detector,
    DetectorDescription,
    DetectorKind,
    DetectorUse,
    Options,
    OptionValue,
    Surroundings,
)
from governance.detectors.runner import Runner, Unavailable
from governance.domain.findings import Finding
from governance.errors import GovernanceError

KINDS: dict[str, DetectorKind] = {
    "behaviour": behaviour.KIND,
    "patterns": patterns.KIND,
    "structure": structure.KIND,
    "access": access.KIND,  # after those whose classes of data it asks for
}
"""By name, in the order in which they are built. A new detector is a file with a `KIND`, named here."""


def available() -> tuple[DetectorDescription, ...]:
    """All detectors of this installation, by name."""
    return tuple(KINDS[name].describe() for name in sorted(KINDS))


def describe(name: str) -> DetectorDescription | None:
    """The detector of that name, or None."""
    return KINDS[name].describe() if name in KINDS else None


def selects(use: DetectorUse, finding: Finding) -> bool:
    """Whether the request asks for such a finding: of the detector, and of what its selector names (packs ...)."""
    if finding.detector != use.name:
        return False
    description = describe(use.name)
    chosen = use.options.get(description.selector) if description is not None and description.selector else None
    return not isinstance(chosen, list | tuple) or finding.pack in chosen


def problems(use: DetectorUse) -> list[str]:
    """What is wrong with what a policy asks for, in words for a lint message; empty when it can be built."""
    description = describe(use.name)
    if description is None:
        return [f"unknown detector {use.name!r}; there are: {', '.join(sorted(KINDS))}"]
    options = {option.name: option for option in description.options}
    found: list[str] = []
    for name, value in use.options.items():
        option = options.get(name)
        if option is None:
            known = ", ".join(options) or "none"
            found.append(f"detector {use.name!r} has no option {name!r}; there are: {known}")
        elif not _is(option.kind, value):
            found.append(f"option {name!r} of detector {use.name!r} must be {_WORDS[option.kind]}")
        elif option.choices:
            values = value if option.kind == "strings" and isinstance(value, Sequence) else [value]
            for unknown in [one for one in values if one not in option.choices]:
                choices = ", ".join(option.choices)
                found.append(f"{unknown!r} is no {name.removesuffix('s')} of {use.name!r}; there are: {choices}")
    for option in options.values():
        if option.required and not use.options.get(option.name):
            there = f"; there are: {', '.join(option.choices)}" if option.choices else ""
            found.append(f"detector {use.name!r} needs {option.name}{there}")
    return found or KINDS[use.name].problems(use.options)


_WORDS = {
    "strings": "a list of strings",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "mapping": "a mapping",
    "mappings": "a list of mappings",
}


def _is(kind: str, value: OptionValue) -> bool:
    match kind:
        case "strings":
            return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        case "mappings":
            return isinstance(value, list | tuple) and all(isinstance(one, dict) for one in value)
        case "mapping":
            return isinstance(value, dict)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def build(
    uses: Iterable[DetectorUse],
    *,
    access_policies: Path | None = None,
    access_texts: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
) -> Runner:
    """One runner for all that is asked: each detector is made once, for every request of it, and runs once.

    See `Surroundings` for the folders. A detector that is unknown or cannot be built is not left out: the runner
    states its failure with every examination (the policies' `on_error` answers).
    """
    asked: dict[str, dict[str, Options]] = {}
    missing: list[Unavailable] = []
    for use in uses:
        found = problems(use)
        if found:
            missing.append(Unavailable(name=use.name, reason=found[0]))
        else:
            stated = json.dumps(use.options, sort_keys=True, separators=(",", ":"), default=list)
            asked.setdefault(use.name, {})[stated] = use.options
    built: dict[str, Detector | CallDetector] = {}
    surroundings = Surroundings(
        access_policies=access_policies, access_texts=access_texts or {}, data_dir=data_dir, built=built
    )
    for name, kind in KINDS.items():
        if name in asked:
            try:
                built[name] = kind.build([asked[name][one] for one in sorted(asked[name])], surroundings)
            except GovernanceError as error:
                missing.append(Unavailable(name=name, reason=str(error)))
    return Runner(
        content_detectors=[one for one in built.values() if isinstance(one, Detector)],
        call_detectors=[one for one in built.values() if isinstance(one, CallDetector)],
        unavailable=missing,
    )
