"""The forms in which a report of controls is given away: a JSON document and a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from governance.audit.spreadsheet import Cell, table
from governance.services.policies.controls.coverage import (
    NOTE,
    ControlCoverage,
    FrameworkCoverage,
    Hits,
    MappedPolicy,
    Report,
)

COLUMNS = (
    "framework",
    "version",
    "control",
    "title",
    "means",
    "policy",
    "policy_title",
    "owner",
    "status",
    "severity",
    "tests",
    "tests_failed",
    "hits",
    "hits_in_shadow",
    "could_not_judge",
    "violations",
    "false_alarms",
    "cases_waiting",
    "gaps",
    "evidence",
)


def document(report: Report) -> dict[str, Any]:
    """The report as a JSON-compatible value: the controls by framework, and their policies once each."""
    period = report.period
    return {
        "note": NOTE,
        "policy_set": report.policy_set,
        "in_force": report.in_force,
        "made_at": _moment(report.made_at),
        "since": None if period is None else period.since.isoformat(),
        "until": None if period is None else period.until.isoformat(),
        "systems": None if report.systems is None else list(report.systems),
        "calls": report.calls,
        "tests_run": report.tested,
        "frameworks": [_framework(part) for part in report.frameworks],
        "policies": [_policy(policy) for policy in report.policies],
    }


def csv(report: Report) -> bytes:
    """One row for each control and policy; a control without a policy has a row of its own."""
    return table(COLUMNS, _rows(report))


def _framework(part: FrameworkCoverage) -> dict[str, Any]:
    framework = part.framework
    return {
        "name": framework.name,
        "title": framework.title,
        "version": framework.version,
        "publisher": framework.publisher,
        "source": framework.source,
        "complete": framework.complete,
        "mapped": part.mapped,
        "expected": part.expected,
        "with_gaps": part.with_gaps,
        "controls": [_control(one) for one in part.controls],
    }


def _control(one: ControlCoverage) -> dict[str, Any]:
    known = any(policy.hits is not None for policy in one.policies)
    return {
        "id": one.control.id,
        "title": one.control.title,
        "means": one.control.means.value,
        "policies": [policy.id for policy in one.policies],
        "tests": one.tests,
        "tests_failed": one.failed,
        "hits": _hits(one.hits) if known else None,
        "gaps": [{"kind": gap.kind.value, "policies": list(gap.policies), "words": gap.words} for gap in one.gaps],
    }


def _policy(one: MappedPolicy) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "owner": one.owner,
        "status": one.status.value,
        "severity": one.severity.value,
        "tests": [
            {"name": test.name, "expected": test.expected, "todo": test.todo, "passed": test.passed}
            for test in one.tests
        ],
        "hits": None if one.hits is None else _hits(one.hits),
        "evidence": one.evidence,
    }


def _hits(hits: Hits) -> dict[str, Any]:
    return {
        "fired": hits.fired,
        "fired_in_shadow": hits.shadow_fired,
        "could_not_judge": hits.errors,
        "excepted": hits.excepted,
        "violations": hits.violations,
        "false_alarms": hits.false_alarms,
        "cases_waiting": hits.waiting,
        "last_at": None if hits.last_at is None else _moment(hits.last_at),
    }


def _rows(report: Report) -> Iterator[list[Cell]]:
    for part in report.frameworks:
        for one in part.controls:
            control = one.control
            head: list[Cell] = [
                part.framework.title,
                part.framework.version,
                control.id,
                control.title,
                control.means.value,
            ]
            if not one.policies:
                said = " ".join(gap.words for gap in one.gaps)
                yield [*head, *[None] * (len(COLUMNS) - len(head) - 2), said, None]
            for policy in one.policies:
                hits = policy.hits
                yield [
                    *head,
                    policy.id,
                    policy.title,
                    policy.owner,
                    policy.status.value,
                    policy.severity.value,
                    policy.promised,
                    policy.failed if report.tested else None,
                    *(
                        [None] * 6
                        if hits is None
                        else [
                            hits.fired,
                            hits.shadow_fired,
                            hits.errors,
                            hits.violations,
                            hits.false_alarms,
                            hits.waiting,
                        ]
                    ),
                    " ".join(gap.words for gap in one.gaps if not gap.policies or policy.id in gap.policies),
                    policy.evidence,
                ]


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
