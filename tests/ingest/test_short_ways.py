"""What is read the short way is what the long way reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.calls import Message, ToolCall
from governance.ingest.conventions import ORDER
from governance.ingest.flattened import gathered
from governance.ingest.text import from_json
from governance.ingest.transcript import Transcript
from tests.ingest.building import call

words = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)
parts = st.one_of(
    words,
    st.none(),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "text", "reasoning", "tool_call", "image", "", "new"])},
        optional={"content": scalars, "text": scalars, "id": words, "name": words, "arguments": documents},
    ),
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "User", "tool", "", "someone"])},
    optional={
        "parts": st.lists(parts, max_size=3),
        "content": words | st.lists(parts, max_size=3) | st.none(),
        "finish_reason": words | st.none(),
    },
)


def read(message: dict[str, Any]) -> tuple[tuple[Message, ...], tuple[ToolCall, ...], list[str]]:
    transcript = Transcript()
    transcript.hear([message])
    return transcript.inputs, transcript.tool_calls(), transcript.finish_reasons


@given(messages)
def test_a_message_reads_the_same_alone_wrapped_and_with_a_number_nobody_needs(message: dict[str, Any]) -> None:
    numbered = {"index": 0, **message}  # no plain message: goes the long way
    assert read(message) == read(numbered) == read({"message": message})


@given(documents, st.booleans())
def test_json_is_what_the_standard_library_reads(document: Any, ascii: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii)
    assert repr(from_json(text)) == repr(json.loads(text))


@given(st.text('[]{}",:\\ \n\t\x0b\ufeff\ud800019.eE+-nulNaIfity', max_size=14))
def test_what_is_no_json_is_none_for_both(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    assert repr(from_json(text)) == repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": 2, "a": 3}',
        "[NaN, Infinity, -Infinity, 1e999, -0, -0.0, 5e-324]",
        f"[{'9' * 4300}]",
        '["\\ud800", "\\ud83d\\ude00", "\\u0000"]',
        '["\ud800"]',
        f"{'[' * 300}{']' * 300}",
        "[9007199254740993, 18446744073709551616, -9223372036854775809]",
    ],
)
def test_corners_of_json_are_what_the_standard_library_reads(text: str) -> None:
    assert repr(from_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", [f"[{'9' * 4301}]", "[" * 100_000, "\ufeff[]", '["\x01"]', "[01]", "[1] 2"])
def test_what_the_standard_library_refuses_is_none(text: str) -> None:
    assert from_json(text) is None


@given(st.data())
def test_the_first_name_of_a_field_that_has_a_value_wins_in_any_order(data: st.DataObject) -> None:
    names = [name for convention in ORDER for name, field in convention.FIELDS.items() if field == "session"]
    sent = data.draw(st.permutations(data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))))
    attributes = {name: data.draw(st.sampled_from(["", name])) for name in sent}
    expected = next((name for name in names if attributes.get(name)), "")
    assert call(attributes).session_id == expected


def test_a_list_in_names_is_read_the_same_again_and_whatever_its_length() -> None:
    long = "x" * 300
    for _ in range(2):
        attributes: dict[str, Any] = {
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.0.message.contents.10.text": "later",
            "llm.input_messages.0.message.contents.2.text": "sooner",
            f"llm.input_messages.0.{long}.y": 1,
            "other": 2,
        }
        assert gathered(attributes) == {
            "llm.input_messages": [
                {"message": {"contents": [{"text": "sooner"}, {"text": "later"}]}, long: {"y": 1}},
                {"message": {"role": "user"}},
            ]
        }
        assert attributes == {"other": 2}
