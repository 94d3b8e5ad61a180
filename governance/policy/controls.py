"""The catalogue of outside controls that policies may name: identifier, short title, and where to look it up.

Each framework is a file of `frameworks/` with its version and source. Titles are short words of our own or the name of
an entry, never the text of a standard: what a control asks for is read at its source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

NAMES = ("owasp_llm", "owasp_asi", "atlas", "eu_ai_act", "iso42001", "nist_ai_rmf", "nist_ai_600_1")
"""The frameworks, in the order in which they are shown."""


class Means(StrEnum):
    """What can serve a control, in our judgement: policies on calls; the product itself (its log, review, reports); or
    only the organisation, outside of what is seen in calls. A policy may name any of them."""

    POLICIES = "policies"
    PRODUCT = "product"
    ORGANISATION = "organisation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One entry of a framework. `title` is for recognising it, not for quoting it."""

    id: str
    title: str
    means: Means


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """A published set of controls, by identifier. `label` is what it is called before an identifier; `complete` is
    false where only a selection of its entries is listed."""

    name: str
    title: str
    label: str
    version: str
    publisher: str
    source: str
    licence: str
    complete: bool
    controls: Mapping[str, Control]


@cache
def catalogue() -> Mapping[str, Framework]:
    """All frameworks, by the name that policies use."""
    return MappingProxyType({name: _framework(name) for name in NAMES})


def _framework(name: str) -> Framework:
    raw = json.loads(files("governance.policy").joinpath("frameworks", f"{name}.json").read_text("utf-8"))
    controls = {
        identifier: Control(id=identifier, title=one["title"], means=Means(one["means"]))
        for identifier, one in raw.pop("controls").items()
    }
    return Framework(name=name, controls=MappingProxyType(controls), **raw)


def describe(field: dict[str, Any]) -> None:
    """Adds the frameworks and their identifiers to the JSON Schema of a policy's `controls`, for editors."""
    field["properties"] = {
        name: {
            "description": f"{framework.title}, {framework.version}. See {framework.source}.",
            "items": {"enum": list(framework.controls)},
            "type": "array",
        }
        for name, framework in catalogue().items()
    }
    field["additionalProperties"] = False
