"""Examples of our own, from the grammars: attacks, ordinary prompts, documents with and without planted sentences.

All of it follows from the seed: the same examples on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.training.grammar import Slots, expand, grammar
from benchmarks.training.sources import Text

ATTACKS, ORDINARY = "own_attacks", "own_ordinary"
WRAPPED = 0.2
"""How often what is planted is in a field, a comment, a cell."""
BORROWED = (3, 7)
"""Which of eight have somebody else's prompt planted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A document with a planted stretch [start, end), in code points; `end` 0 when nothing was planted."""

    source: str
    text: str
    start: int = 0
    end: int = 0


def attacks(seed: int, each: int = 24) -> Iterator[Text]:
    """Attacks as users type them: `each` of every template in English and German, two thirds in other languages."""
    chance = random.Random(seed)
    slots = {**grammar("direct")["slots"], **grammar("direct")["extra"]}
    for languages in grammar("direct")["families"].values():
        for language, templates in languages.items():
            for template in templates:
                for _ in range(each if language in ("en", "de") else each * 2 // 3):
                    text = expand(template, _named(slots, chance), chance)
                    yield Text(source=ATTACKS, text=_typed(text, chance), label=1)
    for _ in range(each * 20):
        yield Text(source=ATTACKS, text=_long(grammar("direct")["long"], slots, chance), label=1)


def ordinary(seed: int, each: int = 24) -> Iterator[Text]:
    """What people ask, in many languages, with talk about attacks and innocent uses of their words."""
    chance = random.Random(seed)
    slots = grammar("benign")["slots"]
    for languages in grammar("benign")["families"].values():
        for language, templates in languages.items():
            for template in templates:
                for _ in range(each if language in ("en", "de") else each * 2 // 3):
                    yield Text(source=ORDINARY, text=_typed(expand(template, slots, chance), chance), label=0)
    english = [template for family in grammar("benign")["families"].values() for template in family["en"]]
    for _ in range(each * 16):
        # Several sentences, and texts that are pasted for an assistant to work on.
        parts = [expand(chance.choice(english), slots, chance) for _ in range(chance.randint(2, 4))]
        yield Text(source=ORDINARY, text=" ".join(parts), label=0)
    for _ in range(each * 12):
        yield Text(source=ORDINARY, text=_long(grammar("benign")["long"], slots, chance), label=0)
    for _ in range(each * 10):
        yield Text(source=ORDINARY, text=document(chance), label=0)
    for _ in range(each * 10):
        pasted = document(chance, chance.choice(grammar("documents")["pasted"]))
        yield Text(source=ORDINARY, text=f"{expand(chance.choice(english), slots, chance)}\n\n{pasted}", label=0)


def _long(parts: Mapping[str, Sequence[str]], slots: Slots, chance: random.Random) -> str:
    """A long prompt: an opening, some of the body in any order, a close."""
    own = _named(slots, chance)
    body = chance.sample(parts["body"], chance.randint(2, min(12, len(parts["body"]))))
    lines = [chance.choice(parts["open"]), *body, chance.choice(parts["close"])]
    return chance.choice([" ", " ", "\n", "\n\n"]).join(expand(line, own, chance) for line in lines).strip()


def _named(slots: Slots, chance: random.Random) -> Slots:
    """The slots with one name each for a persona and a character: who is named twice in a text is the same."""
    return {**slots, **{one: [chance.choice(slots[one])] for one in ("name", "cname") if one in slots}}


def mixed(seed: int, prompts: Sequence[str], count: int) -> Iterator[Planted]:
    """Ordinary prompts with an attack before, between or after: `start` and `end` say where."""
    chance = random.Random(seed)
    hostile = [one.text for one in attacks(seed, each=2)]
    for _ in range(count):
        before, after = chance.choice(prompts), chance.choice(prompts) if chance.random() < 0.4 else ""
        attack = chance.choice(hostile)
        yield _around(ATTACKS, before, attack, after, chance.choice([" ", "\n", "\n\n"]))


def document(chance: random.Random, kind: str | None = None) -> str:
    """An ordinary document or tool result of a random kind."""
    kinds = grammar("documents")["kinds"]
    rare = grammar("documents")["rare"]
    parts = kinds[kind or chance.choices(sorted(kinds), [rare.get(one, 1) for one in sorted(kinds)])[0]]
    # What is planted is about the same subjects, so that none of them is the label.
    slots = {**grammar("injected")["slots"], **grammar("documents")["slots"]}
    body = chance.choices(parts["body"], k=chance.randint(2, 9))
    joiner = chance.choice([" ", "\n", "\n", "\n\n"])
    lines = [chance.choice(parts["start"]), *body, chance.choice(parts["end"])]
    return expand(chance.choice(parts["head"]), slots, chance) + joiner.join(
        expand(one, slots, chance) for one in lines
    )


def planted(
    seed: int, documents: Sequence[tuple[str, str]], prompts: Sequence[Sequence[tuple[str, str]]], count: int
) -> Iterator[Planted]:
    """Documents (source, text) with an attack of ours, or a prompt (source, text) of one of several kinds, at the
    start, inside, or at the end."""
    chance = random.Random(seed)
    injected = grammar("injected")
    families = sorted(injected["families"])
    sizes = [injected["shares"].get(family, 1) for family in families]
    slots = injected["slots"]
    for number in range(count):
        source, text = chance.choice(documents) if documents and chance.random() < 0.5 else (ATTACKS, document(chance))
        if len(text) > 2500:
            begin = chance.randint(0, len(text) - 2500)
            text = text[begin : begin + 2500]
        if number % 8 in BORROWED and (some := [one for one in prompts if one]):
            source, attack = chance.choice(some[number // 8 % len(some)])
        else:
            family = chance.choices(families, sizes)[0]
            attack = _typed(expand(chance.choice(injected["families"][family]), slots, chance), chance)
            if family == "code":
                attack += "\n" + expand(chance.choice(injected["payload"]), slots, chance)
        before = after = ""
        if chance.random() < WRAPPED:
            # In the clothes of its surroundings: a field, a comment, a cell, a line of a log.
            before, after = expand(chance.choice(injected["wraps"]), slots, chance).split("{it}")
        joiner = chance.choice(["\n", " ", "\n" if number % 2 else "\n\n"])
        at = {"start": 0, "inside": _break(text, chance), "end": len(text)}[chance.choice(("start", "inside", "end"))]
        head = (text[:at] + joiner if at else "") + before
        yield Planted(
            source=source,
            text=head + attack + after + (joiner + text[at:] if at < len(text) else ""),
            start=len(head),
            end=len(head) + len(attack),
        )


def _around(source: str, before: str, attack: str, after: str, joiner: str) -> Planted:
    head = before + joiner if before else ""
    return Planted(
        source=source,
        text=head + attack + (joiner + after if after else ""),
        start=len(head),
        end=len(head) + len(attack),
    )


def _break(text: str, chance: random.Random) -> int:
    """A place between sentences or lines."""
    places = [i + 1 for i in range(1, len(text) - 1) if text[i] == "\n" or (text[i] == " " and text[i - 1] in ".!?")]
    return chance.choice(places) if places else len(text)


def _typed(text: str, chance: random.Random) -> str:
    """As people type: mostly tidy, some all lower case or upper case, some without the last full stop."""
    text = " ".join(text.split(" ")).strip()
    roll = chance.random()
    if roll < 0.7:
        return text[:1].upper() + text[1:]
    if roll < 0.8:
        return text.upper() if len(text) < 120 and chance.random() < 0.3 else text.lower()
    return text.rstrip(".")
