"""Query parameters are known and sound, names exist, periods can be read, and pages are bounded in bytes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.api import pages
from governance.api.calls import reading
from governance.api.parameters import LARGEST, _digits_up_to, _moment, _whole
from governance.bootstrap import Application
from governance.domain.people import Scope
from tests.api.conftest import Http, key_for
from tests.serving import traces

PROTOBUF = {"Content-Type": "application/x-protobuf"}
TRACE = "0" * 31 + "1"


@pytest.fixture
def recorded(http: Http, key: str) -> None:
    """Five calls of support-bot, a second apart, the first at 09:00:00Z; four in the first trace."""
    first = int(datetime(2026, 11, 30, 9, tzinfo=UTC).timestamp() * 10**9)
    for number in range(5):
        body = traces([number], at=first + number * 10**9)
        assert http("POST", "/v1/traces", key=key, content=body, headers=PROTOBUF).is_success


def listed(http: Http, key: str, **params: Any) -> list[str]:
    answer = http("GET", "/v1/calls", key=key, params=params)
    assert answer.status_code == 200, answer.text
    return [call["started_at"][17:19] for call in answer.json()["items"]]


@pytest.mark.parametrize(
    ("method", "path", "at", "words"),
    [
        ("GET", "/v1/calls?staus=failed", "staus", "did you mean status?"),
        ("GET", "/v1/calls?Status=failed", "Status", "did you mean status?"),
        ("GET", "/v1/calls?q=x", "q", "there are after, flagged"),
        ("GET", "/v1/calls?=x", "", "no such parameter"),
        ("GET", "/v1/calls?status=failed&status=checked", "status", "given more than once"),
        ("GET", "/v1/calls/1?system=x", "system", "this address takes no parameters"),
        ("GET", "/v1/cases?status=open", "status", "did you mean state?"),
        ("GET", "/v1/cases/1?x=1", "x", "takes no parameters"),
        ("GET", "/v1/decisions/1?x=1", "x", "takes no parameters"),
        ("GET", "/v1/decisions/1/explanation?x=1", "x", "takes no parameters"),
        ("GET", "/v1/reports/R-1?reciept=x", "reciept", "did you mean receipt?"),
        ("GET", "/v1/audit/checkpoint?x=1", "x", "takes no parameters"),
        ("POST", "/v1/check?dry_run=true", "dry_run", "takes no parameters"),
        ("POST", "/v1/reports?x", "x", "takes no parameters"),
    ],
)
def test_a_parameter_that_is_not_there_is_400_and_named(
    http: Http, key: str, method: str, path: str, at: str, words: str
) -> None:
    answer = http(method, path, key=key)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["at"] == at
    assert words in error["problem"]


def test_many_parameters_give_a_bounded_answer(http: Http, key: str) -> None:
    answer = http("GET", "/v1/calls?" + "&".join(f"{'x' * 90}{n}=1" for n in range(200)), key=key)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 10_000


def test_what_a_collector_puts_into_an_address_loses_no_calls(http: Http, key: str) -> None:
    answer = http("POST", "/v1/traces?tenant=a&tenant=b", key=key, content=traces([1]), headers=PROTOBUF)
    assert answer.status_code == 200


def test_every_parameter_is_in_the_openapi_document(http: Http) -> None:
    paths = http("GET", "/v1/openapi.json").json()["paths"]
    names = {path: {one["name"] for one in paths[path]["get"]["parameters"]} for path in ("/calls", "/cases")}
    assert names["/calls"] == {"trace_id", "status", "system", "flagged", "since", "until", "after", "limit"}
    assert names["/cases"] == {"queue", "state", "system", "since", "until", "after", "limit"}
    (since,) = [one for one in paths["/calls"]["get"]["parameters"] if one["name"] == "since"]
    assert {"type": "string", "format": "date-time"} in since["schema"]["anyOf"]


# Periods


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("params", "seconds"),
    [
        ({}, ["04", "03", "02", "01", "00"]),
        ({"since": "2026-11-30T09:00:03Z"}, ["04", "03"]),
        ({"until": "2026-11-30T09:00:01Z"}, ["00"]),
        ({"since": "2026-11-30T09:00:01Z", "until": "2026-11-30T09:00:03Z"}, ["02", "01"]),
        ({"since": "2026-11-30T10:00:03+01:00"}, ["04", "03"]),
        ({"since": "2026-11-30T03:30:03-05:30"}, ["04", "03"]),
        ({"since": "2026-11-30t09:00:03z"}, ["04", "03"]),
        ({"since": "2026-11-30T09:00:03.000001Z"}, ["04"]),
        ({"since": "2026-11-30T09:00:03.0000000000009Z"}, ["04", "03"]),
        ({"until": "0001-01-01T00:00:00Z"}, []),
        ({"since": "9999-12-31T23:59:59Z"}, []),
        ({"trace_id": TRACE, "since": "2026-11-30T09:00:01Z", "until": "2026-11-30T09:00:03Z"}, ["01", "02"]),
        ({"trace_id": TRACE, "flagged": "true"}, []),
        ({"system": "support-bot", "status": "recorded", "since": "2026-11-30T09:00:04Z"}, ["04"]),
    ],
)
def test_calls_are_listed_by_period(http: Http, key: str, params: dict[str, str], seconds: list[str]) -> None:
    assert listed(http, key, **params) == seconds


@pytest.mark.usefixtures("recorded")
def test_periods_and_pages_go_together(http: Http, key: str) -> None:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = http("GET", "/v1/calls", key=key, params={"since": "2026-11-30T09:00:01Z", "limit": 1, "after": after})
        found += [call["started_at"][17:19] for call in page.json()["items"]]
        after = page.json()["next"]
    assert found == ["04", "03", "02", "01"]


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/cases"])
@pytest.mark.parametrize(
    ("query", "at", "words"),
    [
        ("since=2026-11-30", "since", "not a time of RFC 3339 with its offset"),
        ("since=2026-11-30T09:00:00", "since", "with its offset"),
        ("since=2026-11-30T10:00:00+01:00", "since", "write + as %2B"),
        ("until=2026-11-30 09:00:00Z", "until", "not a time"),
        ("since=2026-11-31T09:00:00Z", "since", "there is no such time"),
        ("since=2026-11-30T24:01:00Z", "since", "there is no such time"),
        ("since=0001-01-01T00:00:00%2B14:00", "since", "there is no such time"),
        ("since=9999-12-31T23:59:59-14:00", "since", "there is no such time"),
        ("since=2026-11-30T09:00:00%2B25:00", "since", "there is no such time"),
        ("since=1764493200", "since", "not a time"),
        ("since=", "since", "not a time"),
        ("until=now", "until", "not a time"),
        ("until=%D9%A2026-11-30T09:00:00Z", "until", "not a time"),
        ("since=2026-11-30T09:00:00Z&until=2026-11-30T09:00:00Z", "since", "not before until"),
        ("since=2026-11-30T09:00:00Z&until=2026-11-30T09:30:00%2B01:00", "since", "not before until"),
    ],
)
def test_a_period_that_cannot_be_read_is_400(http: Http, key: str, path: str, query: str, at: str, words: str) -> None:
    answer = http("GET", f"{path}?{query}", key=key)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["at"] == at
    assert words in error["problem"]


@given(st.datetimes(timezones=st.timezones()), st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_every_time_of_rfc_3339_is_read_exactly(at: datetime, precision: str) -> None:
    offset = at.utcoffset()
    if offset is None or offset.total_seconds() % 60 or not 2 < at.year < 9998:
        return
    text = at.isoformat(timespec=precision)
    assert _moment(text) == datetime.fromisoformat(text)


# Names


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("query", "at", "words"),
    [
        ("calls?system=suport-bot", "system", "no system 'suport-bot'. Did you mean 'support-bot'"),
        ("calls?system=", "system", "no system ''"),
        (f"calls?trace_id={TRACE}&system=x", "system", "There are: support-bot"),
        ("cases?system=Support-Bot", "system", "Did you mean 'support-bot'"),
        ("cases?queue=securty", "queue", "Did you mean 'security'"),
        ("cases?state=decided", "state", "'open', 'claimed'"),
        ("calls?status=done", "status", "'recorded', 'checked' or 'failed'"),
        ("calls?limit=1_0", "limit", "digits are needed"),
        ("calls?limit=%2B5", "limit", "digits are needed"),
        ("calls?limit=true", "limit", "digits are needed"),
        ("calls?limit=2.0", "limit", "digits are needed"),
        ("calls/1_0", "call_id", "digits are needed"),
        ("cases/+1", "case_id", "digits are needed"),
        ("decisions/1.0", "decision_id", "digits are needed"),
    ],
)
def test_a_name_that_does_not_exist_is_400_and_named(
    application: Application, http: Http, key: str, query: str, at: str, words: str
) -> None:
    _ = application.in_force.current()
    answer = http("GET", f"/v1/{query}", key=key)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["at"] == at
    assert words in error["problem"]


@pytest.mark.parametrize("queue", ["security", "quality"])
def test_queues_are_known_before_they_hold_a_case(application: Application, http: Http, key: str, queue: str) -> None:
    _ = application.in_force.current()
    assert http("GET", "/v1/cases", key=key, params={"queue": queue}).json() == {"items": [], "next": None}


@pytest.mark.usefixtures("recorded")
def test_a_bound_key_learns_no_name_of_another_system(application: Application, http: Http) -> None:
    own = key_for(application, Scope.CHECK, Scope.READ, system="hr-bot")
    assert http("POST", "/v1/check", key=own, json={"messages": [{"role": "user", "text": "Hi"}]}).status_code == 200
    for asked in ("support-bot", "suport-bot", "nothing"):
        answer = http("GET", "/v1/calls", key=own, params={"system": asked})
        assert answer.status_code == 400
        assert "hr-bot" in answer.text
        assert "support-bot" not in answer.text.replace(f"'{asked}'", "")


# Pages in bytes


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("asked", [{}, {"trace_id": TRACE}])
@pytest.mark.parametrize("most", [1, 1_500, 4_000])
def test_pages_end_early_and_lose_nothing(
    http: Http, key: str, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], most: int
) -> None:
    whole = http("GET", "/v1/calls", key=key, params=asked).json()
    monkeypatch.setattr(pages, "PAGE_BYTES", most)
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        answer = http("GET", "/v1/calls", key=key, params=asked | {"after": after})
        assert answer.headers["content-type"] == "application/json"
        page = answer.json()
        assert page["items"]
        assert len(answer.content) <= most + 200 or len(page["items"]) == 1
        found += page["items"]
        after = page["next"]
    assert found == whole["items"]


@pytest.mark.usefixtures("recorded")
def test_a_trace_whose_page_holds_none_of_a_status_goes_on(
    http: Http, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STEPS_A_PAGE", 2)
    page = http("GET", "/v1/calls", key=key, params={"trace_id": TRACE, "status": "failed"}).json()
    assert page["items"] == []
    assert page["next"]


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 900), st.sets(st.integers(0, 59)))
def test_each_document_is_read_at_most_twice_and_pages_are_bounded(sizes: list[int], most: int, gone: set[int]) -> None:
    reads: dict[int, int] = {}
    held = 0

    def read(ids: Any) -> list[dict[str, Any]]:
        nonlocal held
        for number in ids:
            reads[number] = reads.get(number, 0) + 1
        held = max(held, sum(sizes[number] for number in ids))
        return [{"id": str(number), "text": "x" * sizes[number]} for number in ids if number not in gone]

    previous, pages.PAGE_BYTES = pages.PAGE_BYTES, most
    try:
        begin, found = 0, []
        while begin < len(sizes):
            items, done = pages.fill(range(begin, len(sizes)), read)
            assert done > 0
            body = pages.page(items, None)
            assert len(body) <= most + 30 or len(items) == 1
            found += [int(one["id"]) for one in json.loads(body)["items"]]
            begin += done
    finally:
        pages.PAGE_BYTES = previous
    assert found == [number for number in range(len(sizes)) if number not in gone]


# Numbers in bodies


@pytest.mark.parametrize("call_id", [True, False, 1.5, "1_0", "+1", " 1", "", "x", "٣", -1, 2**53, "9" * 16, [1], {}])
def test_an_id_that_is_no_whole_number_is_refused(http: Http, key: str, call_id: object) -> None:
    answer = http("POST", "/v1/reports", key=key, json={"call_id": call_id, "why": "wrong"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["at"] == "call_id"


@pytest.mark.usefixtures("recorded")
def test_an_id_may_be_a_number_or_its_digits(http: Http, key: str) -> None:
    number = http("GET", "/v1/calls", key=key).json()["items"][0]["id"]
    receipts = [
        http("POST", "/v1/reports", key=key, json={"call_id": one, "why": "wrong"}).json()
        for one in (number, int(number), float(number))
    ]
    assert len({receipt["reference"] for receipt in receipts}) == 1


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        ("reports", {"call_id": 1, "why": "x", "acted_upon": "yes"}, "acted_upon"),
        ("reports", {"call_id": 1, "why": "x", "acted_upon": 1}, "acted_upon"),
        ("reports", {"call_id": 1, "why": True}, "why"),
        ("check", {"system": "s", "messages": [{"role": "user", "text": 5}]}, "messages[0].text"),
        ("check", {"system": "s", "documents": [{"text": "x", "score": True}]}, "documents[0].score"),
        ("check", {"system": "s", "documents": [{"text": "x", "score": "0.5"}]}, "documents[0].score"),
        ("check", {"system": True, "messages": [{"role": "user", "text": "x"}]}, "system"),
        ("check", {"system": "s", "messages": [{"role": "user", "text": "x"}], "user": {"id": 7}}, "user.id"),
    ],
)
def test_values_of_another_type_are_refused(http: Http, key: str, path: str, body: dict[str, Any], at: str) -> None:
    answer = http("POST", f"/v1/{path}", key=key, json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["at"] == at


@given(st.integers(0, 10**17) | st.integers(LARGEST - 50, LARGEST + 50))
def test_the_pattern_of_ids_is_what_is_taken(number: int) -> None:
    fits = re.fullmatch(_digits_up_to(LARGEST), str(number)) is not None
    assert fits == (number <= LARGEST)
    if fits:
        assert _whole(str(number)) == number
