"""Costly detectors look at what is flagged or sampled, in batches, within their time; what they skip is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detectors import registry
from governance.detectors.deadline import STUCK_MOST, Deadline
from governance.detectors.interface import (
    Attention,
    BatchCallDetector,
    BatchDetector,
    CallSubject,
    DetectorDescription,
    DetectorKind,
    DetectorUse,
    OptionDescription,
    Options,
    Outcome,
    Surroundings,
)
from governance.detectors.runner import BATCH, Runner, Unavailable
from governance.domain.calls import Call
from governance.domain.content import Content, ContentKind, Part, parts_of
from governance.domain.decisions import Action
from governance.domain.findings import Finding
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.engine.request import call_from
from governance.errors import Misconfigured
from governance.policy.policy import PolicySet
from tests.policy.samples import policy

LATE = Attention(on="flagged", late=True)


def message(text: str) -> Content:
    return Content(kind=ContentKind.MESSAGE, text=text, role="user")


def found(detector: str) -> Finding:
    return Finding(detector=detector, category="injection", rule="r", score=1.0, start=0, end=1)


@dataclass
class Cheap:
    """Finds something in what says "odd"."""

    name: str = "cheap"
    version: str = "1"

    def examine(self, content: Content) -> Sequence[Finding]:
        return [found(self.name)] if "odd" in content.text else []


@dataclass
class Costly:
    """Takes batches; fails on what says "broken", finds something in everything else."""

    name: str = "costly"
    version: str = "1"
    batches: list[list[str]] = field(default_factory=list)

    def examine(self, content: Content) -> Sequence[Finding]:
        raise AssertionError("it takes batches")

    def examine_many(self, contents: Sequence[Content]) -> Sequence[Outcome]:
        self.batches.append([content.text for content in contents])
        return [ValueError("of one") if "broken" in one.text else [found(self.name)] for one in contents]


def test_a_late_detector_sees_what_was_flagged_in_one_batch_and_the_rest_is_said_to_be_skipped() -> None:
    costly = Costly()
    assert isinstance(costly, BatchDetector)
    runner = Runner(content_detectors=[costly, Cheap()], attention={"costly": LATE})
    examined = runner.examine_many([message("fine"), message("odd one"), message("odd broken"), message("good")])
    assert costly.batches == [["odd one", "odd broken"]]
    assert [one.skipped for one in examined] == [("costly",), (), (), ("costly",)]
    assert [[finding.detector for finding in one.findings] for one in examined] == [
        [], ["cheap", "costly"], ["cheap"], [],
    ]  # fmt: skip
    assert [[failure.reason for failure in one.failures] for one in examined] == [[], [], ["ValueError"], []]
    health = runner.health["costly"]
    assert (health.examined, health.failed, health.skipped) == (2, 1, 2)


def test_a_skip_is_no_failure_and_a_failure_answers_on_error() -> None:
    reading = policy(
        detectors={"cheap": {"use": "cheap"}, "costly": {"use": "costly"}},
        when='findings.exists(f, f.detector == "costly" && f.score > 2.0)',
    )
    runner = Runner(content_detectors=[Cheap(), Costly()], attention={"costly": LATE})
    checker = Checker(runner, DecisionEngine(PolicySet([reading])))
    quiet = checker.check(call_from({"text": "fine"}))
    assert (quiet.decision.action, quiet.decision.queue, quiet.skipped) == (Action.ALLOW, "", ("costly",))
    broken = checker.check(call_from({"text": "odd, broken"}))
    assert broken.decision.queue
    assert broken.skipped == ()


@pytest.mark.parametrize("batch", [[None], []])
def test_a_batch_with_another_number_of_answers_is_a_failure_of_all(batch: list[object]) -> None:
    costly = Costly()
    costly.examine_many = lambda _: batch  # type: ignore[method-assign,assignment,return-value]
    runner = Runner(content_detectors=[costly])
    for one in runner.examine_many([message("a"), message("b")]):
        assert [failure.reason for failure in one.failures] == ["ValueError"]


@given(st.lists(st.text(max_size=20), max_size=60), st.floats(0, 1))
def test_a_sample_is_the_same_each_time_and_grows_with_its_share(texts: list[str], share: float) -> None:
    contents = [message(text) for text in texts]

    def sampled(share: float) -> set[str]:
        runner = Runner(
            content_detectors=[Costly()], attention={"costly": Attention(on="flagged", late=True, sample=share)}
        )
        return {
            one.text
            for one, said in zip(contents, runner.examine_many(contents), strict=True)
            if "costly" not in said.skipped
        }

    assert sampled(share) == sampled(share)
    assert sampled(share) <= sampled(min(1.0, share + 0.1))
    assert sampled(0.0) == set()
    assert sampled(1.0) == set(texts)


def test_a_sample_is_about_its_share() -> None:
    attention = Attention(on="flagged", late=True, sample=0.25)
    runner = Runner(content_detectors=[Costly()], attention={"costly": attention})
    said = runner.examine_many([message(str(number)) for number in range(2_000)])
    assert 400 < sum(not one.skipped for one in said) < 600


def test_what_is_not_there_fails_only_what_it_would_have_looked_at() -> None:
    missing = Unavailable(name="judge", reason="no address")
    runner = Runner(content_detectors=[Cheap()], unavailable=[missing], attention={"judge": LATE})
    fine, odd = runner.examine_many([message("fine"), message("odd")])
    assert (fine.failures, fine.skipped) == ((), ("judge",))
    assert [one.reason for one in odd.failures] == ["unavailable: no address"]


@dataclass
class CostlyCalls:
    name: str = "costly"
    version: str = "1"
    batches: list[int] = field(default_factory=list)

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        raise AssertionError("it takes batches")

    def examine_calls(self, subjects: Sequence[CallSubject]) -> Sequence[Outcome]:
        self.batches.append(len(subjects))
        return [[found(self.name)] for _ in subjects]


def test_a_late_call_detector_sees_the_calls_in_which_something_was_found() -> None:
    costly = CostlyCalls()
    assert isinstance(costly, BatchCallDetector)
    runner = Runner(content_detectors=[Cheap()], call_detectors=[costly], attention={"costly": LATE})
    checker = Checker(runner, DecisionEngine(PolicySet([policy()])))
    calls = [call_from({"text": text}) for text in ("fine", "odd", "good", "odd again")]
    checked = checker.check_many([(call, {}) for call in calls])
    assert costly.batches == [2]
    assert [one.skipped for one in checked] == [("costly",), (), ("costly",), ()]
    assert [one.call_examination.skipped for one in checked] == [("costly",), (), ("costly",), ()]
    alone = runner.examine_call(calls[0], tuple(parts_of(calls[0])), flagged=True)
    assert [one.detector for one in alone.findings] == ["costly"]


def test_many_calls_are_checked_as_each_alone() -> None:
    runner = Runner(content_detectors=[Cheap(), Costly()], attention={"costly": LATE})
    checker = Checker(runner, DecisionEngine(PolicySet([policy()])))
    calls = [call_from({"text": text, "documents": ["odd", text]}) for text in ("fine", "odd", "broken", "fine")]
    together = checker.check_many([(call, {}) for call in calls])
    assert together == [checker.check(call) for call in calls]


# Deadlines


class Hanging:
    name = "hanging"
    version = "1"

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked = 0

    def examine(self, content: Content) -> Sequence[Finding]:
        self.asked += 1
        if "hang" in content.text:
            self.release.wait(30)
        return []


def test_a_detector_that_hangs_costs_its_deadline_and_then_nothing_until_it_comes_back() -> None:
    hanging = Hanging()
    runner = Runner(
        content_detectors=[hanging, Cheap()], attention={"hanging": Attention(on="always", late=True, deadline=0.05)}
    )
    began = time.monotonic()
    said = runner.examine_many([message("odd hang")] * (STUCK_MOST + 20) + [message("odd")])
    assert time.monotonic() - began < 5
    assert hanging.asked == STUCK_MOST
    assert [one.failures[0].reason for one in said[:STUCK_MOST]] == ["TimeoutError: took over 0.05 s"] * STUCK_MOST
    assert {one.failures[0].reason for one in said[STUCK_MOST:]} == {"TimeoutError: still busy with earlier texts"}
    assert all([finding.detector for finding in one.findings] == ["cheap"] for one in said)
    hanging.release.set()
    until = time.monotonic() + 10
    while runner.examine(message("fine")).failures:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_deadline_is_for_a_batch_of_bounded_size() -> None:
    costly = Costly()
    runner = Runner(content_detectors=[costly], attention={"costly": Attention(late=True, deadline=30)})
    runner.examine_many([message(str(number)) for number in range(BATCH + 1)])
    assert [len(batch) for batch in costly.batches] == [BATCH, 1]


def test_work_within_its_deadline_gives_or_raises_what_it_does() -> None:
    deadline = Deadline(10)
    assert deadline.run(lambda: 3) == 3

    def broken() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError):
        deadline.run(broken)


# What policies ask for


def kind_of(cost: str, *, fails: bool = False) -> DetectorKind:
    def build(requests: Sequence[Options], surroundings: Surroundings) -> Costly:
        if fails:
            raise Misconfigured("It is not installed.")
        assert all(set(one) <= {"model"} for one in requests)
        return Costly()

    return DetectorKind(
        describe=lambda: DetectorDescription(
            name="costly",
            version="1",
            offline=True,
            finds="x",
            categories=("x",),
            scope="content",
            cost=cost,  # type: ignore[arg-type]
            options=(OptionDescription(name="model", kind="string", description="x"),),
        ),
        build=build,
    )


@pytest.fixture
def costly_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.KINDS, "costly", request.param)


def use(**options: object) -> DetectorUse:
    return DetectorUse(name="costly", options=options)  # type: ignore[arg-type]


def skips(*uses: DetectorUse, thorough: bool = False) -> bool:
    return bool(registry.build(uses, thorough=thorough).examine(message("fine")).skipped)


@pytest.mark.parametrize("costly_kind", [kind_of("high")], indirect=True)
@pytest.mark.usefixtures("costly_kind")
def test_a_costly_detector_looks_at_what_is_flagged_unless_a_policy_wants_more() -> None:
    assert skips(use())
    assert skips(use(model="m", on="flagged"))
    assert not skips(use(on="always"))
    assert not skips(use(), use(model="m", on="always"))
    assert not skips(use(sample=1))
    assert not skips(use(), thorough=True)
    digests = {registry.build([use(**one)]).digest for one in ({}, {"on": "always"}, {"sample": 0.5})}
    assert len(digests) == 3


@pytest.mark.parametrize("costly_kind", [kind_of("medium")], indirect=True)
@pytest.mark.usefixtures("costly_kind")
def test_a_detector_of_medium_cost_looks_at_everything_unless_all_policies_want_less() -> None:
    assert not skips(use())
    assert skips(use(on="flagged"))
    assert not skips(use(on="flagged"), use(model="m"))


@pytest.mark.parametrize("costly_kind", [kind_of("high", fails=True)], indirect=True)
@pytest.mark.usefixtures("costly_kind")
def test_one_that_cannot_be_built_fails_where_it_would_have_looked() -> None:
    assert skips(use())
    (failure,) = registry.build([use(on="always")]).examine(message("fine")).failures
    assert failure.reason == "unavailable: It is not installed."


@pytest.mark.parametrize("costly_kind", [kind_of("high")], indirect=True)
@pytest.mark.usefixtures("costly_kind")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on": "never"}, "'never' is no on"),
        ({"sample": 2}, "between 0 and 1"),
        ({"sample": "half"}, "a number"),
        ({"deadline": 0}, "above 0"),
    ],
)
def test_wrong_attention_is_said(options: dict[str, object], said: str) -> None:
    assert any(said in problem for problem in registry.problems(use(**options)))


@pytest.mark.parametrize("costly_kind", [kind_of("low")], indirect=True)
@pytest.mark.usefixtures("costly_kind")
def test_a_cheap_detector_is_not_asked_to_look_away() -> None:
    assert any("no option 'on'" in problem for problem in registry.problems(use(on="flagged")))
