"""The detector: which texts go to the judge by which rubric, and what becomes of its scores.

detectors:
  advice:
    use: judge
    rubrics:
      - name: medical-dose
        category: medical_advice
        rubric: Does the answer tell somebody how much of a medicine to take?
        reasons: {dose: names a dose, change: advises to change or stop a treatment}
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial

from governance.detectors.host.scanning import role_of
from governance.detectors.interface import (
    CallDetector,
    CallSubject,
    Condition,
    Detector,
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    Outcome,
    Surroundings,
    version_of,
)
from governance.detectors.judge.budget import Budget
from governance.detectors.judge.question import NotJudged, Question
from governance.detectors.judge.rubrics import Rubric, problems, specified
from governance.detectors.judge.service import Service, checked, release, share
from governance.domain.calls import Call
from governance.domain.content import Content, Part, PartKind
from governance.domain.findings import Finding
from governance.errors import GovernanceError

NAME = "judge"
VERSION = "1"
DEADLINE = 60.0
"""Seconds that a batch of texts has, unless a policy gives less."""
LONGEST = 60_000
"""Code points of what is judged with all that stands beside it; more is a failure, not judged in part."""
_CALLED = {
    "prompts": "the user's message",
    "documents": "the document",
    "tool_results": "the tool's result",
    "tool_calls": "the tool call",
    "answers": "the earlier answer",
    "system": "the application's instructions",
}
_BESIDE = {
    "prompt": (PartKind.INPUT, "what the user asked"),
    "documents": (PartKind.DOCUMENT, "a document that was retrieved"),
    "tool_results": (PartKind.TOOL_RESULT, "a tool's result"),
}

DESCRIPTION = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=False,
    finds="How far a text meets a rubric that the policy states, as a language model of your choice judges it.",
    categories=("what each rubric names",),
    scope="content and call",
    options=(
        OptionDescription(
            name="rubrics",
            kind="mappings",
            description="Rubrics, each {name, rubric, category ...}: see the page of the detector.",
            required=True,
        ),
    ),
    cost="high",
    selector="rubrics",
    deadline=DEADLINE,
)


class Judge:
    """The part that all have. Safe to share among threads. `deadline` is in seconds, for one batch."""

    keeps_time = True
    name = NAME

    def __init__(
        self, version: str, service: Service, rubrics: Sequence[Rubric], *, deadline: float, release: Callable[[], None]
    ) -> None:
        self.version = version
        self._service = service
        self._deadline = deadline
        self._closed = False
        self._release = weakref.finalize(self, release)  # also for one that nobody closes
        self._texts = tuple(one for one in rubrics if one.judges == "text")
        self._answers = tuple(one for one in rubrics if one.judges == "answer")

    def prepare(self) -> None:
        self._service.prepare()

    def close(self) -> None:
        """It answers no more; the connections end with the last detector that uses them."""
        self._closed = True
        self._release()

    @property
    def condition(self) -> Condition:
        return Condition(state="failed", detail="closed") if self._closed else self._service.condition

    def _judge(self, wanted: Sequence[tuple[int, Question]], count: int) -> list[Outcome]:
        """Findings of `count` subjects; what is wanted is a subject and a question about it."""
        if self._closed:
            raise NotJudged("The judge is not running: closed.")
        short = [(subject, one) for subject, one in wanted if one.length <= LONGEST]
        outcomes: list[list[Finding] | GovernanceError] = [[] for _ in range(count)]
        for subject, one in wanted:
            if one.length > LONGEST:
                outcomes[subject] = NotJudged(f"What is to be judged is longer than {LONGEST} characters.")
        answers = self._service.ask([one for _, one in short], seconds=self._deadline)
        for (subject, question), answer in zip(short, answers, strict=True):
            outcome = outcomes[subject]
            if isinstance(outcome, GovernanceError):
                continue
            if isinstance(answer, NotJudged):
                outcomes[subject] = answer
            elif answer.score >= question.rubric.min_score:
                outcome.append(_finding(question.rubric, answer.score, answer.reason))
        return list(outcomes)


def _finding(rubric: Rubric, score: float, reason: str) -> Finding:
    """About the text as a whole: a judge gives no place, and nothing is redacted on its word."""
    return Finding(
        detector=NAME, category=rubric.category, rule=rubric.name, pack=rubric.name, label=reason, score=score
    )


class TextJudge(Judge):
    """Judges texts by themselves."""

    def examine(self, content: Content) -> Sequence[Finding]:
        return _only(self.examine_many((content,)))

    def examine_many(self, contents: Sequence[Content]) -> Sequence[Outcome]:
        wanted = [
            (number, Question(rubric=rubric, material=((_CALLED[role], content.text),)))
            for number, content in enumerate(contents)
            if content.text and not content.text.isspace()
            for role in (role_of(content),)
            for rubric in self._texts
            if role in rubric.reads
        ]
        return self._judge(wanted, len(contents))


class AnswerJudge(Judge):
    """Judges answers, beside what they answer."""

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        return _only(self.examine_calls([CallSubject(call=call, parts=parts)]))

    def examine_calls(self, subjects: Sequence[CallSubject]) -> Sequence[Outcome]:
        wanted: list[tuple[int, Question]] = []
        places: list[tuple[int, Part]] = []
        for number, subject in enumerate(subjects):
            for part in subject.parts:
                if part.kind is PartKind.OUTPUT and part.content.text and not part.content.text.isspace():
                    wanted += [(len(places), _about(part, subject.parts, rubric)) for rubric in self._answers]
                    places.append((number, part))
        outcomes: list[list[Finding] | Exception] = [[] for _ in subjects]
        for (number, part), said in zip(places, self._judge(wanted, len(places)), strict=True):
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                continue
            if isinstance(said, Exception):
                outcomes[number] = said
            else:
                outcome += [_placed(finding, part) for finding in said]
        return outcomes


class BothJudge(TextJudge, AnswerJudge):
    """Judges both."""


def _about(answer: Part, parts: Sequence[Part], rubric: Rubric) -> Question:
    material: list[tuple[str, str]] = []
    for beside in rubric.beside:
        kind, what = _BESIDE[beside]
        texts = [part.content.text for part in parts if part.kind is kind and part.content.text.strip()]
        material += [(what, text) for text in (texts[-1:] if beside == "prompt" else dict.fromkeys(texts))]
    return Question(rubric=rubric, material=(*material, ("the application's answer", answer.content.text)))


def _placed(finding: Finding, part: Part) -> Finding:
    return Finding(
        detector=finding.detector,
        category=finding.category,
        rule=finding.rule,
        pack=finding.pack,
        label=finding.label,
        score=finding.score,
        part=part.kind,
        index=part.index,
    )


def _only(outcomes: Sequence[Outcome]) -> Sequence[Finding]:
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def build(requests: Sequence[Options], surroundings: Surroundings) -> Detector | CallDetector:
    """Raises `Misconfigured` where no judge is set, or its address cannot be used."""
    rubrics = specified(requests)
    endpoint = checked(surroundings.judge)
    budget = Budget(surroundings.data_dir, calls=endpoint.calls_a_day, tokens=endpoint.tokens_a_day)
    key, service = share(endpoint, budget)
    version = version_of(VERSION, endpoint.url, endpoint.model, [one.stated for one in rubrics])
    sides = {one.judges for one in rubrics}
    kind = BothJudge if len(sides) == 2 else AnswerJudge if sides == {"answer"} else TextJudge
    deadline = surroundings.deadline or DEADLINE
    return kind(version, service, rubrics, deadline=deadline, release=partial(release, key))


KIND = DetectorKind(describe=lambda: DESCRIPTION, build=build, problems=problems)
