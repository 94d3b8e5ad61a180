"""Checks one call: examines what is new in it, puts the findings in their places, and decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from governance.domain.calls import Call
from governance.domain.content import Content, Part, parts_of
from governance.domain.decisions import Decision
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.engine.decide import Engine

NOTHING_KNOWN: Mapping[Content, Examination] = MappingProxyType({})


class Examiner(Protocol):
    """What runs the detectors: `governance.detectors.runner.Runner`."""

    def examine(self, content: Content) -> Examination: ...

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Examination: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a check came to.

    `examinations` are those of this check's new content, `call_examination` is about the call as a whole. `findings`
    are all findings in their places (`part` and `index` set), call-level ones last; `decision` refers to them by index.
    """

    parts: tuple[Part, ...]
    examinations: Mapping[Content, Examination]
    call_examination: Examination
    findings: tuple[Finding, ...]
    failures: tuple[DetectorFailure, ...]
    decision: Decision


class Checker:
    """Detectors and a policy set together. Holds no state of a call."""

    def __init__(self, runner: Examiner, engine: Engine) -> None:
        self.runner = runner
        self.engine = engine

    def check(self, call: Call, known: Mapping[Content, Examination] = NOTHING_KNOWN) -> Checked:
        """Examines each content item of the call once, unless `known` has what the same detectors said of it."""
        parts = tuple(parts_of(call))
        fresh: dict[Content, Examination] = {}
        findings: list[Finding] = []
        failures: dict[DetectorFailure, None] = {}
        for part in parts:
            examination = known.get(part.content) or fresh.get(part.content)
            if examination is None:
                examination = fresh[part.content] = self.runner.examine(part.content)
            if examination.findings:
                findings.extend(replace(finding, part=part.kind, index=part.index) for finding in examination.findings)
            if examination.failures:
                failures.update(dict.fromkeys(examination.failures))
        whole = self.runner.examine_call(call, parts)
        findings.extend(whole.findings)
        failures.update(dict.fromkeys(whole.failures))
        decision = self.engine.decide(call, parts, findings, tuple(failures))
        return Checked(
            parts=parts,
            examinations=fresh,
            call_examination=whole,
            findings=tuple(findings),
            failures=tuple(failures),
            decision=decision,
        )
