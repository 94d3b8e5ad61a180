"""Lists the detectors and what can be asked of them, and makes one runner of everything that policies ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from governance.detectors import (
    access,
    behaviour,
    classifier,
    grounding,
    judge,
    llm_guard,
    patterns,
    pii,
    presidio,
    secrets,
    structure,
    transformers,
)
from governance.detectors.interface import (
    ATTENTION,
    Attention,
    CallDetector,
    Detector,
    DetectorDescription,
    DetectorKind,
    DetectorUse,
    JudgeEndpoint,
    Options,
    OptionValue,
    ScannerLimits,
    Surroundings,
)
from governance.detectors.runner import Runner, Unavailable
from governance.domain.findings import Finding
from governance.errors import GovernanceError

KINDS: dict[str, DetectorKind] = {
    "behaviour": behaviour.KIND,
    "classifier": classifier.KIND,
    "grounding": grounding.KIND,
    "patterns": patterns.KIND,
    "pii": pii.KIND,
    "presidio": presidio.KIND,
    "secrets": secrets.KIND,
    "structure": structure.KIND,
    "llm_guard": llm_guard.KIND,
    "transformers": transformers.KIND,
    "judge": judge.KIND,
    "access": access.KIND,  # after those whose classes of data it asks for
}
"""By name, in the order in which they are built. A new detector is a file with a `KIND`, named here."""
HOSTED = (llm_guard.NAME, transformers.NAME)
"""Those that run in the scanners' own environment."""
LONGEST_DEADLINE = 300
"""Seconds."""


def available() -> tuple[DetectorDescription, ...]:
    """All detectors of this installation, by name."""
    return tuple(described for name in sorted(KINDS) if (described := describe(name)) is not None)


def describe(name: str) -> DetectorDescription | None:
    """The detector of that name, with all options that it takes; None for an unknown one."""
    if name not in KINDS:
        return None
    description = KINDS[name].describe()
    return description if description.cost == "low" else replace(description, options=description.options + ATTENTION)


def resolved(use: DetectorUse) -> DetectorUse:
    """The request in the terms of the detector that does the work, which are those of its findings."""
    kind = KINDS.get(use.name)
    return use if kind is None or kind.request is None else kind.request(use.options)


def selects(use: DetectorUse, finding: Finding) -> bool:
    """Whether the request asks for such a finding: of this detector, and of what its selector names (packs ...)."""
    if finding.detector != use.name:
        return False
    kind = KINDS.get(use.name)
    if kind is not None and kind.selected is not None:
        packs = kind.selected(use.options)
        return packs is None or finding.pack in packs
    selector = kind.describe().selector if kind is not None else ""
    chosen = use.options.get(selector) if selector else None
    return not isinstance(chosen, list | tuple) or any(finding.pack == _selected(one) for one in chosen)


def _selected(one: OptionValue) -> OptionValue:
    """The value of `Finding.pack` for one value of a selector: the value itself, or a mapping's name."""
    return (one.get("as") or one.get("name")) if isinstance(one, Mapping) else one


def problems(use: DetectorUse) -> Sequence[str]:
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
    if description.cost != "low" and not found:
        found = _misdirected(use.options)
    return found or KINDS[use.name].problems(_own(use.options, description))


def _misdirected(options: Options) -> list[str]:
    sample, deadline = options.get("sample", 0), options.get("deadline", 1)
    found = []
    if not (isinstance(sample, int | float) and 0 <= sample <= 1):
        found.append("option 'sample' must be between 0 and 1")
    if not (isinstance(deadline, int | float) and 0 < deadline <= LONGEST_DEADLINE):
        found.append(f"option 'deadline' must be above 0 and at most {LONGEST_DEADLINE} seconds")
    return found


def _own(options: Options, description: DetectorDescription) -> Options:
    """The options that the detector itself reads: not those that say when it runs."""
    if description.cost == "low":
        return options
    taken = {option.name for option in ATTENTION}
    return {name: value for name, value in options.items() if name not in taken}


def _attention(description: DetectorDescription, requests: Sequence[Options], *, thorough: bool) -> Attention:
    """What serves all requests: the most that any policy wants examined, the shortest deadline that any sets."""
    if description.cost == "low":
        return Attention(deadline=description.deadline)
    usual = "flagged" if description.cost == "high" else "always"
    always = thorough or any(request.get("on", usual) == "always" for request in requests)
    samples = [value for request in requests if isinstance(value := request.get("sample", 0), int | float)]
    deadlines = [value for request in requests if isinstance(value := request.get("deadline"), int | float)]
    return Attention(
        on="always" if always else "flagged",
        late=description.cost == "high" or not always,
        sample=0.0 if always else float(max(samples, default=0)),
        deadline=float(min(deadlines)) if deadlines else description.deadline,
    )


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
    scanners: ScannerLimits | None = None,
    judge: JudgeEndpoint | None = None,
    thorough: bool = False,
) -> Runner:
    """One runner for all that is asked: each detector is made once, for every request of it, and runs once.

    See `Surroundings` for the folders and limits. `thorough` lets costly detectors look at everything, whatever the
    requests say: for the tests of policies. A detector that is unknown or cannot be built is not left out: the runner
    states its failure with every examination (the policies' `on_error` answers).
    """
    asked: dict[str, dict[str, Options]] = {}
    heeded: dict[str, list[Options]] = {}
    missing: list[Unavailable] = []
    for stated_use in uses:
        found = problems(stated_use)
        use = resolved(stated_use) if not found else stated_use
        if found:
            missing.append(Unavailable(name=use.name, reason=found[0]))
        else:
            heeded.setdefault(use.name, []).append(use.options)
            own = _own(use.options, KINDS[use.name].describe())
            stated = json.dumps(own, sort_keys=True, separators=(",", ":"), default=list)
            asked.setdefault(use.name, {})[stated] = own
    built: dict[str, Detector | CallDetector] = {}
    attention = {
        name: _attention(KINDS[name].describe(), requests, thorough=thorough) for name, requests in heeded.items()
    }
    surroundings = Surroundings(
        access_policies=access_policies,
        access_texts=access_texts or {},
        data_dir=data_dir,
        scanners=scanners or ScannerLimits(),
        judge=judge or JudgeEndpoint(),
        built=built,
    )
    for name, kind in KINDS.items():
        if name in asked:
            try:
                requests = [asked[name][one] for one in sorted(asked[name])]
                built[name] = kind.build(requests, replace(surroundings, deadline=attention[name].deadline))
            except GovernanceError as error:
                missing.append(Unavailable(name=name, reason=str(error)))
    return Runner(
        content_detectors=[one for one in built.values() if isinstance(one, Detector)],
        call_detectors=[one for one in built.values() if isinstance(one, CallDetector)],
        unavailable=missing,
        attention=attention,
    )
