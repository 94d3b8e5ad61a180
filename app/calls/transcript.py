"""What of a call goes on the page, and where its evidence lies. No page, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from app.components.marked import Level, Mark, Turn
from app.shell import words
from governance.domain.content import ContentKind, PartKind
from governance.domain.privacy import Gone
from governance.privacy.alignment import Replacement
from governance.services.calls.read import CallView, ShownPart

LONGEST = 6_000
MOST_TURNS = 60
_BEFORE_MARK = 400


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A finding that made a policy fire. `n` is its number on the page, `sure` 0 to 1, `where` a part's name."""

    id: str
    n: int
    category: str
    rule: str
    sure: float
    level: Level
    where: str


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A policy that had something to say. `explanation` and `values` hold words of the call: show them as text only."""

    title: str
    outcome: str
    shadow: bool
    action: str
    queue: str
    severity: int
    explanation: str
    evidence: tuple[Evidence, ...]
    controls: Mapping[str, Sequence[str]]
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Turns of now and of before, each with its marks, and how many further turns there are."""

    turns: tuple[Turn, ...]
    marks: tuple[Mark, ...]
    earlier: tuple[Turn, ...]
    earlier_marks: tuple[Mark, ...]
    left_out: int
    folded: int


_RANK = {"low": 1, "medium": 2, "high": 3, "critical": 4}
_LEVEL: dict[int, Level] = {4: "critical", 3: "high"}


def fired(detail: Mapping[str, Any]) -> list[Fired]:
    """The policies of a decision, the severest first; their findings numbered from 1 through all policies."""
    findings = detail["findings"]
    policies = sorted(
        detail["policies"],
        key=lambda one: (one["status"] == "shadow", one["outcome"] == "excepted", -_RANK[one["severity"]]),
    )
    number: dict[int, int] = {}
    found = []
    for policy in policies:
        evidence = []
        for index in policy.get("findings", ()):
            if index >= len(findings):
                continue
            finding = findings[index]
            n = number.setdefault(index, len(number) + 1)
            evidence.append(
                Evidence(
                    id=f"f{index}",
                    n=n,
                    category=finding["category"],
                    rule=finding.get("rule", ""),
                    sure=float(finding["score"]),
                    level=_LEVEL.get(_RANK[policy["severity"]], "note"),
                    where=words.PART.get(finding.get("part") or "", ""),
                )
            )
        found.append(
            Fired(
                title=policy["title"],
                outcome=policy["outcome"],
                shadow=policy["status"] == "shadow",
                action=policy["action"],
                queue=policy.get("queue", ""),
                severity=_RANK[policy["severity"]],
                explanation=words.undecided(policy.get("explanation", ""))
                if policy["outcome"] == "error"
                else words.explanation(policy.get("explanation", ""), (one.rule for one in evidence)),
                evidence=tuple(evidence),
                controls=policy.get("controls", {}),
                values={
                    words.condition(path): words.read(path, str(value))
                    for path, value in policy.get("values", {}).items()
                },
            )
        )
    return found


def shown(
    call: CallView,
    detail: Mapping[str, Any],
    replaced: Mapping[int, Sequence[Replacement] | None],
    *,
    original: Mapping[tuple[PartKind, int], str] | None = None,
    unfold: bool = False,
) -> Shown:
    """The call's parts as turns. `replaced` says by message what its redacted text stands for; `original` has the
    revealed texts by part (None: redacted text is shown). Harmful text stays folded unless `unfold`."""
    marks_of = _marks_by_part(detail)
    harmful = {
        (finding.get("part"), finding.get("index", 0))
        for finding in detail["findings"]
        if finding["category"] in words.HARMFUL
    }
    stood, answer = exchange(call.parts)
    parts = [*stood, *answer]
    current = _first_current(parts)
    built: list[tuple[Turn, list[Mark], bool]] = []
    folded = 0
    for place, one in enumerate(parts):
        key = (one.part.kind, one.part.index)
        marks = marks_of.get((one.part.kind.value, one.part.index), [])
        text, marks = _text(one, marks, replaced.get(one.part.message_id, ()), original, call.gone)
        fold = (one.part.kind.value, one.part.index) in harmful and not unfold
        if fold:
            folded += 1
            turn = Turn(**_who(one, call), text="Folded: this text may be hard to read.", kind="folded")
            marks = []
        else:
            text, marks = _cut(text, marks)
            turn = Turn(**_who(one, call), text=text, kind=_kind(one, key))
        evident = any(mark.id for mark in marks) or fold
        built.append((turn, marks, place >= current or evident))
    now = [(turn, marks) for turn, marks, is_now in built if is_now]
    past = [(turn, marks) for turn, marks, is_now in built if not is_now]
    left_out = max(0, len(now) - MOST_TURNS) + max(0, len(past) - MOST_TURNS)
    turns, placed = _placed(now[-MOST_TURNS:])
    earlier, earlier_marks = _placed(past[-MOST_TURNS:])
    return Shown(
        turns=turns, marks=placed, earlier=earlier, earlier_marks=earlier_marks, left_out=left_out, folded=folded
    )


def before(turns: Sequence[Turn]) -> str:
    """What the folded first turns are, for the label of their fold."""
    spoken = sum(turn.who != words.PART[PartKind.SYSTEM] for turn in turns)
    if not spoken:
        return "Instructions of the system"
    return (
        f"Instructions and {words.count(spoken, 'earlier turn')}"
        if spoken < len(turns)
        else (words.count(spoken, "earlier turn"))
    )


def exchange(parts: Sequence[ShownPart]) -> tuple[list[ShownPart], list[ShownPart]]:
    """A model call's parts in order of time: what stood before its answer, and the answer with the tools it asks for.

    A call is stored as input, output, documents, tools. What was retrieved came before the answer. A tool call stands
    before its own result: the part that follows it, else a message of the tool, the first message after the first call.
    A tool call without a result is part of the answer.
    """
    unanswered = [
        one
        for one, after in pairwise([*parts, None])
        if one
        and one.part.kind is PartKind.TOOL_CALL
        and not (after and after.part.content_kind is ContentKind.TOOL_RESULT)
    ]
    before: list[ShownPart] = []
    answer: list[ShownPart] = []
    waiting = list(unanswered)
    for one in parts:
        if one.part.kind is PartKind.OUTPUT:
            answer.append(one)
        elif one not in unanswered:
            if waiting and one.part.kind is PartKind.TOOL_RESULT and one.part.content_kind is ContentKind.MESSAGE:
                before.append(waiting.pop(0))
            before.append(one)
    return before, [*answer, *waiting]


def _first_current(parts: Sequence[ShownPart]) -> int:
    """Where the present turn begins: after the last earlier answer among the inputs."""
    last = -1
    for place, one in enumerate(parts):
        if one.part.kind in (PartKind.HISTORY, PartKind.SYSTEM):
            last = place
    return last + 1


def _who(one: ShownPart, call: CallView) -> dict[str, str]:
    part = one.part
    note = ""
    if part.kind is PartKind.INPUT:
        who = part.role.capitalize() or "User"
        note = call.user_role if who == "User" else ""
    elif part.kind in (PartKind.OUTPUT, PartKind.HISTORY):
        who = call.row.system
        note = "earlier" if part.kind is PartKind.HISTORY else ""
    else:
        who = words.PART[part.kind]
        note = part.name or (part.role if part.kind is PartKind.TOOL_RESULT and part.role != "tool" else "")
        if part.labels:
            note += f" ({', '.join(part.labels)})"
        if part.score is not None:
            note += f", score {part.score:.2f}"
    if part.type not in ("text", ""):
        note = f"{note}, {part.type}".lstrip(", ")
    return {"who": who, "note": note}


def _kind(one: ShownPart, key: tuple[PartKind, int]) -> str:
    if one.part.kind is PartKind.DOCUMENT:
        return "document"
    if one.part.kind in (PartKind.TOOL_CALL, PartKind.TOOL_RESULT):
        return "tool"
    return "" if one.text is not None else "folded"


def _marks_by_part(detail: Mapping[str, Any]) -> dict[tuple[str, int], list[Mark]]:
    found: dict[tuple[str, int], list[Mark]] = {}
    findings = detail["findings"]
    done: set[str] = set()
    for policy in fired(detail):
        for one in policy.evidence:
            finding = findings[int(one.id[1:])]
            if one.id in done or finding.get("part") is None or finding.get("end", 0) <= finding.get("start", 0):
                continue
            done.add(one.id)
            found.setdefault((finding["part"], finding.get("index", 0)), []).append(
                Mark(
                    turn=0,
                    start=finding.get("start", 0),
                    end=finding["end"],
                    level=one.level,
                    label=f"{words.category(one.category)}, {one.sure:.0%} sure",
                    id=one.id,
                    n=one.n,
                )
            )
    return found


def _text(
    one: ShownPart,
    marks: Sequence[Mark],
    replaced: Sequence[Replacement] | None,
    original: Mapping[tuple[PartKind, int], str] | None,
    gone: Gone | None = None,
) -> tuple[str, list[Mark]]:
    """The text to show, and the marks in its offsets."""
    if one.erased:
        return gone.words if gone else "This content was erased.", []
    if original is not None:
        text = original.get((one.part.kind, one.part.index), "")
        shown_marks = [Mark(turn=0, start=r.start, end=r.end, level="shown") for r in replaced or ()]
        return text, _untangled([*marks, *shown_marks])
    if one.text is None:
        return "Not examined yet, so it can't be shown.", []
    if replaced is None:  # the places can't be told: no mark is better than one on the wrong words
        return one.text, []
    moved: list[Mark] = []
    for mark in marks:
        start, end = _moved(mark.start, replaced, at_end=False), _moved(mark.end, replaced, at_end=True)
        moved.append(replace(mark, start=start, end=end))
    shift = 0
    for r in replaced:
        start = r.start + shift
        moved.append(Mark(turn=0, start=start, end=start + len(r.text), level="hidden"))
        shift += len(r.text) - (r.end - r.start)
    return one.text, _untangled(moved)


def _moved(offset: int, replaced: Sequence[Replacement], *, at_end: bool) -> int:
    """Where an offset of the original text lies in the redacted one; inside a replacement, at its edge."""
    shift = 0
    for r in replaced:
        if offset >= r.end:
            shift += len(r.text) - (r.end - r.start)
        elif offset > r.start or (offset == r.start and at_end):
            return r.start + shift + (len(r.text) if at_end and offset > r.start else 0)
        else:
            break
    return offset + shift


def _untangled(marks: Sequence[Mark]) -> list[Mark]:
    """No two overlap, and no evidence is left out: what begins within other evidence is marked from its end on, what
    lies within it shares its mark. A chip inside evidence is dropped."""
    taken: list[Mark] = []
    for mark in sorted(marks, key=lambda m: (m.level in _CHIPS, m.start, m.start - m.end)):
        if mark.end <= mark.start:
            continue
        if mark.level in _CHIPS:
            if all(mark.end <= other.start or mark.start >= other.end for other in taken):
                taken.append(mark)
            continue
        last = taken[-1] if taken else None
        if last is None or mark.start >= last.end:
            taken.append(mark)
        elif mark.end > last.end:
            taken.append(replace(mark, start=last.end))
        else:
            graver = min(last.level, mark.level, key=_GRAVEST.index)
            label = "; ".join(dict.fromkeys(filter(None, (last.label, mark.label))))
            taken[-1] = replace(last, also=(*last.also, mark.n), level=graver, label=label)
    return sorted(taken, key=lambda m: m.start)


_CHIPS = frozenset({"hidden", "shown"})
_GRAVEST = ("critical", "high", "note")


def _cut(text: str, marks: Sequence[Mark]) -> tuple[str, list[Mark]]:
    """At most `LONGEST` code points, beginning shortly before the first evidence when that lies far in."""
    if len(text) <= LONGEST:
        return text, list(marks)
    first = min((mark.start for mark in marks if mark.id), default=0)
    begin = max(0, first - _BEFORE_MARK) if first > LONGEST - _BEFORE_MARK else 0
    before = f"… {begin:,} characters before this …\n" if begin else ""
    rest = len(text) - begin - LONGEST
    after = f"\n… {rest:,} more characters …" if rest > 0 else ""
    kept = text[begin : begin + LONGEST]
    shift = len(before) - begin
    inside = [
        replace(mark, start=mark.start + shift, end=min(mark.end, begin + LONGEST) + shift)
        for mark in marks
        if begin <= mark.start < begin + LONGEST
    ]
    return before + kept + after, inside


def _placed(built: Sequence[tuple[Turn, Sequence[Mark]]]) -> tuple[tuple[Turn, ...], tuple[Mark, ...]]:
    marks = [replace(mark, turn=number) for number, (_turn, found) in enumerate(built) for mark in found]
    return tuple(turn for turn, _found in built), tuple(marks)
