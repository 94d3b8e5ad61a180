from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import BadInput
from governance.policy.folder import DATA_SCHEMA
from governance.policy.load import examine, load
from governance.policy.policy import Policy, PolicySet
from governance.policy.problems import PolicyErrors, Problem
from governance.policy.schema import schema, schema_text
from governance.policy.source import LARGEST, read
from tests.policy.samples import GOOD, policy

TODAY = date(2026, 11, 23)
PUBLISHED = Path("governance/policy/schema.json")


def write(folder: Path, text: str | bytes, name: str = "policy.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return folder


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(PolicyErrors) as caught:
        load(folder, today=TODAY)
    return caught.value.problems


def test_a_good_file_is_a_policy(tmp_path: Path) -> None:
    loaded = examine(write(tmp_path, GOOD), today=TODAY)
    assert loaded.problems == ()
    assert loaded.policy_set is not None
    (one,) = loaded.policy_set.policies
    assert one.id == "injection.direct"
    assert [use.name for use in loaded.policy_set.detector_uses()] == ["patterns"]
    assert loaded.files == {"injection.direct": "policy.yaml"}


def test_all_mistakes_of_all_files_are_reported_at_once_with_their_places(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("severity: high", "severity: dire").replace("owner: ai-security\n", ""), "a.yaml")
    write(tmp_path, "kind: [", "b/b.yaml")
    found = problems(tmp_path)
    assert [(one.file, one.line, one.column, one.rule) for one in found] == [
        ("a.yaml", 1, 1, "schema"),
        ("a.yaml", 6, 11, "schema"),
        ("b/b.yaml", 1, 8, "syntax"),
    ]
    assert "'owner' is missing" in found[0].message
    assert "low, medium, high, critical" in found[1].message


def test_a_mistake_shows_its_line_with_a_caret_and_what_was_meant(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("severity:", "severty:"))
    rendered = [one.render() for one in problems(tmp_path)]
    assert any(
        text
        == dedent(
            """\
            policy.yaml:7:1: error: unknown key 'severty' [schema]
                severty: high
                ^
                Did you mean 'severity'?"""
        )
        for text in rendered
    )


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("f.score >= params.min_score", "f.scor >= params.min_score", (13, ".scor"), "undefined field 'scor'"),
        ('&& call.user.role != "red-team"', "&& call.user.rol", (14, ".rol"), "undefined field 'rol'"),
        ("min_score: 0.8", "min_score: 1", (13, ">= params"), "no matching overload"),
        ('call.user.role != "red-team"', "call.user.role", (14, "&&"), "no matching overload"),
    ],
)
def test_a_mistake_in_a_condition_has_its_place_in_the_file(
    tmp_path: Path, old: str, new: str, place: tuple[int, str], words: str
) -> None:
    (found,) = problems(write(tmp_path, GOOD.replace(old, new)))
    line, at = place
    assert found.line == line
    assert found.source[found.column - 1 :].startswith(at), found.render()
    assert words in found.message


@pytest.mark.parametrize(
    "scalar",
    [
        "|\n  call.user.role != ''\n\n  && call.bad == ''",
        ">-\n  call.user.role != ''\n  && call.bad == ''",
        "call.user.role != '' && call.bad == ''",
        '"call.user.role != \'\' && call.bad == \\"\\""',
        "'call.user.role != '''' && call.bad == '''''",
        "\"call.user.role != '' \\\n    && call.bad == ''\"",
    ],
)
def test_places_are_right_in_every_style_of_yaml_text(tmp_path: Path, scalar: str) -> None:
    start, end = GOOD.index("when: >"), GOOD.index("then: {")
    text = GOOD[:start] + f"when: {scalar}\n" + GOOD[end:].replace("tests:", "budget: {}\ntests:")
    found = [one for one in problems(write(tmp_path, text)) if one.rule == "ill-typed-condition"]
    (one,) = found
    line = text.split("\n")[one.line - 1]
    assert line[one.column - 1 :].startswith(".bad"), one.render()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("- a\n- b\n", "keys and values"),
        ("just text", "keys and values"),
        (GOOD + "---\n" + GOOD, "second document"),
        (GOOD + "owner: again\n", "there already, in line 5"),
        ("a: &x [1]\nb: *x\n", "anchors"),
        ("a: *x\n", "aliases"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("a: !thing x\n", "tag"),
        ("a: !!int ''\n", "is no int"),
        ("a: !!timestamp x\n", "is no timestamp"),
        ("<<: {a: 1}\n", "merge"),
        ("[1]: 2\n", "key"),
        ("a: " + "[" * 5000, "nested"),
        ("a:\n\tb: 1\n", "cannot start any token"),
        ("a: '\n", "end of stream"),
        ("a: \x01\n", "character"),
        (b"a: \xff\xfe\n", "UTF-8"),
        ("a: 2026-13-45\n", "timestamp"),
        ("#" * (LARGEST + 1), "KiB"),
        ("params: {x: 999999999999999999999999}\n", "missing"),
        (GOOD.replace("min_score: 0.8", "min_score: 99999999999999999999"), "cannot be typed"),
        (GOOD.replace("min_score: 0.8", "min_score: .nan"), "min_score"),
        (GOOD.replace("min_score: 0.8", "min_score: {a: 1}"), "must be true or false, a number"),
        (GOOD.replace("id: injection.direct", "id: Direct"), "spelled"),
        (GOOD.replace("use: patterns", "use: magic"), "unknown detector"),
        (GOOD.replace("parts: [input]", "parts: [inptu]"), "'inptu' must be one of: system, input"),
        (GOOD.replace("parts: [input]", "kinds: [lmm]"), "'lmm' must be one of: llm, embedding"),
        (GOOD.replace("parts: [input]", "roles: customer"), "'roles' must be a list"),
        (GOOD.replace("parts: [input]", "releases: ['']"), "at least 1 character"),
        (GOOD.replace("parts: [input]", "system: [a]"), "unknown key 'system'"),
        (GOOD + "scope: tracee\n", "'scope' must be one of: call, trace, session"),
        (GOOD.replace("packs: [injection]", "packs: [injectoin]"), "injectoin"),
        (GOOD.replace("packs: [injection]", "pack: [injection]"), "no option 'pack'"),
    ],
)
def test_bad_files_give_problems_and_nothing_else(tmp_path: Path, text: str | bytes, words: str) -> None:
    found = problems(write(tmp_path, text))
    assert any(words in one.message for one in found), [one.message for one in found]


def test_what_was_meant_is_said(tmp_path: Path) -> None:
    text = GOOD.replace("parts: [input]", "parts: [inptu], kinds: [tol]").replace("severity: high", "severity: hgih")
    found = problems(write(tmp_path, text))
    assert [one.hint for one in found] == ["Did you mean 'high'?", "Did you mean 'input'?", "Did you mean 'tool'?"]
    steps = GOOD.replace('call.user.role != "red-team"', "steps.exists(s, s.ordr > 1)")
    (only,) = problems(write(tmp_path, steps))
    assert (only.message, only.hint) == (
        "undeclared reference to 'steps'",
        "steps are there with `scope: trace` or `scope: session`.",
    )
    (field,) = problems(write(tmp_path, steps + "scope: trace\n"))
    assert (field.line, field.hint) == (14, "Did you mean 'order'?")
    assert field.source[field.column - 1 :].startswith(".ordr")


def test_an_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "anchors" in problems(write(tmp_path, "\n".join(lines)))[0].message


def test_a_missing_or_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        load(tmp_path / "absent")
    assert problems(tmp_path)[0].rule == "no-policies"


def test_examples_come_from_files_beside_the_policy(tmp_path: Path) -> None:
    text = GOOD.replace('{text: "What is my balance?"}', "fixtures/plain.json")
    write(tmp_path, json.dumps({"text": "Hello"}), "family/fixtures/plain.json")
    policy_set = load(write(tmp_path, text, "family/a.yaml"), today=TODAY)
    assert policy_set.policies[0].tests[1].call == {"text": "Hello"}


@pytest.mark.parametrize("content", [None, "no json", "[1]"])
def test_examples_that_cannot_be_read_are_problems(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write(tmp_path, content, "fixtures/plain.json")
    (found,) = problems(write(tmp_path, GOOD.replace('{text: "What is my balance?"}', "fixtures/plain.json")))
    assert found.line == 19


def test_examples_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    write(tmp_path, "{}", "outside.json")
    write(folder, GOOD.replace('{text: "What is my balance?"}', "../outside.json"))
    (found,) = problems(folder)
    assert "outside" in found.message


def test_access_files_are_part_of_the_set(tmp_path: Path) -> None:
    before = load(write(tmp_path, GOOD), today=TODAY)
    write(tmp_path, "permit (principal, action, resource);", "access/data.cedar")
    write(tmp_path, "entity Role, Thing; action read appliesTo {principal: Role, resource: Thing};", DATA_SCHEMA)
    write(tmp_path, "permit (principal, action, resource);", "access/console.cedar")
    after = load(tmp_path, today=TODAY)
    assert list(after.access) == ["access/console.cedar", "access/data.cedar", DATA_SCHEMA]
    assert before.digest != after.digest


def test_a_set_replays_from_its_document(tmp_path: Path) -> None:
    original = load(write(tmp_path, GOOD), today=TODAY)
    again = PolicySet.from_document(json.loads(json.dumps(original.document())))
    assert again.digest == original.digest
    assert len(again.digest) == 64
    assert again.policies == original.policies


def test_the_digest_knows_content_and_not_layout(tmp_path: Path) -> None:
    first = load(write(tmp_path / "one", GOOD), today=TODAY)
    relaid = yaml.safe_dump({**yaml.safe_load(GOOD)}, sort_keys=True, default_flow_style=False)
    second = load(write(tmp_path / "two", "# a comment\n" + relaid, "other/name.yml"), today=TODAY)
    assert first.digest == second.digest


CHANGES: list[dict[str, Any]] = [
    {"title": "Other"},
    {"status": "shadow"},
    {"params": {"min_score": 0.6}},
    {"when": "true"},
    {"then": {"action": "redact", "explain": "y"}},
    {"on_error": "block"},
    {"controls": {"owasp_llm": ["LLM01"]}},
    {"applies_to": {"roles": ["x"]}},
    {"budget": {"max_alert_rate": 0.5}},
    {"tests": [{"name": "t", "call": {"text": "x"}, "expect": "allow"}]},
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_content_changes_the_digest(change: dict[str, Any]) -> None:
    assert PolicySet([policy()]).digest != PolicySet([policy(**change)]).digest


@settings(max_examples=30)
@given(st.permutations(range(5)))
def test_the_digest_does_not_know_order(numbers: list[int]) -> None:
    made = [policy(id=f"p.n{number}") for number in numbers]
    assert PolicySet(made).digest == PolicySet(policy(id=f"p.n{number}") for number in range(5)).digest


def test_drafts_ask_for_no_detectors() -> None:
    assert PolicySet([policy(status="draft")]).detector_uses() == ()


def test_the_published_schema_is_the_one_that_is_loaded_with() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(schema())
    value = yaml.safe_load(GOOD)
    jsonschema.validate(value, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "sverity": "high"}, schema())


# Whatever is in a file: a set, or problems with places.

JUNK = st.sampled_from(
    [*":{}[]|>'\"%#~\t\0\r\\é\u2028\ud800", "&a ", "*a", "!!int ", "- ", "? ", "<<: ", "...\n", "---\n", "when: "]  # noqa: RUF005
    + ["true", "1e999", "2026-02-30", "0x", "1_0:59", "{x}"]
)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["drop", "double", "insert", "replace", "cut"]),
            st.integers(0, len(GOOD)),
            JUNK,
            st.integers(0, 40),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_mutation_of_a_file_is_a_set_or_problems(
    tmp_path_factory: pytest.TempPathFactory, mutations: list[tuple[str, int, str, int]]
) -> None:
    text = GOOD
    for kind, at, junk, length in mutations:
        match kind:
            case "drop":
                text = text[:at] + text[at + length :]
            case "double":
                text = text[:at] + text[at : at + length] * 2 + text[at + length :]
            case "insert":
                text = text[:at] + junk + text[at:]
            case "replace":
                text = text[:at] + junk + text[at + length :]
            case _:
                text = text[:at]
    folder = tmp_path_factory.mktemp("fuzz")
    write(folder, text)
    try:
        made = load(folder, today=TODAY)
    except PolicyErrors as error:
        lines = text.split("\n")
        for one in error.problems:
            assert one.line >= 1
            assert one.column >= 1
            assert one.line <= len(lines) + 1
            one.render()
        str(error)
    else:
        assert isinstance(made.policies[0], Policy)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    _, found = read("x.yaml", raw)
    for one in found:
        one.render()
