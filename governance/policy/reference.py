"""The generated parts of docs/policies.md: made from what the code does, so that a test can keep them true."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from pydantic import BaseModel

from governance.policy.context import MESSAGES
from governance.policy.explain import CALL, FINDING
from governance.policy.lint import RULES
from governance.policy.policy import Budget, Detect, Exemption, Floor, Policy, PolicyTest, Scope, Then

_MODELS: Mapping[str, type[BaseModel]] = {
    "": Policy,
    "applies_to.": Scope,
    "detectors.*.": Detect,
    "then.": Then,
    "exceptions[].": Exemption,
    "tests[].": PolicyTest,
    "budget.": Budget,
    "floor.": Floor,
}


def fields() -> str:
    """Every field of a policy file."""
    rows = ["| Field | | Meaning |", "|---|---|---|"]
    for prefix, model in _MODELS.items():
        for name, field in model.model_fields.items():
            needed = "required" if field.is_required() else ""
            rows.append(f"| `{prefix}{name}` | {needed} | {field.description} |")
    return "\n".join(rows)


def context() -> str:
    """Every field that conditions can read."""
    tables = []
    for message, fields_ in MESSAGES.items():
        rows = [f"**{message}**", "", "| Field | Type | Meaning |", "|---|---|---|"]
        rows += [
            f"| `{field.name}` | {field.type}{', optional' if field.optional else ''} | {field.doc} |"
            for field in fields_
        ]
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def rules() -> str:
    """Every lint rule."""
    rows = ["| Rule | | What it asks for |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{rule.id}` | {rule.level} | {rule.says} |" for rule in RULES)])


def placeholders() -> str:
    """Every placeholder of an explanation."""
    names = [*(f"finding.{name}" for name in FINDING), "params.*", *(f"call.{name}" for name in CALL)]
    return textwrap.fill(", ".join(f"`{{{name}}}`" for name in names), 120, break_on_hyphens=False)


def filled(page: str) -> str:
    """The page with each generated part as it must be."""
    parts = {"fields": fields(), "context": context(), "rules": rules(), "placeholders": placeholders()}
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page = pattern.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)  # type: ignore[misc]
    return page
