"""Findings and decisions as the JSON text that their columns hold, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from governance.domain.content import PartKind
from governance.domain.decisions import (
    Action,
    Decision,
    Outcome,
    PolicyOutcome,
    PolicyScope,
    PolicyStatus,
    Severity,
)
from governance.domain.findings import DetectorFailure, Examination, Finding

_NOTHING = '{"findings":[],"failures":[]}'
_LEFT_OUT: dict[str, Any] = {"pack": "", "label": "", "start": 0, "end": 0, "part": None, "index": 0}
"""What `finding_document` leaves out: a place at the start of a text is a place all the same."""


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON; what has its default is left out."""
    document: dict[str, Any] = {
        "detector": finding.detector,
        "category": finding.category,
        "rule": finding.rule,
        "score": finding.score,
    }
    for name in ("pack", "label", "start", "end", "index"):
        if value := getattr(finding, name):
            document[name] = value
    if finding.part is not None:
        document["part"] = finding.part.value
    if finding.data:
        document["data"] = dict(finding.data)
    return document


def finding_of(document: Mapping[str, Any]) -> Finding:
    part = document.get("part")
    return Finding(**{**document, "part": None if part is None else PartKind(part)})


def failure_document(failure: DetectorFailure) -> dict[str, str]:
    return {"detector": failure.detector, "reason": failure.reason}


def encode_examination(examination: Examination) -> str:
    if not examination.findings and not examination.failures and not examination.skipped:
        return _NOTHING
    document: dict[str, Any] = {
        "findings": [finding_document(finding) for finding in examination.findings],
        "failures": [failure_document(failure) for failure in examination.failures],
    }
    if examination.skipped:
        document["skipped"] = list(examination.skipped)
    return json.dumps(document, separators=(",", ":"))


def decode_examination(text: str) -> Examination:
    if text == _NOTHING:
        return Examination()
    document = json.loads(text)
    return Examination(
        findings=tuple(finding_of(item) for item in document["findings"]),
        failures=tuple(DetectorFailure(**item) for item in document["failures"]),
        skipped=tuple(document.get("skipped", ())),
    )


def policy_document(outcome: PolicyOutcome) -> dict[str, Any]:
    """A policy's outcome as JSON; its scope is said where it is not the call."""
    document = {
        "policy": outcome.policy,
        "title": outcome.title,
        "outcome": outcome.outcome.value,
        "status": outcome.status.value,
        "action": outcome.action.value,
        "severity": outcome.severity.value,
        "queue": outcome.queue,
        "explanation": outcome.explanation,
        "findings": list(outcome.findings),
        "controls": {name: list(ids) for name, ids in outcome.controls.items()},
        "values": dict(outcome.values),
    }
    if outcome.scope is not PolicyScope.CALL:
        document["scope"] = outcome.scope.value
    return document


def encode_decision(
    decision: Decision,
    findings: Sequence[Finding],
    failures: Sequence[DetectorFailure],
    skipped: Sequence[str] = (),
) -> str:
    """The `detail` column: {policies, findings, failures, explanation, skipped}; a policy refers to findings by index,
    `skipped` names the detectors that did not look at all of the call, as they were told, and is left out if empty."""
    if not decision.policies and not findings and not failures and not decision.explanation and not skipped:
        return "{}"
    document: dict[str, Any] = {
        "policies": [policy_document(outcome) for outcome in decision.policies],
        "findings": [finding_document(finding) for finding in findings],
        "failures": [failure_document(failure) for failure in failures],
        "explanation": decision.explanation,
    }
    if skipped:
        document["skipped"] = list(skipped)
    return json.dumps(document, separators=(",", ":"))


def decode_decision(row: Any, digest: str) -> tuple[Decision, tuple[Finding, ...], tuple[DetectorFailure, ...]]:
    """The decision of a `decision` row, with the findings it refers to and the detectors that had failed."""
    detail = decode_detail(row.detail)
    decision = Decision(
        action=Action(row.action),
        policy_set=digest,
        queue=row.queue,
        severity=list(Severity)[row.severity - 1] if row.severity else None,
        policies=tuple(outcome_of(document) for document in detail["policies"]),
        explanation=detail["explanation"],
    )
    findings = tuple(finding_of(document) for document in detail["findings"])
    return decision, findings, tuple(DetectorFailure(**document) for document in detail["failures"])


def outcome_of(document: Mapping[str, Any]) -> PolicyOutcome:
    """What `policy_document` made."""
    return PolicyOutcome(
        policy=document["policy"],
        title=document["title"],
        outcome=Outcome(document["outcome"]),
        status=PolicyStatus(document["status"]),
        action=Action(document["action"]),
        severity=Severity(document["severity"]),
        queue=document["queue"],
        explanation=document["explanation"],
        findings=tuple(document["findings"]),
        controls={name: tuple(ids) for name, ids in document["controls"].items()},
        values=document["values"],
        scope=PolicyScope(document.get("scope", PolicyScope.CALL)),
    )


def decode_detail(text: str) -> dict[str, Any]:
    """The `detail` column with all its keys, and its findings with all of theirs."""
    detail: dict[str, Any] = {"policies": [], "findings": [], "failures": [], "explanation": "", "skipped": []}
    detail.update(json.loads(text))
    detail["findings"] = [_LEFT_OUT | finding for finding in detail["findings"]]
    return detail
