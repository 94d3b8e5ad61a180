"""Policies on the page: the list and its figures, a policy's source, tests and versions, and a set's way into force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import yaml

from app.policies import files as policy_files
from app.policies import live as policy_figures
from governance.domain.policies import RolloutState
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.domain.times import micros
from governance.store.base import tables as t
from tests.console.conftest import Page
from tests.console.test_pages import button, listed, spoken, title
from tests.console.test_untrusted import ACTIVE, marked_up
from tests.console.world import HOSTILE, World
from tests.policy.samples import GOOD

DIRECT = "injection.direct"
OTHER = GOOD.replace(DIRECT, "quality.other").replace("Instructions in the prompt", "Quality of answers")


@pytest.fixture
def folder(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world's policy files: two, both in force; the figures of a few days beside them."""
    place = tmp_path / "policies"
    place.mkdir()
    (place / "direct.yaml").write_text(GOOD)
    (place / "other.yaml").write_text(OTHER.replace("status: enforce", "status: shadow"))
    monkeypatch.setitem(world.application.__dict__, "policies_dir", place)
    world.application.rollout.ensure(lambda: world.application.policy_files)
    return place


Spoke = Callable[..., None]


@pytest.fixture
def spoke(world: World, folder: Path) -> Spoke:
    """`spoke(DIRECT, 5, calls=100)`: on a day a policy fired on 5 of 100 calls."""

    def write(policy: str, fired: int = 0, *, calls: int = 0, errors: int = 0, ago: int = 0, shadow: int = 0) -> None:
        standing = world.application.rollout.standing().enforce
        assert standing is not None
        day = int(world.now.timestamp() // 86_400) - ago
        system = world.system("Claims assistant")
        with world.application.database.write() as tx:
            if calls:
                tx.connection.execute(
                    t.daily_set_figure.insert().values(
                        system_id=system,
                        day=day,
                        policy_set_id=standing.policy_set_id,
                        calls=calls,
                        flagged=fired,
                        shadow_calls=0,
                        shadow_flagged=0,
                    )
                )
            tx.connection.execute(
                t.daily_policy_figure.insert().values(
                    system_id=system,
                    day=day,
                    policy=policy,
                    policy_set_id=standing.policy_set_id,
                    fired=fired,
                    errors=errors,
                    excepted=0,
                    shadow_fired=shadow,
                    shadow_errors=0,
                    last_at=micros(world.now - timedelta(days=ago)),
                )
            )

    return write


def rows(test: Any) -> dict[str, Any]:
    return {row["Policy"]: row for row in listed(test)}


def change(folder: Path, was: str = "min_score: 0.8", now: str = "min_score: 0.9") -> None:
    path = folder / "direct.yaml"
    path.write_text(path.read_text().replace(was, now))


def decide(world: World, number: int, outcome: VerdictOutcome) -> None:
    review, who = world.application.review, world.people["reviewer"]
    claim = review.claim(who, number)
    review.decide(who, number, claim.lease_token, outcome=outcome, reason=ReasonCode.OTHER, note="so")


def test_an_installation_that_never_started_says_so(world: World, page: Page) -> None:
    assert title(page("policies", "engineer")) == "No policy is in force yet"


@pytest.mark.parametrize("who", ["reviewer", "senior_reviewer", "compliance_officer", "auditor", "engineer"])
def test_readers_see_policies(folder: Path, page: Page, who: str) -> None:
    test = page("policies", who)
    assert title(test) == "1 policy in force"
    assert "1 more in shadow" in spoken(test)
    assert rows(test)["Quality of answers"]["Stage"] == "Shadow"
    assert title(page("policy", who, id=DIRECT)) == "Instructions in the prompt"


@pytest.mark.parametrize("who", ["admin", "nobody"])
def test_others_do_not(folder: Path, page: Page, who: str) -> None:
    for name in ("policies", "policy", "change"):
        test = page(name, who, id="1")
        assert not listed(test)
        assert "Instructions in the prompt" not in spoken(test)


def test_figures_are_those_of_the_days_and_of_the_verdicts(world: World, spoke: Spoke, page: Page) -> None:
    spoke(DIRECT, 6, calls=100)
    spoke(DIRECT, 2, calls=100, ago=10)
    spoke(DIRECT, 50, calls=1_000, ago=40)
    spoke("quality.other", shadow=4)
    for number in range(12):
        wanted = VerdictOutcome.VIOLATION if number < 9 else VerdictOutcome.FALSE_ALARM
        decide(world, world.case(policy=DIRECT, severity="low"), wanted)
    found = rows(page("policies", "engineer"))
    direct = found["Instructions in the prompt"]
    assert direct["Flagged, 7 d"] == "6"
    assert direct["Right when it flags"] == "75% (47 to 91)"
    assert list(direct["Each day"])[-1] == 6
    assert list(direct["Each day"])[-11] == 2
    assert direct["Last hit"] == "just now"
    assert "Failed" not in direct
    assert found["Quality of answers"]["Flagged, 7 d"] == "4"
    assert found["Quality of answers"]["Right when it flags"] == "Not measured"
    metrics = {metric.label: metric.value for metric in page("policy", "engineer", id=DIRECT).metric}
    assert metrics["Right when it flags"] == "75%"
    assert metrics["Share of calls"] == "4.0%"
    assert metrics["Could not judge"] == "None"


def test_figures_of_other_systems_are_not_for_who_may_not_see_them(world: World, spoke: Spoke, page: Page) -> None:
    spoke(DIRECT, 6, calls=100)
    world.system("HR assistant")
    assert rows(page("policies", "limited"))["Instructions in the prompt"]["Flagged, 7 d"] == ""


@pytest.mark.parametrize(
    ("text", "figures", "said"),
    [
        (GOOD + "budget: {max_alert_rate: 0.02}\n", {"fired": 6, "calls": 100}, "Above agreed 2%"),
        (GOOD, {"fired": 6, "calls": 100, "errors": 3}, "Could not judge"),
        (GOOD.replace("expect: block", "expect: redact"), {}, "1 test fails"),
        (
            GOOD
            + 'exceptions:\n  - {when: "call.system == \\"x\\"", expires: 2026-11-25, approved_by: b, reason: r}\n',
            {},
            "Exception ends 25 Nov",
        ),
    ],
)
def test_what_needs_somebody_comes_first(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Page, text: str, figures: Any, said: str
) -> None:
    place = tmp_path / "others"
    place.mkdir()
    (place / "direct.yaml").write_text(text)
    (place / "first.yaml").write_text(OTHER.replace("severity: high", "severity: critical"))
    monkeypatch.setitem(world.application.__dict__, "policies_dir", place)
    world.application.rollout.ensure(lambda: world.application.policy_files)
    if figures:
        spoke_of(world, **figures)
    test = page("policies", "engineer")
    assert listed(test)[0]["Policy"] == "Instructions in the prompt"
    assert rows(test)["Instructions in the prompt"]["Attention"] == said
    only = page("policies", "engineer", show="Needs attention")
    assert [row["Policy"] for row in listed(only)] == ["Instructions in the prompt"]


def spoke_of(world: World, **figures: int) -> None:
    standing = world.application.rollout.standing().enforce
    assert standing is not None
    day, system = int(world.now.timestamp() // 86_400), world.system("Claims assistant")
    calls, fired = figures["calls"], figures["fired"]
    with world.application.database.write() as tx:
        tx.connection.execute(
            t.daily_set_figure.insert().values(
                system_id=system,
                day=day,
                policy_set_id=standing.policy_set_id,
                calls=calls,
                flagged=fired,
                shadow_calls=0,
                shadow_flagged=0,
            )
        )
        tx.connection.execute(
            t.daily_policy_figure.insert().values(
                system_id=system,
                day=day,
                policy=DIRECT,
                policy_set_id=standing.policy_set_id,
                fired=fired,
                errors=figures.get("errors", 0),
                excepted=0,
                shadow_fired=0,
                shadow_errors=0,
                last_at=micros(world.now),
            )
        )


def test_a_policy_that_is_seldom_right_is_named(world: World, folder: Path, page: Page) -> None:
    change(folder, "tests:", "budget: {min_precision: 0.7}\ntests:")
    world.application.rollout.ensure(lambda: world.application.policy_files)
    for number in range(12):
        wanted = VerdictOutcome.VIOLATION if number < 6 else VerdictOutcome.FALSE_ALARM
        decide(world, world.case(policy=DIRECT, severity="low"), wanted)
    propose_and_enforce(world, folder)
    assert rows(page("policies", "engineer"))["Instructions in the prompt"]["Attention"] == "Below agreed 70%"


def propose_and_enforce(world: World, folder: Path) -> int:
    service, engineer = world.application.rollout, world.people["engineer"]
    made = service.propose(engineer, world.application.policy_files, note="why")
    service.approve(world.people["senior_reviewer"], made.id)
    return service.enforce(engineer, made.id, note="urgent").id


def test_overview_says_which_policies_need_somebody_and_which_change_waits(
    world: World, folder: Path, page: Page
) -> None:
    world.call()
    change(folder, "tests:", "budget: {max_alert_rate: 0.02}\ntests:")
    made = propose_and_enforce(world, folder)
    assert "attention" not in spoken(page("overview", "engineer"))
    spoke_of(world, fired=6, calls=100)
    change(folder)
    waiting = world.application.rollout.propose(world.people["engineer"], world.application.policy_files)
    st.cache_data.clear()
    for who, asked in (("senior_reviewer", True), ("engineer", False), ("reviewer", False)):
        said = spoken(page("overview", who))
        assert "**Instructions in the prompt: above agreed 2%.**" in said
        assert (f"**Policy set {waiting.id} waits for approval.**" in said) is asked
    world.application.rollout.approve(world.people["senior_reviewer"], waiting.id)
    st.cache_data.clear()
    assert f"**Policy set {waiting.id} is approved.**" in spoken(page("overview", "engineer"))
    assert made < waiting.id


def test_a_detector_that_does_not_work_is_named_where_it_matters(world: World, folder: Path, page: Page) -> None:
    with world.application.database.write() as tx:
        tx.connection.execute(
            t.detector_health.insert().values(
                detector="patterns",
                version="",
                answered=0,
                failed=1,
                last_failure="unavailable: it is not installed",
                since=micros(world.now),
                updated_at=micros(world.now),
                absent_since=micros(world.now),
            )
        )
    world.call()
    assert rows(page("policies", "engineer"))["Instructions in the prompt"]["Attention"] == "Detector unavailable"
    test = page("policy", "engineer", id=DIRECT)
    assert "**Text patterns does not work here.** What it cannot examine goes to a person." in spoken(test)
    assert "it is not installed" in spoken(test)
    assert "Since today" in spoken(test)
    overview = page("overview", "engineer")
    assert "The detector for text patterns does not work here." in spoken(overview)
    assert "Unavailable" in overview.table[0].value.to_string()


def test_what_is_wrong_with_a_file_stands_at_its_place(folder: Path, page: Page) -> None:
    change(folder, "f.score", "f.scor")
    test = page("policies", "engineer")
    assert "**1 mistake keeps the policy files from being loaded.** What is in force goes on unchanged." in spoken(test)
    assert button(test, "Propose a change").help == "Fix the mistakes in the files first"
    assert title(test) == "1 policy in force", "what is in force goes on"
    lines = policy_files.source("direct.yaml", policy_files.files().of(DIRECT) or policy_files.files().problems)
    marked = [line for line in lines if line.remarks]
    assert len(marked) == 1
    (remark,) = marked[0].remarks
    assert marked[0].text[remark.start : remark.end] == ".scor"
    assert remark.level == "critical"
    assert "undefined field 'scor'" in remark.label


@pytest.mark.parametrize(
    ("was", "now", "wrong"),
    [("owner:", "ownr:", "unknown key 'ownr'"), ("applies_to:", "applies_to: [", "expected")],
    ids=["schema", "syntax"],
)
def test_a_file_that_is_no_policy_for_now_stands_at_its_policy(
    folder: Path, page: Page, was: str, now: str, wrong: str
) -> None:
    change(folder, was, now)
    (folder / "new.yaml").write_text((folder / "direct.yaml").read_text().replace(DIRECT, "injection.new"))
    row = rows(page("policies", "engineer"))["Instructions in the prompt"]
    assert "mistake" in row["Attention"]
    test = page("policy", "engineer", id=DIRECT)
    assert title(test) == "Instructions in the prompt"
    assert "direct.yaml · " in spoken(test)
    remarks = [
        remark
        for line in policy_files.source("direct.yaml", policy_files.files().of(DIRECT))
        for remark in line.remarks
    ]
    assert any(wrong in remark.label for remark in remarks)
    unknown = page("policy", "engineer", id="injection.new")
    assert title(unknown) == "This file is no policy yet"
    assert title(page("change", "engineer", id="files")) == "The policy files cannot be compared"


def test_the_whole_way_on_the_pages(world: World, folder: Path, page: Page) -> None:
    change(folder)
    engineer = page("policies", "engineer")
    assert rows(engineer)["Instructions in the prompt"]["Attention"] == "Changed in the files"
    assert "**The files differ: 1 policy changed**" in spoken(engineer)
    button(engineer, "Propose a change").click().run()
    engineer.text_area(key="propose-note").set_value("fewer false alarms")
    button(engineer, "Propose a change").click().run()
    engineer.button(key="propose-go").click()
    button(engineer, "Propose a change").click().run()
    assert not engineer.exception
    (made, first) = world.application.rollout.history()
    assert (made.state, first.state) == (RolloutState.PROPOSED, RolloutState.ENFORCE)
    assert title(page("policies", "engineer")) == "1 policy in force, 1 change waits for approval"

    own = page("change", "engineer", id=str(made.id))
    assert title(own) == f"Set {made.id}: Instructions in the prompt (threshold)"
    assert button(own, "Approve").help == "Somebody else must approve your change"
    assert "fewer false alarms" in spoken(own)
    assert button(page("change", "reviewer", id=str(made.id)), "Approve").disabled
    senior = page("change", "senior_reviewer", id=str(made.id))
    step(senior, "Approve", "approved")
    assert world.application.rollout.get(made.id).state is RolloutState.APPROVED

    blocked = button(page("change", "senior_reviewer", id=str(made.id)), "Try in shadow")
    assert blocked.help == "Engineers and compliance officers bring it into force"
    engineer = page("change", "engineer", id=str(made.id))
    step(engineer, "Try in shadow", "shadow")
    assert world.application.rollout.get(made.id).state is RolloutState.SHADOW
    engineer = page("change", "engineer", id=str(made.id))
    assert "No call was decided in shadow yet" in spoken(engineer)
    step(engineer, "Put into force", "enforce")
    assert world.application.rollout.get(made.id).state is RolloutState.ENFORCE
    versions = page("policy", "engineer", id=DIRECT)
    assert "Threshold" in versions.table[-1].value.to_string()

    engineer = page("policies", "engineer")
    button(engineer, "Go back to set 1").click().run()
    engineer.text_area(key="back-why").set_value("too lax")
    button(engineer, "Go back to set 1").click().run()
    engineer.button(key="back-go").click()
    button(engineer, "Go back to set 1").click().run()
    assert not engineer.exception
    standing = world.application.rollout.standing().enforce
    assert standing is not None
    assert standing.digest == first.digest
    said = listed(page("audit", "auditor", show="Policies"))[0]["What happened"]
    assert "restored" in said or "went back" in said


def step(test: Any, label: str, state: str) -> None:
    """Opens the step's dialog and confirms it; AppTest runs the whole script, so the button is pressed with each."""
    test.button(key=f"step-{state}").click().run()
    assert label in [one.label for one in test.button]
    test.button(key=f"go-{state}").click()
    test.button(key=f"step-{state}").click().run()
    assert not test.exception


def test_a_change_that_is_returned_says_why_and_goes_no_further(world: World, folder: Path, page: Page) -> None:
    change(folder)
    made = world.application.rollout.propose(world.people["engineer"], world.application.policy_files)
    test = page("change", "senior_reviewer", id=str(made.id))
    test.button(key="step-rejected").click().run()
    assert test.button(key="go-rejected").disabled
    test.text_area(key=f"note-rejected-{made.id}").set_value("0.9 lets too much through")
    test.button(key="step-rejected").click().run()
    test.button(key="go-rejected").click()
    test.button(key="step-rejected").click().run()
    assert world.application.rollout.get(made.id).state is RolloutState.REJECTED
    after = page("change", "engineer", id=str(made.id))
    assert "0.9 lets too much through" in spoken(after)
    assert not [one for one in after.button if one.label == "Approve"]


def test_what_was_compared_with_another_set_can_not_go_on(world: World, folder: Path, page: Page) -> None:
    change(folder)
    waiting = world.application.rollout.propose(world.people["engineer"], world.application.policy_files)
    change(folder, "min_score: 0.9", "min_score: 0.7")
    propose_and_enforce(world, folder)
    test = page("change", "senior_reviewer", id=str(waiting.id))
    assert button(test, "Approve").help == "Another set came into force since: propose the files again"


def test_a_set_whose_test_fails_is_not_proposed(world: World, folder: Path, page: Page) -> None:
    change(folder, "expect: block", "expect: redact")
    test = page("policies", "engineer")
    button(test, "Propose a change").click().run()
    test.button(key="propose-go").click()
    button(test, "Propose a change").click().run()
    assert "1 test of the set fails" in spoken(test)
    assert len(world.application.rollout.history()) == 1
    files = page("change", "engineer", id="files")
    assert "Expected Redacted, got Blocked" in spoken(files)


@pytest.mark.parametrize("number", ["", "99", "abc", "-1", "²", "9" * 30, "files"])
def test_an_address_of_no_change_says_so(folder: Path, page: Page, number: str) -> None:
    expected = "The files are what is in force" if number == "files" else "There is no such change"
    assert title(page("change", "engineer", id=number)) == expected


@pytest.mark.parametrize("identifier", ["", "no.such", "../../etc/passwd", HOSTILE])
def test_an_address_of_no_policy_says_so(folder: Path, page: Page, identifier: str) -> None:
    assert title(page("policy", "engineer", id=identifier)) == "There is no such policy"


def test_words_of_a_policy_file_stay_words(world: World, folder: Path, page: Page) -> None:
    document = yaml.safe_load(GOOD)
    document |= {"title": HOSTILE[:390], "owner": HOSTILE[:390], "description": HOSTILE}
    document["tests"][0]["name"] = HOSTILE[:390]
    document["params"] = {"min_score": 0.8, "words": [HOSTILE]}
    document["when"] += ' && !("x" in params.words)'
    document["exceptions"] = [
        {"when": 'call.system == "x"', "expires": "2026-12-31", "approved_by": HOSTILE[:390], "reason": HOSTILE[:390]}
    ]
    document["controls"] = {"owasp_llm": ["LLM01"]}
    (folder / "direct.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    made = propose_and_enforce(world, folder)
    for name, identifier in (("policies", ""), ("policy", DIRECT), ("change", str(made))):
        test = page(name, "engineer", **({"id": identifier} if identifier else {}))
        assert not test.exception
        for where, value in marked_up([*test.main, *test.sidebar]):
            for active in ACTIVE:
                assert active not in value, f"{name} {where}: {value[:200]}"


def test_what_no_test_has_seen_of_a_condition_is_shown(folder: Path, page: Page) -> None:
    test = page("policy", "engineer", id=DIRECT)
    assert "outcomes of the condition's parts seen" in spoken(test)
    assert "f.score > 0.99" not in [text.value for text in test.text]
    change(folder, "f.score >= params.min_score", "(f.score >= params.min_score || f.score > 0.99)")
    test = page("policy", "engineer", id=DIRECT)
    assert "No test has seen this part of the condition" in spoken(test)
    assert "f.score > 0.99" in [text.value for text in test.text]


def test_columns_with_nothing_to_read_are_left_out(world: World, spoke: Spoke, page: Page) -> None:
    optional = {"Attention", "Failed", "Hours"}

    def hidden() -> set[str]:
        return optional - listed(page("policies", "engineer"))[0].keys()

    assert hidden() == optional
    spoke(DIRECT, 5, calls=100, errors=3)
    st.cache_data.clear()
    assert hidden() == {"Hours"}


@pytest.mark.parametrize(("hours", "said"), [(0.0, "< 0.1"), (0.01, "< 0.1"), (0.1, "0.1"), (12.34, "12.3")])
def test_hours_are_said_as_they_are(hours: float, said: str) -> None:
    assert policy_figures.hours(hours) == said
