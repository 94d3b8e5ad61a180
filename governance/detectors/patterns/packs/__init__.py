"""Rule packs: one YAML file a pack, each rule with the texts it must hit and must leave alone.

    pack: injection                  # also the file's name
    title: ...                       # one line, for lists
    category: injection              # of its findings, unless a rule says otherwise
    words: {override: ignore|forget} # named alternatives, written <override> in a regex
    rules:
      - id: override-en              # unique in the pack
        label: instruction_override  # narrows the category
        score: 0.9                   # 0 to 1: how sure a hit is; says nothing about how bad it is
        languages: [en]              # for people; rules are tried on every text
        regex: '<override>~40~<instructions>'
        seek: '@'                    # looked for first, in place of the regex: the rule is tried where it stands
        validate: luhn               # a function of `validators` that must agree
        kinds: [message]             # content kinds the rule is about; all when absent
        case: true                   # letters' case matters
        hits: [...]
        clean: [...]

Regexes are RE2. `~n~` is a gap of at most n code points within a sentence. `~>~` says that what stands before it is
rare enough: what follows is not looked for in every text, only where that was found. A group says which part is the
finding. Latin letters are written without accents: accented text is matched through its folded view.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from governance.domain.content import ContentKind
from governance.errors import Misconfigured, NotFound

_FOLDER = Path(__file__).parent
_GAP = re.compile(r"~(\d+)~")
_ONLY_THEN = "~>~"
_GAP_REGEX = r"[^.!?\\n\\r。！？]{0,\1}?"
_WORD = re.compile(r"<([a-z][a-z0-9_]*)>")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rule:
    """A rule of a pack. `segments` are, by top-level alternative, the regex's parts between gaps: where each
    alternative lacks a part, the regex cannot match."""

    id: str
    pack: str
    category: str
    label: str
    score: float
    regex: str
    segments: tuple[tuple[str, ...], ...]
    sought: bool = False
    """Whether `segments` are what the pack says to look for first (`seek`), and not parts of the regex."""
    languages: tuple[str, ...] = ()
    validate: str = ""
    check: Callable[[str, int, int], bool] | None = None
    """A check of its own, where `validate` names none."""
    kinds: frozenset[ContentKind] = frozenset()
    hits: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """A pack; `digest` is 16 hex digits over the file's bytes."""

    name: str
    title: str
    digest: str
    rules: tuple[Rule, ...]


@functools.cache
def pack_names() -> tuple[str, ...]:
    """The packs of this installation, by name."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@functools.cache
def load_pack(name: str) -> Pack:
    """A pack by name; `NotFound` when there is none, `Misconfigured` when its file is damaged."""
    if name not in pack_names():
        raise NotFound(f"No pattern pack {name!r}.", advice=f"There are: {', '.join(pack_names())}.")
    return read_pack(name, (_FOLDER / f"{name}.yaml").read_bytes())


def read_pack(name: str, data: bytes) -> Pack:
    """A pack from a file's bytes."""
    try:
        stated: Mapping[str, Any] = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        words: Mapping[str, str] = stated.get("words", {})
        rules = tuple(_rule(name, stated, words, one) for one in stated["rules"])
        title = str(stated["title"])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Misconfigured(
            f"The pattern pack {name!r} cannot be read: {error}.", advice="Reinstall the package."
        ) from None
    return Pack(name=name, title=title, digest=hashlib.sha256(data).hexdigest()[:16], rules=rules)


def _rule(pack: str, stated: Mapping[str, Any], words: Mapping[str, str], rule: Mapping[str, Any]) -> Rule:
    regex = _spell(rule["regex"], words)
    flag = "" if rule.get("case", stated.get("case", False)) else "(?i)"
    return Rule(
        id=rule["id"],
        pack=pack,
        category=rule.get("category", stated["category"]),
        label=rule.get("label", ""),
        score=float(rule["score"]),
        regex=flag + _GAP.sub(_GAP_REGEX, regex.replace(_ONLY_THEN, "")),
        segments=((flag + rule["seek"],),)
        if "seek" in rule
        else tuple(tuple(flag + segment for segment in segments) for segments in _split(regex)),
        sought="seek" in rule,
        languages=tuple(rule.get("languages", ())),
        validate=rule.get("validate", ""),
        kinds=frozenset(ContentKind(kind) for kind in rule.get("kinds", stated.get("kinds", ()))),
        hits=_texts(rule, "hits"),
        clean=_texts(rule, "clean"),
    )


def _texts(rule: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = tuple(rule.get(name, ()))
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"rule {rule['id']} needs a list of texts as {name}")
    return texts


def _spell(regex: str, words: Mapping[str, str]) -> str:
    """The regex with its named alternatives written out; they may name others."""
    for _ in range(4):
        regex = _WORD.sub(lambda match: f"(?:{words[match.group(1)]})", regex)
    return regex


def _split(regex: str) -> list[list[str]]:
    """The regex's alternatives outside of groups, as parts between gaps; a gap in a group stays in its part."""
    alternatives: list[list[str]] = [[]]
    depth = last = 0
    over = False
    for match in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])+\]|[()|]|~(?:\d+|>)~", regex):
        sign = match.group()
        if sign in "()":
            depth += 1 if sign == "(" else -1
        elif depth == 0 and (sign == "|" or sign.startswith("~")):
            if not over:
                alternatives[-1].append(regex[last : match.start()])
            last = match.end()
            over = over or sign == _ONLY_THEN
            if sign == "|":
                alternatives.append([])
                over = False
    if not over:
        alternatives[-1].append(regex[last:])
    return [[_GAP.sub(_GAP_REGEX, part) for part in parts if part] for parts in alternatives]
