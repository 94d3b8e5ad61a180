"""A detector whose work a scanner process does: which scanner looks at what, and how its answers become findings."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from governance.detectors.host.process import HostState, Item, NotScanned, ScannerHit, ScannerHost
from governance.detectors.interface import CallSubject, Condition, Outcome
from governance.domain.calls import Call
from governance.domain.content import Content, ContentKind, Part, PartKind, input_kind
from governance.domain.findings import Finding
from governance.errors import GovernanceError

READS = ("prompts", "documents", "tool_results", "tool_calls", "answers", "system")
"""What a text is, as the option `reads` of a scanner says it."""
RECEIVED = frozenset(("prompts", "documents", "tool_results"))
"""What reaches a model from outside."""
LONGEST = 400_000
"""Code points of a text; a longer one is an error, not half examined."""
_KINDS = {
    ContentKind.DOCUMENT: "documents",
    ContentKind.TOOL_CALL: "tool_calls",
    ContentKind.TOOL_RESULT: "tool_results",
}
_ROLES = {PartKind.SYSTEM: "system", PartKind.HISTORY: "answers", PartKind.TOOL_RESULT: "tool_results"}


def role_of(content: Content) -> str:
    """Which of `READS` a content item is."""
    return _KINDS.get(content.kind) or _ROLES.get(input_kind(content.role), "prompts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanner:
    """One scanner of a host. `key` stands in `Finding.pack`.

    `side` is `content` for one that looks at texts by themselves, those of `reads`; `answer` for one that looks at an
    answer beside what was asked. Without `places` its findings are about the text as a whole, and hide nothing of it.
    """

    key: str
    category: str
    side: Literal["content", "answer"] = "content"
    reads: frozenset[str] = RECEIVED
    places: bool = True
    categories: tuple[tuple[str, str], ...] = ()
    """Category by label, where a scanner has several."""


class HostedDetector:
    """The part that all have. Safe to share among threads. `deadline` is in seconds, for one batch."""

    keeps_time = True

    def __init__(
        self,
        name: str,
        version: str,
        host: ScannerHost,
        scanners: Sequence[Scanner],
        *,
        deadline: float | None,
        release: Callable[[], None],
    ) -> None:
        self.name = name
        self._release = weakref.finalize(self, release)  # also for one that nobody closes, and when Python ends
        self.version = version
        self._host = host
        self._deadline = deadline
        self._closed = False
        self._texts = tuple(one for one in scanners if one.side == "content")
        self._answers = tuple(one for one in scanners if one.side == "answer")

    def prepare(self) -> None:
        self._host.start()

    def close(self) -> None:
        """It answers no more; the process ends with the last detector that uses it."""
        self._closed = True
        self._release()

    @property
    def condition(self) -> Condition:
        return Condition(state="failed", detail="closed") if self._closed else _condition(self._host.state)

    def _scan(self, wanted: Sequence[tuple[int, Scanner, Item]], count: int) -> list[Outcome]:
        """Findings of `count` subjects; what is wanted is a subject, a scanner, and the item that it looks at."""
        items: dict[Item, int] = {}
        jobs: dict[str, list[int]] = {}
        for _, scanner, item in wanted:
            jobs.setdefault(scanner.key, []).append(items.setdefault(item, len(items)))
        jobs = {key: list(dict.fromkeys(numbers)) for key, numbers in jobs.items()}
        if self._closed:
            raise NotScanned("The scanner is not running: closed.")
        scanned = self._host.scan(jobs, list(items), seconds=self._deadline) if items else []
        outcomes: list[list[Finding] | GovernanceError] = [[] for _ in range(count)]
        for subject, scanner, item in wanted:
            said = scanned[items[item]]
            outcome = outcomes[subject]
            if isinstance(outcome, GovernanceError):
                continue
            if isinstance(said, GovernanceError):
                outcomes[subject] = said
            else:
                outcome += [self._finding(scanner, one) for one in said if one.scanner == scanner.key]
        return list(outcomes)

    def _finding(self, scanner: Scanner, one: ScannerHit) -> Finding:
        start, end = (one.start, one.end) if scanner.places else (0, 0)
        return Finding(
            detector=self.name,
            category=dict(scanner.categories).get(one.label, scanner.category),
            rule=one.label or scanner.key,
            pack=scanner.key,
            score=one.score,
            start=start,
            end=end,
            data=dict(one.data),
        )


class TextDetector(HostedDetector):
    """Looks at texts by themselves."""

    def examine(self, content: Content) -> Sequence[Finding]:
        return _one(self.examine_many((content,)))

    def examine_many(self, contents: Sequence[Content]) -> Sequence[Outcome]:
        too_long = [number for number, content in enumerate(contents) if len(content.text) > LONGEST]
        wanted = [
            (number, scanner, Item(text=content.text))
            for number, content in enumerate(contents)
            if number not in too_long and content.text and not content.text.isspace()
            for scanner in self._texts
            if role_of(content) in scanner.reads
        ]
        outcomes = list(self._scan(wanted, len(contents)))
        for number in too_long:
            outcomes[number] = NotScanned(f"The text is longer than {LONGEST} characters.")
        return outcomes


class AnswerDetector(HostedDetector):
    """Looks at answers beside what was asked."""

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        return _one(self.examine_calls([CallSubject(call=call, parts=parts)]))

    def examine_calls(self, subjects: Sequence[CallSubject]) -> Sequence[Outcome]:
        wanted: list[tuple[int, Scanner, Item]] = []
        places: list[tuple[int, Part]] = []
        outcomes: list[list[Finding] | Exception] = [[] for _ in subjects]
        for number, subject in enumerate(subjects):
            asked = [part.content.text for part in subject.parts if part.kind is PartKind.INPUT]
            for part in subject.parts:
                if part.kind is not PartKind.OUTPUT or not part.content.text or part.content.text.isspace():
                    continue
                text = part.content.text
                if len(text) > LONGEST:
                    outcomes[number] = NotScanned(f"The answer is longer than {LONGEST} characters.")
                    continue
                item = Item(text=text, prompt=asked[-1] if asked else "")
                wanted += [(len(places), scanner, item) for scanner in self._answers]
                places.append((number, part))
        for (number, part), said in zip(places, self._scan(wanted, len(places)), strict=True):
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                continue
            if isinstance(said, Exception):
                outcomes[number] = said
            else:
                outcome += [_placed(finding, part) for finding in said]
        return outcomes


class BothDetector(TextDetector, AnswerDetector):
    """Looks at both."""


def hosted(
    name: str,
    version: str,
    host: ScannerHost,
    scanners: Sequence[Scanner],
    *,
    deadline: float | None,
    release: Callable[[], None] | None = None,
) -> TextDetector | AnswerDetector:
    """A detector of texts, of calls, or of both, as its scanners need. `release` lets go of the host, else it is closed
    with the detector."""
    sides = {one.side for one in scanners}
    kind = BothDetector if len(sides) == 2 else AnswerDetector if sides == {"answer"} else TextDetector
    return kind(name, version, host, scanners, deadline=deadline, release=release or host.close)


def _one(outcomes: Sequence[Outcome]) -> Sequence[Finding]:
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _placed(finding: Finding, part: Part) -> Finding:
    return replace(finding, part=part.kind, index=part.index)


def _condition(state: HostState) -> Condition:
    missing = "; ".join(f"{key} did not load: {why}" for key, why in sorted(state.missing.items()))
    detail = "; ".join(one for one in (state.detail, missing) if one)
    if state.state == "ready":
        return Condition(
            state="failed" if missing else "ready",
            detail=detail,
            restarts=state.restarts,
            milliseconds=state.milliseconds,
        )
    known = {"idle": "idle", "loading": "loading"}
    return Condition(
        state=known.get(state.state, "failed"),  # type: ignore[arg-type]
        detail=detail,
        restarts=state.restarts,
        milliseconds=state.milliseconds,
    )
