"""The sample traffic is believable as traffic: the same for the same days, whole in any window, decodable as sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.demo.script import DAYS, SYSTEMS, Conversation, conversations, script
from governance.demo.wire import CONTENT_TYPE, Body, bodies
from governance.domain.calls import Call, CallKind, ContentEvent
from governance.ingest import otlp

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
LIMIT = 20 * 2**20
moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))


def decoded(sent: list[Body]) -> tuple[list[Call], list[ContentEvent]]:
    calls: list[Call] = []
    events: list[ContentEvent] = []
    for body in sent:
        decode = otlp.decode_traces if body.path == "/v1/traces" else otlp.decode_logs
        batch = decode(body.content, CONTENT_TYPE, limit=LIMIT)
        assert (batch.rejected, batch.problems) == (0, ())
        calls += batch.calls
        events += batch.content_events
    return calls, events


def test_the_same_window_gives_the_same_bytes() -> None:
    first, second = (list(bodies(conversations(NOW))) for _ in range(2))
    assert first == second


@settings(max_examples=25, deadline=None)
@given(moments)
def test_any_window_holds_every_incident_once_and_both_reports(until: datetime) -> None:
    held = list(conversations(until))
    written = Counter(
        {(script(name)["system"], scene["family"]): 0 for name in SYSTEMS for scene in script(name)["incidents"]}
    )
    for name in SYSTEMS:
        for scene in script(name)["incidents"]:
            written[script(name)["system"], scene["family"]] += scene["times"]
    assert Counter((one.system, one.family) for one in held if one.family) == written
    assert len([one for one in held if one.complaint]) == 2
    assert all(until - timedelta(days=DAYS + 1) < turn.at < until for one in held for turn in one.turns)


@settings(max_examples=10, deadline=None)
@given(moments, st.integers(1, 200))
def test_a_later_window_repeats_what_both_hold(until: datetime, hours: int) -> None:
    def by_id(end: datetime) -> dict[str, Conversation]:
        return {one.id: one for one in conversations(end)}

    earlier, later = by_id(until), by_id(until + timedelta(hours=hours))
    shared = earlier.keys() & later.keys()
    assert shared
    assert all(earlier[key] == later[key] for key in shared)


def test_every_body_decodes_whole() -> None:
    held = list(conversations(NOW))
    calls, events = decoded(list(bodies(held)))
    assert len({(call.trace_id, call.span_id) for call in calls}) == len(calls)
    assert {call.system for call in calls} == {script(name)["system"] for name in SYSTEMS}
    assert {call.kind for call in calls} >= {
        CallKind.LLM,
        CallKind.RETRIEVAL,
        CallKind.TOOL,
        CallKind.AGENT,
        CallKind.CHAIN,
    }
    answers = {call.trace_id: call for call in calls if call.kind is CallKind.LLM and call.content_captured}
    for one in held:
        for turn in one.turns:
            if one.convention == "legacy":
                continue
            call = answers[turn.trace_id.hex()]
            assert call.user.role == one.role
            assert call.release.prompt_version == one.prompt_version
            assert turn.question in {message.text for message in call.input}
            assert "".join(message.text for message in call.output) == turn.answer
    spans = {(call.trace_id, call.span_id) for call in calls}
    assert all((event.trace_id, event.span_id) in spans for event in events)
    said = {message.text for event in events for message in event.input}
    assert {turn.question for one in held if one.convention == "legacy" for turn in one.turns} <= said


def test_documents_arrive_with_their_labels() -> None:
    calls, _ = decoded(list(bodies(conversations(NOW))))
    labels = {label for call in calls for document in call.documents for label in document.labels}
    assert {"public", "internal", "confidential", "customer-upload", "payroll", "restricted"} <= labels


def test_both_releases_of_each_system_are_in_any_fortnight() -> None:
    seen = {(one.system, one.version) for one in conversations(NOW)}
    assert len(seen) == 2 * len(SYSTEMS)
