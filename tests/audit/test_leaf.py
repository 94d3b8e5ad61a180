"""Leaves are canonical JSON, by an independent writer of RFC 8785's rules for the types that leaves may hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.audit.leaf import canonical, leaf_bytes, parse
from governance.domain.events import Event, EventKind
from governance.domain.times import micros
from governance.errors import BadInput

AT = datetime(2026, 11, 23, 9, 40, 0, 5, tzinfo=UTC)
LARGEST = 2**53 - 1

_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def rfc8785(value: Any) -> str:
    """RFC 8785 §3.2, for null, booleans, integers, strings, arrays and objects."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_SHORT.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(rfc8785, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{rfc8785(key)}:{rfc8785(value[key])}" for key in keys) + "}"


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner),
)


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), values))
def test_what_is_written_is_canonical(data: dict[str, Any]) -> None:
    assert canonical(data) == rfc8785(data).encode()
    event = Event(kind=EventKind.CALL_RECORDED, at=AT, actor="service:0", data=data)
    assert parse(leaf_bytes(event, 0))["data"] == json.loads(rfc8785(data))


@given(st.text())
def test_no_text_loses_an_event(text: str) -> None:
    leaf = leaf_bytes(Event(kind=EventKind.CALL_RECORDED, at=AT, actor="service:0", system=text, data={"x": [text]}), 0)
    assert parse(leaf)["system"] == parse(leaf)["data"]["x"][0]
    assert b"\n" not in leaf
    assert b"\t" not in leaf


def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_one_character() -> None:
    assert canonical({"x": "a\ud83d"}) == '{"x":"a\ufffd"}'.encode()
    assert canonical({"x": "\ud83d\ude00"}) == '{"x":"\U0001f600"}'.encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": {"score": 0.5}}, "float at data.a.score"),
        ({"n": [1, 2**53]}, r"integer beyond .* at data.n\[1\]"),
        ({"n": -(2**53)}, "integer beyond"),
        ({"schlüssel": 1}, "not ASCII"),
        ({"x": {1: 2}}, "not ASCII text at data.x"),
        ({"x": b"bytes"}, "bytes at data.x"),
        ({"x": float("nan")}, "float"),
    ],
)
def test_what_cannot_be_canonical_is_refused_with_its_place(data: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        leaf_bytes(Event(kind=EventKind.CALL_RECORDED, at=AT, actor="service:0", data=data), 0)


@pytest.mark.parametrize("number", ["1.5", "1e3", "NaN", "Infinity", str(2**53), f"-{2**53}", f"[{2**60}]", "-0", "01"])
def test_a_leaf_with_another_number_is_refused(number: str) -> None:
    good = leaf_bytes(Event(kind=EventKind.SIGN_IN, at=AT, actor="person:1", data={"x": 7}), 0)
    assert parse(good)["data"] == {"x": 7}
    with pytest.raises(BadInput):
        parse(good.replace(b'"x":7', b'"x":' + number.encode()))


def test_times_are_utc_to_the_microsecond() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    leaf = leaf_bytes(Event(kind=EventKind.SIGN_IN, at=east, actor="person:1"), 0)
    assert parse(leaf)["at"] == "2026-11-23T09:40:00.000005Z"
    assert micros(east) == 1_795_426_800_000_005
    with pytest.raises(BadInput, match="no zone"):
        leaf_bytes(Event(kind=EventKind.SIGN_IN, at=datetime(2026, 1, 1), actor="person:1"), 0)  # noqa: DTZ001


@pytest.mark.parametrize(
    "leaf", [b"", b"{", b"[]", b'{"v":1}', b'{ "v":1}', b"\xff", b'{"v":2,"data":{}}', b"[" * 100_000]
)
def test_what_is_no_leaf_is_refused(leaf: bytes) -> None:
    with pytest.raises(BadInput):
        parse(leaf)
