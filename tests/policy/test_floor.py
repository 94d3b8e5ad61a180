"""The organisation floor: a system's policy may be stricter, never weaker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.content import parts_of
from governance.domain.decisions import Action, Decision
from governance.domain.findings import Finding
from governance.engine.decide import DecisionEngine
from governance.policy.floor import weaknesses
from governance.policy.load import Loaded, examine
from governance.policy.policy import Policy, PolicySet
from governance.policy.schema import schema
from tests.policy.samples import GOOD, call, finding, policy

TODAY = date(2026, 11, 23)
FLOOR: dict[str, Any] = {
    **yaml.safe_load(GOOD),
    "on_error": "redact",
    "params": {"min_score": 0.8, "labels": ["a", "b"], "few": ["x", "y"], "least": 3, "word": "w"},
    "when": "findings.exists(f, f.score >= params.min_score && (f.label in params.labels || !(f.label in params.few)"
    " || f.count >= params.least || f.rule == params.word))",
    "then": {"action": "redact", "queue": "security", "explain": "Found {finding.rule}"},
    "applies_to": {"parts": ["input", "output"], "roles": ["customer", "staff"]},
    "floor": {
        "params": {"min_score": "lower", "labels": "more", "few": "fewer", "least": "lower"},
        "exceptions_days": 30,
    },
}
OWN: dict[str, Any] = {
    "apiVersion": "governance/v1",
    "kind": "Policy",
    "id": "support.direct",
    "extends": "injection.direct",
    "applies_to": {"systems": ["support-*"]},
    "tests": yaml.safe_load(GOOD)["tests"],
}


def exception(until: str) -> dict[str, Any]:
    return {"when": 'call.system == "x"', "expires": until, "approved_by": "risk", "reason": "pilot"}


def folder(path: Path, own: Mapping[str, Any], floor: Mapping[str, Any] = FLOOR, place: str = "floor") -> Loaded:
    (path / place).mkdir()
    (path / place / "direct.yaml").write_text(yaml.safe_dump(dict(floor), sort_keys=False), "utf-8")
    (path / "support").mkdir()
    (path / "support" / "direct.yaml").write_text(yaml.safe_dump(dict(own), sort_keys=False), "utf-8")
    return examine(path, today=TODAY)


def test_a_policy_takes_over_what_it_does_not_state(tmp_path: Path) -> None:
    loaded = folder(tmp_path, {**OWN, "params": {"min_score": 0.6}, "then": {"action": "block"}})
    assert [one.render() for one in loaded.problems] == []
    assert loaded.policy_set is not None
    made = loaded.policy_set.get("support.direct")
    assert made is not None
    assert (made.then.action, made.then.queue, made.then.explain) == (Action.BLOCK, "security", "Found {finding.rule}")
    assert made.params == {**FLOOR["params"], "min_score": 0.6}
    assert (made.applies_to.systems, made.applies_to.roles) == (["support-*"], ["customer", "staff"])
    assert (made.floor, made.extends, len(made.tests)) == (None, "injection.direct", 2)
    again = PolicySet.from_document(loaded.policy_set.document())
    assert again.digest == loaded.policy_set.digest


STRICTER: list[dict[str, Any]] = [
    {},
    {"then": {"action": "block"}, "severity": "critical", "on_error": "block"},
    {"params": {"min_score": 0.1, "labels": ["c", "b", "a"], "few": ["x"], "least": 1}},
    {"applies_to": {"roles": ["*"], "parts": []}},
    {"applies_to": {"roles": ["other", "staff", "customer"], "parts": ["document", "output", "input"]}},
    {"detectors": {"phrases": {"use": "patterns", "packs": ["injection", "jailbreak"]}, "more": {"use": "structure"}}},
    {"exceptions": [exception("2026-12-20")]},
    {"when": FLOOR["when"].replace(" ", "  ")},
]


@pytest.mark.parametrize("change", STRICTER)
def test_stricter_is_allowed(tmp_path: Path, change: dict[str, Any]) -> None:
    loaded = folder(tmp_path, {**OWN, **change})
    assert [one.render() for one in loaded.problems if one.rule == "weaker-than-floor"] == []
    assert loaded.policy_set is not None


WEAKER: list[tuple[dict[str, Any], str, str]] = [
    ({"then": {"action": "allow"}}, "allow", "the action allow is weaker"),
    ({"then": {"action": "redact", "queue": ""}}, "''", "no review is weaker"),
    ({"status": "shadow"}, "shadow", "the status shadow"),
    ({"status": "retired"}, "retired", "the status retired"),
    ({"severity": "low"}, "low", "the severity low"),
    ({"on_error": "review"}, "review", "on_error: review"),
    ({"scope": "trace"}, "trace", "the scope trace"),
    ({"when": "findings.exists(f, f.score >= 1.0)"}, "findings", "the condition differs"),
    ({"applies_to": {"roles": ["customer"]}}, "\n", "fewer roles"),
    ({"applies_to": {"parts": ["input"]}}, "\n", "fewer parts"),
    ({"applies_to": {"kinds": ["llm"]}}, "\n", "fewer kinds"),
    ({"applies_to": {"releases": ["r1"]}}, "\n", "fewer releases"),
    ({"params": {"min_score": 0.9}}, "0.9", "min_score is weaker"),
    ({"params": {"labels": ["a"]}}, "\n", "labels is weaker"),
    ({"params": {"few": ["x", "y", "z"]}}, "\n", "few is weaker"),
    ({"params": {"least": 4}}, "4", "least is weaker"),
    ({"params": {"word": "v"}}, "v", "fixes word"),
    ({"detectors": {"phrases": {"use": "patterns", "packs": ["jailbreak"]}}}, "\n", "packs differs"),
    ({"detectors": {"phrases": {"use": "structure"}}}, "\n", "reads the detector patterns"),
    ({"exceptions": [exception("2027-01-20")]}, "'2027-01-20'", "runs longer"),
]


@pytest.mark.parametrize(("change", "at", "words"), WEAKER)
def test_weaker_is_said_at_its_place_and_keeps_the_set_from_loading(
    tmp_path: Path, change: dict[str, Any], at: str, words: str
) -> None:
    loaded = folder(tmp_path, {**OWN, **change})
    found = [one for one in loaded.problems if one.rule == "weaker-than-floor"]
    assert len(found) == 1, [one.render() for one in loaded.problems]
    assert words in found[0].message
    assert found[0].hint
    assert found[0].file == "support/direct.yaml"
    assert at == "\n" or found[0].source[found[0].column - 1 :].startswith(at), found[0].render()
    assert loaded.policy_set is None


def test_no_exceptions_unless_the_floor_allows_them(tmp_path: Path) -> None:
    loaded = folder(tmp_path, {**OWN, "exceptions": [exception("2026-11-24")]}, {**FLOOR, "floor": {}})
    assert [one.message for one in loaded.problems if one.rule == "weaker-than-floor"] == [
        "injection.direct allows no exceptions"
    ]


def test_what_is_extended_must_be_there_and_a_floor(tmp_path: Path) -> None:
    loaded = folder(tmp_path, {**OWN, "extends": "injection.drect"})
    (found,) = loaded.problems
    assert (found.rule, found.hint) == ("unknown-floor", "Did you mean 'injection.direct'?")


def test_the_floor_is_where_its_owners_guard_it(tmp_path: Path) -> None:
    loaded = folder(tmp_path, OWN, place="elsewhere")
    found = [(one.rule, one.file) for one in loaded.problems]
    assert ("misplaced-floor", "elsewhere/direct.yaml") in found
    # And a policy that tightens nothing is said to be of no use.
    assert found[1:] == [("shadowed-policy", "support/direct.yaml")]


def test_a_policy_without_floor_does_not_lie_with_the_floors(tmp_path: Path) -> None:
    plain = {name: value for name, value in FLOOR.items() if name != "floor"}
    loaded = folder(tmp_path, {**yaml.safe_load(GOOD), "id": "a.b"}, plain)
    assert ("misplaced-floor", "floor/direct.yaml") in [(one.rule, one.file) for one in loaded.problems]


def test_editors_ask_a_policy_that_extends_for_less() -> None:
    jsonschema.validate({**OWN, "then": {"action": "block"}}, schema())
    for broken in ({**OWN, "extends": 7}, {name: value for name, value in OWN.items() if name != "extends"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema())


# Decisions: whatever a system's policy says, no outcome is lower than with the floor alone.


def decide(policies: list[Policy], findings: list[Finding]) -> Decision:
    about = call()
    engine = DecisionEngine(PolicySet(policies), clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    return engine.decide(about, tuple(parts_of(about)), findings, ())


FLOOR_POLICY = policy(id="floor.one", floor={}, then={"action": "redact", "queue": "security", "explain": "x"})


def test_the_floors_queue_stands_before_that_of_a_more_severe_policy() -> None:
    other = policy(id="a.a", severity="critical", then={"action": "allow", "queue": "quality", "explain": "y"})
    assert decide([FLOOR_POLICY, other], [finding()]).queue == "security"
    assert decide([FLOOR_POLICY.model_copy(update={"floor": None}), other], [finding()]).queue == "quality"


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {
            "action": st.sampled_from([one.value for one in Action]),
            "queue": st.sampled_from(["", "quality"]),
            "status": st.sampled_from(["draft", "shadow", "enforce", "retired"]),
            "severity": st.sampled_from(["low", "critical"]),
            "score": st.sampled_from([0.1, 0.5, 0.95]),
            "excepted": st.booleans(),
        }
    ),
    st.sampled_from([0.2, 0.6, 1.0]),
)
def test_no_policy_lowers_the_floors_outcome(own: dict[str, Any], score: float) -> None:
    made = policy(
        id="support.one",
        extends="floor.one",
        status=own["status"],
        severity=own["severity"],
        params={"min_score": own["score"]},
        then={"action": own["action"], "queue": own["queue"], "explain": "x"},
        exceptions=[{**exception("2027-01-01"), "when": "true"}] if own["excepted"] else [],
    )
    alone, both = decide([FLOOR_POLICY], [finding(score=score)]), decide([FLOOR_POLICY, made], [finding(score=score)])
    assert both.action.rank >= alone.action.rank
    assert both.queue == alone.queue or (not alone.queue and alone.action is Action.ALLOW)
    assert (both.severity.rank if both.severity else 0) >= (alone.severity.rank if alone.severity else 0)
    # What lint lets through can only have tightened.
    if not list(weaknesses(made, FLOOR_POLICY, today=TODAY)) and alone.flagged and own["status"] == "enforce":
        assert "support.one" in {one.policy for one in both.policies}
