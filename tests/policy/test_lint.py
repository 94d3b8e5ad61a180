from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from governance.policy.lint import RULES
from governance.policy.load import examine
from governance.policy.problems import Level, Problem
from tests.policy.samples import GOOD

TODAY = date(2026, 11, 23)


def lint(folder: Path, *texts: str) -> list[Problem]:
    for number, text in enumerate(texts):
        path = folder / ("floor" if text.endswith("# in the floor\n") else ".") / f"{number}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return list(examine(folder, today=TODAY).problems)


def exception(expires: str) -> str:
    return (
        GOOD
        + f"exceptions:\n  - {{when: 'call.system == \"x\"', expires: {expires}, approved_by: risk, reason: pilot}}\n"
    )


Broken = dict[str, tuple[Callable[[], list[str]], tuple[int, str], str]]

BROKEN: Broken = {
    "duplicate-id": (lambda: [GOOD, GOOD], (3, "injection.direct"), "0.yaml already"),
    "unknown-detector": (lambda: [GOOD.replace("use: patterns", "use: pattern")], (10, "pattern,"), "there are: "),
    "ill-typed-condition": (lambda: [GOOD.replace("f.score >=", "f.sore >=")], (13, ".sore"), "undefined field 'sore'"),
    "bad-recogniser": (
        lambda: [
            GOOD.replace(
                "{use: patterns, packs: [injection]}",
                "{use: pii, recognisers: [{name: a, label: a, regex: '(a', hits: [a], clean: [b]}]}",
            )
        ],
        (10, "'(a'"),
        "RE2 refuses",
    ),
    "bad-pattern": (
        lambda: [GOOD.replace('call.user.role != "red-team"', 'call.user.role.matches("(a")')],
        (14, '"(a"'),
        "RE2 refuses",
    ),
    "unknown-name": (
        lambda: [GOOD.replace('f.detector == "phrases"', 'f.detector == "phrase"')],
        (13, '"phrase"'),
        "no detector",
    ),
    "unknown-placeholder": (
        lambda: [GOOD.replace("{finding.rule}", "{finding.text}")],
        (15, "{finding.text}"),
        "nothing fills",
    ),
    "missing-safe-response": (
        lambda: [GOOD.replace("action: block", "action: safe_default")],
        (15, "safe_default"),
        "safe_response",
    ),
    "no-outcome": (lambda: [GOOD.replace("action: block, queue: security", "action: allow")], (15, "then"), "allows"),
    "unknown-control": (lambda: [GOOD.replace("LLM01", "LLM11")], (16, "LLM11"), "has no 'LLM11'"),
    "expired-exception": (lambda: [exception("2026-11-22")], (21, "2026-11-22"), "ended on 2026-11-22"),
    "endless-exception": (lambda: [exception("2028-01-01")], (21, "2028-01-01"), "more than a year"),
    "constant-condition": (
        lambda: [GOOD.replace("f.score >= params.min_score", "f.score >= params.min_score && f.score <= 1.0")],
        (13, "f.score <= 1.0"),
        "this part of the condition is always true",
    ),
    "shadowed-policy": (
        lambda: [GOOD, GOOD.replace("id: injection.direct", "id: injection.other")],
        (12, ">"),
        "injection.direct has the same condition",
    ),
    "misplaced-floor": (lambda: [GOOD + "floor: {}\n"], (20, "floor"), "lies in the folder floor/"),
    "weaker-than-floor": (
        lambda: [
            GOOD + "floor: {params: {min_score: lower}} # in the floor\n",
            GOOD.replace("id: injection.direct", "id: support.direct\nextends: injection.direct").replace(
                "min_score: 0.8", "min_score: 0.9"
            ),
        ],
        (12, "0.9"),
        "It asks for 0.8 or less.",
    ),
    "missing-tests": (lambda: [GOOD.replace("expect: allow", "todo: allow")], (17, "tests"), "leaves alone"),
    "unused-parameter": (
        lambda: [GOOD.replace("{min_score: 0.8}", "{min_score: 0.8, most: 3}")],
        (11, "most"),
        "nothing reads",
    ),
}


def test_every_rule_has_an_example_and_a_sentence_of_its_own() -> None:
    assert set(BROKEN) == {rule.id for rule in RULES}
    assert len({rule.says for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_the_rule_finds_its_mistake_at_its_place_and_nothing_else(tmp_path: Path, rule: str) -> None:
    texts, place, words = BROKEN[rule]
    found = lint(tmp_path, *texts())
    assert [one.rule for one in found] == [rule], [one.render() for one in found]
    line, at = place
    assert found[0].line == line
    assert found[0].source[found[0].column - 1 :].startswith(at), found[0].render()
    assert words in found[0].message + found[0].hint
    assert found[0].source


def test_a_clean_policy_has_nothing_against_it(tmp_path: Path) -> None:
    other = exception("2027-01-01").replace("injection.direct", "injection.other").replace("red-team", "blue-team")
    assert lint(tmp_path, GOOD, other) == []


OTHER = GOOD.replace("id: injection.direct", "id: injection.other")
WIDER = OTHER.replace('  && call.user.role != "red-team"\n', "")


@pytest.mark.parametrize(
    ("other", "shadowed"),
    [
        (WIDER, "injection.direct"),  # the same and something more: the other always fires with it
        (WIDER.replace("params.min_score", "0.8").replace("params: {min_score: 0.8}\n", ""), "injection.direct"),
        (WIDER.replace("action: block", "action: redact"), ""),
        (WIDER.replace("queue: security", "queue: quality"), ""),
        (WIDER.replace("severity: high", "severity: medium"), ""),
        (WIDER.replace("status: enforce", "status: shadow"), ""),
        (WIDER.replace("min_score: 0.8", "min_score: 0.9"), ""),
        (WIDER.replace("parts: [input]", "parts: [output]"), ""),
        (WIDER.replace("parts: [input]", "parts: [input], systems: [a]"), ""),
        (WIDER.replace("packs: [injection]", "packs: [jailbreak]"), ""),
        (WIDER.replace("phrases", "words"), ""),
        (OTHER.replace("parts: [input]", "parts: [input], systems: [a]"), "injection.other"),
        (OTHER.replace("parts: [input]", "systems: [a]"), ""),
        (exception("2027-01-01").replace("id: injection.direct", "id: injection.other"), "injection.other"),
    ],
)
def test_a_policy_that_can_never_change_an_outcome_is_named(tmp_path: Path, other: str, shadowed: str) -> None:
    found = [one for one in lint(tmp_path, GOOD, other) if one.rule == "shadowed-policy"]
    assert [one.file for one in found] == ([] if not shadowed else ["1.yaml" if "other" in shadowed else "0.yaml"])


def test_a_pattern_that_matches_everything_is_named_where_it_stands(tmp_path: Path) -> None:
    matching = GOOD.replace('call.user.role != "red-team"', "call.name.matches(params.name)")
    for pattern, words in (("(?i)(send|)", "empty text"), ("(a", "RE2 refuses"), ("^$|x", "empty text")):
        (found,) = lint(tmp_path, matching.replace("min_score: 0.8", f'min_score: 0.8, name: "{pattern}"'))
        assert (found.rule, found.line) == ("bad-pattern", 11)
        assert words in found.message
        assert found.source[found.column - 1 :].startswith(f'"{pattern}"')
    assert lint(tmp_path, matching.replace("min_score: 0.8", 'min_score: 0.8, name: "send"')) == []


def test_time_passing_does_not_keep_a_set_from_loading(tmp_path: Path) -> None:
    (found,) = lint(tmp_path, exception("2020-01-01"))
    assert found.level is Level.WARNING
    assert examine(tmp_path, today=TODAY).policy_set is not None


def test_a_test_is_either_a_promise_or_to_do(tmp_path: Path) -> None:
    found = lint(tmp_path, GOOD.replace("expect: allow}", "expect: allow, todo: block}"))
    assert any("either" in one.message for one in found)


def test_safe_default_on_error_needs_its_answer_too(tmp_path: Path) -> None:
    (found,) = lint(tmp_path, GOOD + "on_error: safe_default\n")
    assert (found.rule, found.line) == ("missing-safe-response", 20)


def test_a_trap_has_a_hint(tmp_path: Path) -> None:
    (found,) = lint(tmp_path, GOOD.replace("params.min_score)", "1)").replace("params: {min_score: 0.8}\n", ""))
    assert "1.0" in found.hint
