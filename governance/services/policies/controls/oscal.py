"""The report as an OSCAL component definition (1.1.3, JSON): each policy is a component, with the controls that it is
mapped to. Gaps are not part of it: OSCAL states what there is.

No framework here is published as an OSCAL catalog by its owner, so that `source` points at a resource in the back
matter, which names and links the publication. Identifiers become tokens as OSCAL wants them: `token`.

Source: https://pages.nist.gov/OSCAL-Reference/models/v1.1.3/component-definition/json-reference/
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from governance.policy.controls import Framework
from governance.services.policies.controls.coverage import NOTE, Hits, MappedPolicy, Report
from governance.services.policies.controls.forms import document

VERSION = "1.1.3"
_OWN = "urn:governance-console:oscal"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, _OWN)
_PREFIX = {"eu_ai_act": "article-", "nist_ai_600_1": "section-"}
_TOKEN = re.compile(r"[^A-Za-z0-9._-]+")


def component_definition(report: Report) -> dict[str, Any]:
    """The document. Identifiers of components are the same in every report; that of the document changes with it."""
    named: dict[str, dict[str, tuple[Framework, list[str]]]] = {}
    for part in report.frameworks:
        for one in part.controls:
            for policy in one.policies:
                mine = named.setdefault(policy.id, {})
                mine.setdefault(part.framework.name, (part.framework, []))[1].append(one.control.id)
    used = {name: framework for mine in named.values() for name, (framework, _ids) in mine.items()}
    period = report.period
    during = "" if period is None else f", {period.since} to {period.until}"
    made: dict[str, Any] = {
        "uuid": _uuid("document", repr(document(report))),
        "metadata": {
            "title": "Controls that policies are mapped to",
            "last-modified": report.made_at.isoformat(),
            "version": f"{report.policy_set[:12]}{during}",
            "oscal-version": VERSION,
            "props": [_prop("policy-set", report.policy_set), _prop("in-force", str(report.in_force).lower())],
            "remarks": NOTE,
        },
    }
    policies = {policy.id: policy for policy in report.policies}
    if named:
        made["components"] = [_component(policies[name], named[name], report) for name in sorted(named)]
    if used:
        made["back-matter"] = {"resources": [_resource(used[name]) for name in sorted(used)]}
    return {"component-definition": made}


def token(framework: str, identifier: str) -> str:
    """An identifier as an OSCAL token: it starts with a letter and has no blanks. `15` of the AI Act: `article-15`."""
    return _PREFIX.get(framework, "") + _TOKEN.sub("-", identifier)


def _component(policy: MappedPolicy, named: dict[str, tuple[Framework, list[str]]], report: Report) -> dict[str, Any]:
    return {
        "uuid": _uuid("policy", policy.id),
        "type": "policy",
        "title": policy.title,
        "description": f"The policy {policy.id}, owned by {policy.owner}; its status is {policy.status.value}.",
        "props": [
            _prop("policy-id", policy.id),
            _prop("policy-status", policy.status.value),
            _prop("severity", policy.severity.value),
            _prop("tests", str(policy.promised)),
            *([_prop("tests-failed", str(policy.failed))] if report.tested else []),
            *([] if policy.hits is None else _figures(policy.hits)),
        ],
        "control-implementations": [
            {
                "uuid": _uuid("implementation", policy.id, name),
                "source": f"#{_uuid('framework', name)}",
                "description": f"What the policy is mapped to in {framework.title}, {framework.version}.",
                "links": [{"href": f"#{_uuid('framework', name)}", "rel": "reference"}],
                "implemented-requirements": [
                    {
                        "uuid": _uuid("requirement", policy.id, name, identifier),
                        "control-id": token(name, identifier),
                        "description": f"{policy.title}. Mapped to {framework.label} {identifier}: "
                        f"{framework.controls[identifier].title}.",
                        "props": [_prop("control-identifier", identifier)],
                        "remarks": f"Evidence: {policy.evidence}",
                    }
                    for identifier in identifiers
                ],
            }
            for name, (framework, identifiers) in named.items()
        ],
        "remarks": _remarks(policy, report),
    }


def _figures(hits: Hits) -> list[dict[str, str]]:
    return [
        _prop("hits", str(hits.fired)),
        _prop("hits-in-shadow", str(hits.shadow_fired)),
        _prop("could-not-judge", str(hits.errors)),
        _prop("violations", str(hits.violations)),
        _prop("false-alarms", str(hits.false_alarms)),
        _prop("cases-waiting", str(hits.waiting)),
    ]


def _remarks(policy: MappedPolicy, report: Report) -> str:
    said = []
    if policy.hits is not None and report.period is not None:
        hits, period = policy.hits, report.period
        said.append(
            f"From {period.since} to before {period.until} (UTC) it fired on {hits.fired} calls and, in shadow, on "
            f"{hits.shadow_fired}; people called {hits.violations} of its cases violations and {hits.false_alarms} "
            "false alarms."
        )
        if report.systems is not None:
            said.append(f"Counted for the systems {', '.join(report.systems) or 'of nobody'} only.")
    return " ".join([*said, f"Evidence: {policy.evidence}"])


def _resource(framework: Framework) -> dict[str, Any]:
    return {
        "uuid": _uuid("framework", framework.name),
        "title": f"{framework.title}, {framework.version}",
        "description": f"Published by {framework.publisher}. {framework.licence}.",
        "rlinks": [{"href": framework.source}],
    }


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": _OWN, "value": value}


def _uuid(*parts: str) -> str:
    """Version 5 of RFC 9562: the same for the same thing."""
    return str(uuid.uuid5(_SPACE, "\n".join(parts)))
