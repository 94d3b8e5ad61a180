"""What a policy asks of the judge: rubrics, with what is wrong with one in words for lint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from governance.detectors.host.scanning import READS, RECEIVED
from governance.detectors.interface import Fault, Options, OptionValue, listed_problems
from governance.errors import BadInput

MIN_SCORE = 0.5
BESIDE = ("prompt", "documents", "tool_results")
"""What an answer may be judged beside."""
LONGEST_RUBRIC = 4_000
MOST_REASONS = 20
NO_REASON = "none"
"""What the judge answers when none of the rubric's reasons applies."""
_KEYS = ("name", "rubric", "category", "judges", "reads", "beside", "reasons", "min_score")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rubric:
    """`text` is what is asked. `judges` an answer (beside the parts of its call that `beside` names) or each text by
    itself (those of `reads`). `reasons` are what the judge may say of why: (label, what it means)."""

    name: str
    text: str
    category: str
    judges: str
    reads: frozenset[str] = RECEIVED
    beside: tuple[str, ...] = ("prompt",)
    reasons: tuple[tuple[str, str], ...] = ()
    min_score: float = MIN_SCORE

    @property
    def stated(self) -> str:
        """All that its findings depend on, as text."""
        return json.dumps({**asdict(self), "reads": sorted(self.reads)}, sort_keys=True)


def specified(requests: Sequence[Options]) -> list[Rubric]:
    """Each rubric once, by name, with the lowest `min_score` asked for. Raises `BadInput` for two of one name."""
    found: dict[str, Rubric] = {}
    but_score: dict[str, str] = {}
    for request in requests:
        rubrics = request.get("rubrics")
        for one in rubrics if isinstance(rubrics, list | tuple) else ():
            assert isinstance(one, Mapping)
            rubric = _rubric(one)
            rest = json.dumps({**json.loads(rubric.stated), "min_score": 0}, sort_keys=True)
            if but_score.setdefault(rubric.name, rest) != rest:
                raise BadInput(f"The rubric {rubric.name} stands twice, and differs.", advice="Rename one of them.")
            known = found.get(rubric.name, rubric)
            found[rubric.name] = min(known, rubric, key=lambda one: one.min_score)
    return [found[name] for name in sorted(found)]


def _rubric(asked: Mapping[str, OptionValue]) -> Rubric:
    reads, beside, reasons = asked.get("reads"), asked.get("beside"), asked.get("reasons")
    score = asked.get("min_score", MIN_SCORE)
    assert isinstance(score, int | float)
    return Rubric(
        name=str(asked["name"]),
        text=str(asked["rubric"]).strip(),
        category=str(asked["category"]),
        judges=str(asked.get("judges", "answer")),
        reads=frozenset(map(str, reads)) if isinstance(reads, list | tuple) and reads else RECEIVED,
        beside=tuple(one for one in BESIDE if one in beside) if isinstance(beside, list | tuple) else ("prompt",),
        reasons=tuple((str(label), str(means)) for label, means in reasons.items())
        if isinstance(reasons, Mapping)
        else (),
        min_score=float(score),
    )


def problems(options: Options) -> list[Fault]:
    """What is wrong with the rubrics of one request."""
    return listed_problems(options, "rubrics", _wrong, specified)


def _wrong(asked: Mapping[str, OptionValue]) -> Iterator[tuple[str, str]]:
    """Each mistake with the setting that it is about."""
    name = asked.get("name")
    if not isinstance(name, str) or not _LABEL.fullmatch(name):
        yield "name", "a rubric of 'judge' needs a name of small letters, digits, - and _, by which its findings go"
        return
    for key in asked:
        if key not in _KEYS:
            yield key, f"rubric {name!r} has no setting {key!r}; there are: {', '.join(_KEYS)}"
    text, category = asked.get("rubric"), asked.get("category")
    if not isinstance(text, str) or not 10 <= len(text.strip()) <= LONGEST_RUBRIC:
        yield "rubric", f"rubric {name!r} needs 'rubric': what is asked, in 10 to {LONGEST_RUBRIC} characters"
    if not isinstance(category, str) or not _LABEL.fullmatch(category):
        yield "category", f"rubric {name!r} needs a category for its findings, such as unlicensed_advice"
    judges = asked.get("judges", "answer")
    if judges not in ("answer", "text"):
        yield "judges", f"'judges' of rubric {name!r} is answer or text"
    for key, names, side, those in (("reads", READS, "text", "a text"), ("beside", BESIDE, "answer", "answers")):
        value = asked.get(key, [])
        if not isinstance(value, list | tuple) or not set(map(str, value)) <= set(names):
            yield key, f"{key!r} of rubric {name!r} names some of: {', '.join(names)}"
        elif key in asked and judges != side:
            yield key, f"{key!r} of rubric {name!r} is for one that judges {those}"
    if not _are_reasons(asked.get("reasons", {})):
        form = "each a label and what it means: {dose: names a dose}"
        yield "reasons", f"'reasons' of rubric {name!r} are at most {MOST_REASONS}, {form}"
    score = asked.get("min_score", MIN_SCORE)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 < score <= 1:
        yield "min_score", f"'min_score' of rubric {name!r} is a number above 0, at most 1"


def _are_reasons(reasons: OptionValue) -> bool:
    return (
        isinstance(reasons, Mapping)
        and len(reasons) <= MOST_REASONS
        and all(_LABEL.fullmatch(str(label)) and label != NO_REASON for label in reasons)
        and all(isinstance(means, str) and 0 < len(means) <= 200 for means in reasons.values())
    )
