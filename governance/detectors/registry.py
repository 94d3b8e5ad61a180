"""Which detectors there are, what can be asked of them, and how what all policies ask becomes one runner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from governance.detectors.access import ACCESS, AccessDetector
from governance.detectors.behaviour import BEHAVIOUR, BehaviourDetector
from governance.detectors.interface import CallDetector, Detector, DetectorDescription, DetectorUse, OptionValue
from governance.detectors.packs import pack_names
from governance.detectors.patterns import PatternDetector, describe_patterns
from governance.detectors.runner import Runner, Unavailable
from governance.detectors.structure import STRUCTURE, StructureDetector
from governance.errors import GovernanceError


def available() -> tuple[DetectorDescription, ...]:
    """All detectors of this installation, by name."""
    return (ACCESS, BEHAVIOUR, describe_patterns(), STRUCTURE)


def describe(name: str) -> DetectorDescription | None:
    """The detector of that name, or None."""
    return next((description for description in available() if description.name == name), None)


def problems(use: DetectorUse) -> list[str]:
    """What is wrong with what a policy asks for, in words for a lint message; empty when it can be built."""
    description = describe(use.name)
    if description is None:
        known = ", ".join(one.name for one in available())
        return [f"unknown detector {use.name!r}; there are: {known}"]
    options = {option.name: option for option in description.options}
    found: list[str] = []
    for name, value in use.options.items():
        option = options.get(name)
        if option is None:
            known = ", ".join(options) or "none"
            found.append(f"detector {use.name!r} has no option {name!r}; there are: {known}")
        elif not _is(option.kind, value):
            found.append(f"option {name!r} of detector {use.name!r} must be {_KINDS[option.kind]}")
        elif option.choices:
            values = value if option.kind == "strings" and isinstance(value, Sequence) else [value]
            for unknown in [one for one in values if one not in option.choices]:
                choices = ", ".join(option.choices)
                found.append(f"{unknown!r} is no {name.removesuffix('s')} of {use.name!r}; there are: {choices}")
    if use.name == "patterns" and not use.options.get("packs"):
        found.append(f"detector 'patterns' needs packs; there are: {', '.join(pack_names())}")
    return found


_KINDS = {
    "strings": "a list of strings",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _is(kind: str, value: OptionValue) -> bool:
    match kind:
        case "strings":
            return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def build(uses: Iterable[DetectorUse], *, access_policies: Path | None = None) -> Runner:
    """One runner for all that is asked: packs are united, of thresholds the lowest is taken, each detector runs once.

    `access_policies` is the folder with `data.cedar` and `data.cedarschema`. A detector that is unknown or cannot be
    built is not left out: the runner states its failure with every examination (the policies' `on_error` answers).
    """
    asked: dict[str, dict[str, OptionValue]] = {}
    missing: list[Unavailable] = []
    for use in uses:
        found = problems(use)
        if found:
            missing.append(Unavailable(name=use.name, reason=found[0]))
            continue
        merged = asked.setdefault(use.name, {})
        for name, value in use.options.items():
            merged[name] = _merge(merged[name], value) if name in merged else value
    content: list[Detector] = []
    call: list[CallDetector] = []
    patterns: PatternDetector | None = None
    for name in sorted(asked, key=lambda one: (one == "access", one)):
        options = asked[name]
        try:
            match name:
                case "patterns":
                    patterns = PatternDetector.of(_strings(options, "packs"))
                    content.append(patterns)
                case "structure":
                    structure = StructureDetector(options)
                    content.append(structure)
                    call.append(structure)
                case "behaviour":
                    call.append(BehaviourDetector(options))
                case "access":
                    call.append(AccessDetector.load(access_policies, classify=patterns))
        except GovernanceError as error:
            missing.append(Unavailable(name=name, reason=str(error)))
    return Runner(content_detectors=content, call_detectors=call, unavailable=missing, options=asked)


def _strings(options: Mapping[str, OptionValue], name: str) -> tuple[str, ...]:
    value = options.get(name)
    return tuple(sorted({str(one) for one in value})) if isinstance(value, list | tuple) else ()


def _merge(one: OptionValue, other: OptionValue) -> OptionValue:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return sorted({str(value) for value in (*one, *other)})
    if isinstance(one, int | float) and isinstance(other, int | float):
        return min(one, other)
    return other
