"""The frame and the texts of a call together are the call's parts: nothing is lost, nothing is confused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.calls import Document, Message, ToolCall
from governance.domain.content import parts_of
from governance.store.calls import parts
from tests.store.conftest import make_call

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.just('"document"')
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "", "critic"])
messages = st.builds(Message, role=roles, text=words, type=st.sampled_from(["text", "reasoning", "image", ""]))
documents = st.builds(
    Document,
    id=words,
    text=words,
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    labels=st.lists(words, max_size=3).map(tuple),
)
tools = st.builds(ToolCall, id=words, name=words, arguments=words, result=st.none() | words)
calls = st.builds(
    make_call,
    input=st.lists(messages, max_size=4).map(tuple),
    output=st.lists(messages, max_size=3).map(tuple),
    documents=st.lists(documents, max_size=3).map(tuple),
    tool_calls=st.lists(tools, max_size=3).map(tuple),
)


@given(calls)
def test_what_is_stored_is_what_the_domain_says(call) -> None:  # type: ignore[no-untyped-def]
    pieces = parts.pieces_of(call)
    stored = parts.decode(parts.encode(frame for frame, _, _ in pieces))
    placed = [part.with_text(text) for part, (_, _, text) in zip(stored, pieces, strict=True)]
    assert placed == list(parts_of(call))
    assert parts.documents_in(parts.encode(frame for frame, _, _ in pieces)) == len(call.documents)


@given(calls)
def test_content_comes_back_as_it_was(call) -> None:  # type: ignore[no-untyped-def]
    content = parts.content_of(list(parts_of(call)))
    assert (content.input, content.output, content.documents) == (call.input, call.output, call.documents)
    assert content.tool_calls == call.tool_calls


@given(calls)
def test_equal_content_is_known_as_equal_and_other_content_as_other(call) -> None:  # type: ignore[no-untyped-def]
    identities: dict[tuple[str, str], object] = {}
    for (_, same, text), part in zip(parts.pieces_of(call), parts_of(call), strict=True):
        assert identities.setdefault((same, text), part.content) == part.content
