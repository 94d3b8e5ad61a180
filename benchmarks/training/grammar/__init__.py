"""Texts from grammars: `{slot}` stands for one of a slot's forms, `(a|b|)` for one of the alternatives.

Where a list of templates is expected, a block of text is one a line; `\\n` stands for a new line in them.
"""

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
    """A grammar of this folder as it stands in its file, blocks of text as lists of their lines."""
    return _listed(yaml.safe_load(resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")))


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    return [line.replace("\\n", "\n") for line in value.splitlines()] if isinstance(value, str) else value


def expand(template: str, slots: Slots, chance: random.Random) -> str:
    """One text of a template. Braces that name no slot are left as they are."""

    def slot(match: re.Match[str]) -> str:
        forms = slots.get(match.group(1))
        return expand(str(chance.choice(forms)), slots, chance) if forms else match.group()

    text = template
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda match: chance.choice(match.group(1).split("|")), text)
    return _SLOT.sub(slot, text)
