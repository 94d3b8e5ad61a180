"""The catalogue of outside controls that policies may claim: identifier, official title, where to look it up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """A published set of controls; `controls` maps identifier to title."""

    name: str
    title: str
    source: str
    controls: Mapping[str, str]


@cache
def catalogue() -> Mapping[str, Framework]:
    """All frameworks, by the name that policies use."""
    raw = json.loads(files("governance.policy").joinpath("controls.json").read_text("utf-8"))
    return MappingProxyType(
        {
            name: Framework(
                name=name, title=one["title"], source=one["source"], controls=MappingProxyType(one["controls"])
            )
            for name, one in raw.items()
        }
    )
