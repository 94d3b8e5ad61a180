"""Runs the detectors that a policy set asks for: whatever happens inside one, the outcome is stated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from governance.detectors.interface import CallDetector, Detector
from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.errors import GovernanceError

FINDINGS_A_RULE = 16
FINDINGS_A_SUBJECT = 128
SPANS_AN_AGGREGATE = 2_000


@dataclass(kw_only=True)
class Health:
    """Counters of one detector in this process, since it was built."""

    examined: int = 0
    failed: int = 0
    seconds: float = 0.0
    last_failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Stands in for a detector that could not be built: every examination states that it did not run."""

    name: str
    reason: str


class Runner:
    """The detectors of one policy set.

    A detector that raises gives a `DetectorFailure`, never silence. What is left of a subject's findings is bounded:
    see `bounded`. Instances hold no state of a call and may be shared by threads; `health` counts approximately then.
    """

    def __init__(
        self,
        *,
        content_detectors: Sequence[Detector] = (),
        call_detectors: Sequence[CallDetector] = (),
        unavailable: Sequence[Unavailable] = (),
    ) -> None:
        self._content = tuple(content_detectors)
        self._call = tuple(call_detectors)
        self._unavailable = tuple(
            DetectorFailure(detector=missing.name, reason=f"unavailable: {missing.reason}") for missing in unavailable
        )
        versions = sorted(
            {(one.name, one.version) for one in self._content} | {(one.name, one.version) for one in self._call}
        )
        missing = sorted((one.name, one.reason) for one in unavailable)
        stated = json.dumps([versions, missing], separators=(",", ":"))
        self.digest: str = hashlib.sha256(stated.encode()).hexdigest()[:16]
        """16 hex digits over names and versions, which cover options and packs: all that findings depend on."""
        self.versions: dict[str, str] = dict(versions)
        self.health: dict[str, Health] = {name: Health() for name, _ in versions}
        for one in unavailable:
            self.health[one.name] = Health(failed=1, last_failure=f"unavailable: {one.reason}")

    @property
    def names(self) -> tuple[str, ...]:
        """All detectors asked for, also those that are unavailable."""
        return tuple(sorted(self.health))

    def examine(self, content: Content) -> Examination:
        """Facts about one content item, with offsets in code points of its text. Never raises for a detector's sake."""
        return self._run((detector.name, lambda d=detector: d.examine(content)) for detector in self._content)  # type: ignore[misc]

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Examination:
        """Facts about the call as a whole, or about a part of it in this call only."""
        return self._run((detector.name, lambda d=detector: d.examine_call(call, parts)) for detector in self._call)  # type: ignore[misc]

    def _run(self, detectors: Iterable[tuple[str, Callable[[], Sequence[Finding]]]]) -> Examination:
        findings: list[Finding] = []
        failures = list(self._unavailable)
        for name, examine in detectors:
            health = self.health[name]
            began = perf_counter()
            try:
                findings.extend(examine())
            except Exception as error:
                reason = describe_failure(error)
                health.failed += 1
                health.last_failure = reason
                failures.append(DetectorFailure(detector=name, reason=reason))
            health.examined += 1
            health.seconds += perf_counter() - began
        return Examination(findings=bounded(findings), failures=tuple(failures))


def describe_failure(error: Exception) -> str:
    """Why a detector failed, without its words: a foreign exception's message may quote the content."""
    if isinstance(error, GovernanceError | TimeoutError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def bounded(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """At most `FINDINGS_A_RULE` findings a rule (fewer when many rules fire), the rest as one aggregate a rule.

    Conditions cost time linear in findings, so a text of ten thousand e-mail addresses must not give ten thousand.
    Nothing is lost: the aggregate has the highest score and `data` {aggregated: true, count, spans: "start:end ..."};
    beyond `SPANS_AN_AGGREGATE` spans the last one reaches from the first left out to the end of the last.
    """
    if len(findings) <= FINDINGS_A_RULE:
        return tuple(findings)
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (
            finding.detector,
            finding.category,
            finding.pack,
            finding.rule,
            finding.label,
            finding.part,
            finding.index,
        )
        groups.setdefault(key, []).append(finding)
    each = max(1, min(FINDINGS_A_RULE, FINDINGS_A_SUBJECT // len(groups)))
    kept: list[Finding] = []
    for group in groups.values():
        kept.extend(group[:each])
        rest = sorted(group[each:], key=lambda finding: (finding.start, finding.end))
        if rest:
            spans = sorted(span for finding in rest for span in spans_of(finding))
            if len(spans) > SPANS_AN_AGGREGATE:
                left = spans[SPANS_AN_AGGREGATE - 1 :]
                spans[SPANS_AN_AGGREGATE - 1 :] = [(left[0][0], max(end for _, end in left))]
            kept.append(
                replace(
                    rest[0],
                    score=max(finding.score for finding in rest),
                    start=rest[0].start,
                    end=max(finding.end for finding in rest),
                    data={
                        "aggregated": True,
                        "count": sum(_count(finding) for finding in rest),
                        "spans": " ".join(f"{start}:{end}" for start, end in spans),
                    },
                )
            )
    return tuple(kept)


def _count(finding: Finding) -> float:
    count = finding.data.get("count", 1.0) if finding.data.get("aggregated") else 1.0
    return count if isinstance(count, float) else 1.0


def spans_of(finding: Finding) -> list[tuple[int, int]]:
    """The places of a finding, also of an aggregate; in code points, end exclusive."""
    spans = finding.data.get("spans")
    if isinstance(spans, str) and spans:
        return [(int(start), int(end)) for start, _, end in (span.partition(":") for span in spans.split(" "))]
    return [(finding.start, finding.end)] if finding.end > finding.start else []
