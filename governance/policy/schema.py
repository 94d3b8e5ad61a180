"""The JSON Schema of a policy file (draft 2020-12), made from the models; `schema.json` is its published copy."""

from __future__ import annotations

import json
from typing import Any

from governance.policy.policy import Policy

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What editors complete and check policy files with: `# yaml-language-server: $schema=...`."""
    made = Policy.model_json_schema()
    # A policy that extends a floor states only what differs: then what it takes over is not required.
    whole = made.pop("required")
    then = made["$defs"]["Then"].pop("required")
    return {
        "$schema": SCHEMA,
        **made,
        "title": "Policy (governance/v1)",
        "if": {"required": ["extends"]},
        "then": {"required": ["apiVersion", "kind", "id"]},
        "else": {"required": whole, "properties": {"then": {"required": then}}},
    }


def schema_text() -> str:
    """The published file's exact text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
