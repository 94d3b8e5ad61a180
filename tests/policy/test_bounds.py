"""Broken policies of every kind, conditions built to be slow, packs far larger than ours: an answer, and what it costs.

Times are of this process alone, and bounds far above what is needed: a busy machine does not decide.
"""

from __future__ import annotations

import random
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.detectors.patterns import PatternDetector
from governance.detectors.patterns.packs import read_pack
from governance.domain.calls import CallKind, Document, Message, ToolCall
from governance.domain.content import Content, ContentKind, parts_of
from governance.domain.decisions import Outcome
from governance.engine.decide import DecisionEngine
from governance.policy.load import Loaded, examine
from governance.policy.policy import PolicySet
from governance.policy.problems import Problem
from governance.policy.source import DEEPEST, LARGEST
from tests.policy.samples import GOOD, call, policy

TODAY = date(2026, 11, 23)
FLOOR = GOOD + "floor: {params: {min_score: lower}, exceptions_days: 30}\n"
OWN = (
    "apiVersion: governance/v1\nkind: Policy\nid: support.direct\nextends: injection.direct\nscope: call\n"
    "params: {min_score: 0.5}\nthen: {action: block}\ntests:\n"
    "  - {name: hit, call: {text: a, steps: [{text: b}]}, expect: block}\n"
)


def load(folder: Path, *texts: bytes) -> Loaded:
    (folder / "floor").mkdir(exist_ok=True)
    for number, raw in enumerate(texts):
        (folder / ("floor" if number == 0 else ".") / f"{number}.yaml").write_bytes(raw)
    return examine(folder, today=TODAY)


def sound(problems: tuple[Problem, ...], texts: tuple[bytes, ...]) -> None:
    """Each problem has a place in its file, a rule, and words that a terminal can show."""
    for one in problems:
        assert one.line >= 1
        assert one.column >= 1
        assert one.rule
        assert one.message
        assert one.render()
        number = int(Path(one.file).stem) if Path(one.file).stem.isdigit() else 0
        assert one.line <= texts[number].count(b"\n") + texts[number].count(b"\r") + 2


@settings(max_examples=60)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_in_any_folder(tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes) -> None:
    loaded = load(tmp_path_factory.mktemp("bytes"), first, second)
    assert loaded.policy_set is None
    sound(loaded.problems, (first, second))


JUNK = st.one_of(
    st.sampled_from([b"", b"\0", b"\xff", b"\r", b"\t", b": ", b"{", b"]", b"'", b'"', b"extends: ", b"floor: 1\n"]),
    st.sampled_from(
        [b"lower", b"null", b"1e400", b"[]", b"{}", b"steps", b"&&", b"params.", b"f.score", b"\xf0\x9f\x8e"]
    ),
    st.binary(max_size=6),
)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 900), st.integers(0, 30), JUNK), min_size=1, max_size=4))
def test_any_mutation_of_a_floor_and_of_what_extends_it(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[bool, int, int, bytes]]
) -> None:
    texts = [FLOOR.encode(), OWN.encode()]
    for of_floor, at, length, junk in changes:
        raw = texts[not of_floor]
        at %= len(raw)
        texts[not of_floor] = raw[:at] + junk + raw[at + length :]
    loaded = load(tmp_path_factory.mktemp("mutated"), *texts)
    sound(loaded.problems, tuple(texts))
    if loaded.policy_set is not None:
        DecisionEngine(loaded.policy_set)
        assert PolicySet.from_document(loaded.policy_set.document()).digest == loaded.policy_set.digest


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=80)
@given(st.sampled_from(sorted(yaml.safe_load(FLOOR) | yaml.safe_load(OWN) | {"exceptions": 0, "budget": 0})), VALUES)
def test_any_value_in_any_field(tmp_path_factory: pytest.TempPathFactory, field: str, value: Any) -> None:
    folder = tmp_path_factory.mktemp("values")
    texts = tuple(
        yaml.safe_dump({**yaml.safe_load(text), field: value}, allow_unicode=True).encode("utf-8", "surrogatepass")
        for text in (FLOOR, OWN)
    )
    sound(load(folder, *texts).problems, texts)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "controls:\n" + "".join(f"  k{number}: [x]\n" for number in range(12_000)),
        GOOD.replace("{min_score: 0.8}", "{" + ", ".join(f"p{number}: {number}" for number in range(8_000)) + "}"),
        GOOD + "exceptions: " + "[" * (DEEPEST + 5),
        GOOD.replace("findings.exists", "(" * 3_000 + "findings.exists"),
        GOOD.replace("findings.exists", "!" * 3_000 + "findings.exists"),
        GOOD.replace('call.user.role != "red-team"', " && ".join(["call.inputs > 1"] * 300)),
        GOOD.replace('"red-team"', '"' + "x" * 7_000 + '"'),
        GOOD.replace('call.user.role != "red-team"', 'call.name.matches("' + "(a+)+" * 500 + '")'),
        "a: " * (LARGEST // 4),
        "- " * 50_000,
        "? " * 50_000,
        "{" * 50_000,
        '"' + "\\x41" * 50_000 + '"',
    ],
)
def test_large_and_nested_files_are_answered_in_time(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    (tmp_path / "a.yaml").write_text(text[:LARGEST], "utf-8")
    loaded = examine(tmp_path, today=TODAY)
    assert time.process_time() - began < 10
    sound(loaded.problems, (text.encode(),))


NUMBERS = "[" + ", ".join(map(str, range(100))) + "]"


@pytest.mark.parametrize(
    "condition",
    [
        f"{NUMBERS}.all(a, {NUMBERS}.all(b, {NUMBERS}.all(c, a + b + c >= 0)))",
        f"{NUMBERS}.map(a, {NUMBERS}.map(b, {NUMBERS}.filter(c, c > a))).size() > 0",
        "call.documents.all(a, call.documents.all(b, call.documents.all(c, a.id + b.id != c.id)))",
        f"({'call.name + ' * 25}call.name).matches('(x+x+)+y')",
        "steps.all(a, steps.all(b, steps.all(c, a.order + b.order > c.order - 1000)))",
    ],
)
def test_a_condition_that_is_built_to_be_slow_costs_milliseconds(condition: str) -> None:
    slow = policy(when=condition, scope="trace", detectors={}, params={})
    documents = tuple(Document(id=f"d{number}") for number in range(200))
    tools = tuple(ToolCall(name=f"t{number}", arguments=str(number)) for number in range(200))
    about = call(name="x" * 190, kind=CallKind.AGENT, documents=documents, tool_calls=tools)
    engine = DecisionEngine(PolicySet([slow]))
    began = time.process_time()
    decision = engine.decide(about, tuple(parts_of(about)), (), ())
    assert time.process_time() - began < 1
    assert all(outcome.outcome is Outcome.ERROR for outcome in decision.policies)


def test_a_pack_of_five_thousand_rules_finds_each_of_them() -> None:
    chance = random.Random(5)
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=7)) for _ in range(5_000)]
    rules = [
        {"id": f"r{number}", "regex": rf"\b{word} +(?:me|us)\b", "score": 0.9, "hits": [f"{word} me"], "clean": ["no"]}
        for number, word in enumerate(words)
    ]
    stated = {"title": "Large", "category": "injection", "label": "x", "rules": rules}
    began = time.process_time()
    pack = read_pack("large", yaml.safe_dump(stated).encode())
    detector = PatternDetector(["large"], pack.rules, "1")
    assert time.process_time() - began < 20
    ordinary = "The office opens at nine. " * 80
    began = time.process_time()
    for number in (0, 2_500, 4_999):
        text = ordinary + f"{words[number]} us"
        (found,) = detector.examine(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
        assert (found.rule, found.start) == (f"r{number}", len(ordinary))
    assert detector.examine(Content(kind=ContentKind.MESSAGE, text=ordinary, role="user")) == ()
    assert time.process_time() - began < 2


def test_five_hundred_policies_decide_like_one() -> None:
    """Cost does not grow with policies that have nothing to say; and what one says is what it says alone."""
    many = [policy(id=f"p.n{number}", params={"min_score": 0.5}) for number in range(500)]
    special = policy(id="q.q", when="call.inputs > 1", then={"action": "block", "explain": "x"})
    engine = DecisionEngine(PolicySet([*many, special]))
    two = call(input=(Message(role="user", text="a"), Message(role="user", text="b")))
    began = time.process_time()
    for _ in range(20):
        assert [one.policy for one in engine.decide(two, tuple(parts_of(two)), (), ()).policies] == ["q.q"]
        assert engine.decide(call(), tuple(parts_of(call())), (), ()).policies == ()
    assert time.process_time() - began < 10
