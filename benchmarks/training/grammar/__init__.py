"""Texts from grammars: `{slot}` stands for one of a slot's forms, `(a|b|)` for one of the alternatives."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{([a-z_0-9]+)\}")

Slots = Mapping[str, Sequence[str]]


@cache
def grammar(name: str) -> Any:
    """A grammar of this folder as it stands in its file."""
    return yaml.safe_load(resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def expand(template: str, slots: Slots, chance: random.Random) -> str:
    """One text of a template. Braces that name no slot are left as they are."""

    def slot(match: re.Match[str]) -> str:
        forms = slots.get(match.group(1))
        return expand(str(chance.choice(forms)), slots, chance) if forms else match.group()

    text = template
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda match: chance.choice(match.group(1).split("|")), text)
    return _SLOT.sub(slot, text)
