"""A policy file is changed where it was asked to be, and nowhere else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import BadInput
from governance.policy.edit import with_item, with_param, written
from governance.policy.load import load
from governance.policy.source import Value, read

FILES = sorted(path for path in Path("policies").rglob("*.yaml"))
SAID = 'He said: "no", and\nleft \\ 🙂 \u202e'
TEST: dict[str, Value] = {"name": "case 7", "call": {"text": SAID, "user": {"role": "guest"}}, "expect": "allow"}
EXCEPTION: dict[str, Value] = {
    "when": 'call.system == "hr"',
    "expires": dt.date(2027, 2, 1),
    "approved_by": "risk",
    "reason": "seven",
}


def stated(text: str) -> dict[str, Any]:
    """What a file says."""
    value = read("x", text.encode())[0].value
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_default_policy_takes_a_test_an_exception_and_other_parameters(path: Path) -> None:
    text = path.read_text("utf-8")
    before = stated(text)
    changed = with_item(with_item(text, "tests", TEST), "exceptions", EXCEPTION)
    after = stated(changed)
    assert after["tests"] == [*before["tests"], TEST]
    assert after["exceptions"][-1] == EXCEPTION
    assert {key for key in after if after[key] != before.get(key)} == {"tests", "exceptions"}
    removed = [line for line in text.splitlines() if line not in changed.splitlines()]
    assert not removed, "lines that were there stay as they were"
    for name, value in (before.get("params") or {}).items():
        other = value + 1 if isinstance(value, int | float) and not isinstance(value, bool) else value
        assert stated(with_param(text, name, other))["params"] == {**before["params"], name: other}


STYLES = [
    "a: 1\nparams:\n  least: 3\n  words:\n    - x\n    - y\n# end\n",
    "params: {least: 3, words: [x, y]}  # both\na: 1",
    "tests:\n- name: one\n  call:\n    text: |\n      block\n# tail\nparams: {least: 3, words: [x,\n   y]}\n",
    "params: {least: 3, words: [x, y]}\ntests: [{name: one}]\n",
    "params: {least: 3, words: [x, y]}\ntests: []\n\n\n",
    "params: {least: 3, words: [x, y]}",
]


@pytest.mark.parametrize("text", STYLES)
def test_each_way_of_writing_is_understood(text: str) -> None:
    changed = stated(with_param(with_param(text, "least", 4), "words", ["z"]))
    assert changed["params"] == {"least": 4, "words": ["z"]}
    changed = stated(with_item(text, "tests", TEST))
    assert changed["tests"] == [*(stated(text).get("tests") or []), TEST]
    changed = stated(with_item(text, "exceptions", EXCEPTION))
    assert changed["exceptions"] == [EXCEPTION]


@pytest.mark.parametrize("text", ["{params: {a: 1}}", "- a", "", "params: 3", "params:\n  a: &x 1\n", "a: ["])
def test_what_cannot_be_changed_is_said_and_left(text: str) -> None:
    with pytest.raises(BadInput):
        with_param(text, "a", 2)


def test_a_list_that_is_none_is_said() -> None:
    with pytest.raises(BadInput):
        with_item("tests: 3", "tests", TEST)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(plain)
def test_what_is_written_is_read_as_it_was(value: object) -> None:
    again = yaml.safe_load(written(value))
    assert again == value


def test_a_changed_default_set_still_loads(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    text = Path("policies/injection/direct-prompt.yaml").read_text("utf-8")
    (folder / "one.yaml").write_text(with_item(with_param(text, "min_score", 0.91), "exceptions", EXCEPTION), "utf-8")
    (policy,) = load(folder).policies
    assert policy.params["min_score"] == 0.91
    assert policy.exceptions[0].approved_by == "risk"
