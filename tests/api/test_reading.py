"""Reports, reading, the public checkpoint and health."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta

import jsonschema
import pytest
import sqlalchemy as sa

from governance.api.calls import reading
from governance.bootstrap import Application
from governance.domain.people import Scope
from governance.intake import LocalIntake
from governance.store.base import tables as t
from tests.api.conftest import Http, key_for
from tests.serving import traces

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def recorded(http: Http, key: str) -> None:
    """Five calls of the system support-bot in two traces."""
    assert http("POST", "/v1/traces", key=key, content=traces(range(5)), headers=PROTOBUF).is_success


@pytest.mark.usefixtures("recorded")
def test_calls_come_in_pages_without_gaps_or_repeats(http: Http, key: str) -> None:
    found: list[str] = []
    after = ""
    while after is not None:
        page = http("GET", "/v1/calls", key=key, params={"limit": 2, "after": after}).json()
        assert len(page["items"]) <= 2
        found += [call["id"] for call in page["items"]]
        after = page["next"]
    assert len(found) == len(set(found)) == 5


@pytest.mark.usefixtures("recorded")
def test_a_call_is_found_by_its_trace_and_by_its_id(http: Http, key: str) -> None:
    page = http("GET", "/v1/calls", key=key, params={"trace_id": "0" * 31 + "1", "status": "recorded"}).json()
    assert [call["trace_id"] for call in page["items"]] == ["0" * 31 + "1"] * 4
    call = http("GET", f"/v1/calls/{page['items'][0]['id']}", key=key).json()
    assert call["system"] == "support-bot"
    assert call["input"][0]["text"] == "[not checked yet]"
    assert http("GET", "/v1/calls", key=key, params={"trace_id": "0" * 31 + "1", "status": "failed"}).json() == {
        "items": [],
        "next": None,
    }


@pytest.mark.usefixtures("recorded")
def test_a_long_trace_comes_in_pages_too(http: Http, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"trace_id": "0" * 31 + "1"}
    whole = http("GET", "/v1/calls", key=key, params=asked).json()
    assert whole["next"] is None
    monkeypatch.setattr(reading, "STEPS_A_PAGE", 3)
    first = http("GET", "/v1/calls", key=key, params=asked).json()
    rest = http("GET", "/v1/calls", key=key, params=asked | {"after": first["next"]}).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert first["items"] + rest["items"] == whole["items"]
    beyond = base64.urlsafe_b64encode(b"[9007199254740991]").decode()
    assert http("GET", "/v1/calls", key=key, params=asked | {"after": beyond}).json() == {"items": [], "next": None}


@pytest.mark.usefixtures("recorded")
def test_a_bound_key_sees_its_own_system_and_nothing_of_others(application: Application, http: Http, key: str) -> None:
    number = http("GET", "/v1/calls", key=key).json()["items"][0]["id"]
    other = key_for(application, Scope.READ, system="hr")
    own = key_for(application, Scope.READ, system="support-bot")
    assert http("GET", "/v1/calls", key=other).json()["items"] == []
    assert http("GET", "/v1/calls", key=other, params={"system": "support-bot"}).json()["items"] == []
    assert http("GET", f"/v1/calls/{number}", key=other).status_code == 404
    assert http("GET", f"/v1/calls/{number}", key=own).status_code == 200
    assert len(http("GET", "/v1/calls", key=own).json()["items"]) == 5


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/calls/0", 404),
        ("/v1/calls/abc", 400),
        ("/v1/calls/99999999999999999999999999", 400),
        ("/v1/calls/-1", 400),
        ("/v1/calls?after=%00", 400),
        ("/v1/calls?after=W10", 400),
        ("/v1/calls?limit=0", 400),
        ("/v1/calls?status=unknown", 400),
        ("/v1/calls?trace_id=xyz", 400),
        ("/v1/cases/7", 404),
        ("/v1/decisions/7", 404),
        ("/v1/nothing", 404),
    ],
)
def test_what_is_not_there_or_asked_wrongly_is_a_problem_document(http: Http, key: str, path: str, status: int) -> None:
    answer = http("GET", path, key=key)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/1", "/v1/cases", "/v1/cases/1", "/v1/decisions/1"])
def test_reading_needs_the_scope(application: Application, http: Http, path: str) -> None:
    assert http("GET", path).status_code == 401
    assert http("GET", path, key=key_for(application, Scope.INGEST)).status_code == 403
    assert http("DELETE", path).status_code == 405


@pytest.mark.usefixtures("recorded")
def test_a_report_opens_a_case_and_its_receipt_tells_what_became_of_it(http: Http, key: str) -> None:
    sent = {"trace_id": "0" * 31 + "1", "why": "The parcel never came", "claim": "It was delivered"}
    answer = http("POST", "/v1/reports", key=key, json=sent)
    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    status = http("GET", f"/v1/reports/{receipt['reference']}", params={"receipt": receipt["receipt"]})
    assert status.json()["status"] == "received"
    assert status.json()["outcome"] is None
    by_header = http("GET", f"/v1/reports/{receipt['reference']}", headers={"X-Receipt": receipt["receipt"]})
    assert by_header.json() == status.json()
    assert len(http("GET", "/v1/cases", key=key).json()["items"]) == 1
    assert http("POST", "/v1/reports", key=key, json=sent).json()["reference"] == receipt["reference"]
    assert len(http("GET", "/v1/cases", key=key).json()["items"]) == 1


@pytest.mark.usefixtures("recorded")
def test_without_the_receipt_a_report_is_not_there(http: Http, key: str) -> None:
    sent = {"trace_id": "0" * 31 + "1", "why": "Wrong"}
    reference = http("POST", "/v1/reports", key=key, json=sent).json()["reference"]
    unknown = http("GET", "/v1/reports/R-NONE", params={"receipt": "x"})
    for headers in ({}, {"X-Receipt": "wrong"}, {"X-Receipt": "é".encode("latin-1")}):
        answer = http("GET", f"/v1/reports/{reference}", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["detail"] == unknown.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"why": "x"},
        {"why": "x", "trace_id": "1" * 32, "call_id": 1},
        {"why": " ", "call_id": 1},
        {"call_id": 1},
        {"why": "x", "call_id": "one"},
        {"why": "x", "call_id": 2**60},
        {"why": "x" * 10_001, "call_id": 1},
        {"why": "x", "call_id": 1, "actor": "admin"},
    ],
)
def test_a_report_without_what_it_needs_is_refused(http: Http, key: str, body: dict[str, object]) -> None:
    assert http("POST", "/v1/reports", key=key, json=body).status_code == 400


def test_a_report_of_a_call_that_is_not_there_is_refused(http: Http, key: str) -> None:
    assert http("POST", "/v1/reports", key=key, json={"why": "x", "call_id": 5}).status_code == 404


def test_the_checkpoint_is_public_signed_text(application: Application, http: Http) -> None:
    application.people.ensure_administrator()
    answer = http("GET", "/v1/audit/checkpoint")
    assert answer.headers["content-type"].startswith("text/plain")
    text = application.signer.verifier.open(answer.text)
    assert text.startswith(application.settings.log_origin)


def test_alive_is_not_the_same_as_ready(application: Application, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http("GET", "/healthz").status_code == 200
    answer = http("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["worker"]["ok"] is False
    now = int(application.clock().timestamp() * 1_000_000)
    with application.database.write() as transaction:
        row = {"id": 1, "name": "w", "policy_set": "", "started_at": now, "seen_at": now}
        transaction.connection.execute(t.worker.insert().values(**row))
    assert http("GET", "/readyz").status_code == 200
    monkeypatch.setattr(LocalIntake, "up", False)
    answer = http("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["recording"] == {"ok": False, "detail": "The recording process is not there."}
    assert 'governance_ready{check="recording"} 0.0' in http("GET", "/metrics").text
    monkeypatch.undo()
    with application.database.write() as transaction:
        silent = now - int(timedelta(minutes=2).total_seconds() * 1_000_000)
        transaction.connection.execute(t.worker.update().values(seen_at=silent))
    assert http("GET", "/readyz").status_code == 503


def test_a_database_that_does_not_answer_is_said_without_its_words(application: Application, http: Http) -> None:
    with application.engine.connect() as connection:
        connection.execute(sa.text("DROP TABLE worker"))
        connection.commit()
    answer = http("GET", "/readyz")
    assert answer.status_code == 503
    assert "worker" not in answer.json()["checks"]["database"]["detail"]


@pytest.mark.usefixtures("recorded")
def test_metrics_count_and_carry_nothing_of_the_calls(http: Http) -> None:
    text = http("GET", "/metrics").text
    assert 'governance_recorded_calls_total{outcome="new"} 5.0' in text
    assert 'governance_http_requests_total{method="POST",route="/traces",status="200"} 1.0' in text
    assert "governance_calls_waiting 5.0" in text
    assert "support-bot" not in text


def test_the_openapi_document_describes_every_address(http: Http) -> None:
    document = http("GET", "/v1/openapi.json").json()
    assert document["servers"] == [{"url": "/v1"}]
    assert document["paths"].keys() == {
        "/traces", "/logs", "/check", "/reports", "/reports/{reference}", "/calls", "/calls/{call_id}", "/cases",
        "/cases/{case_id}", "/decisions/{decision_id}", "/decisions/{decision_id}/explanation", "/audit/checkpoint",
        "/controls",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    body = document["paths"]["/check"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/CheckIn"}
    assert "messages" in schemas["CheckIn"]["properties"]
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document))) == schemas.keys()
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            public = path in ("/reports/{reference}", "/audit/checkpoint")
            assert public == ("security" not in operation)
            assert {"400", "500", "503"} <= operation["responses"].keys()
            assert "422" not in operation["responses"]
    assert http("GET", "/v1/docs").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1/cases/%0A", "/v1/cases/1%0A2", "/v1/%0A", "/v1/calls%0D%0A", "/v1/reports/a%0Ab"]
)
def test_an_address_with_a_line_break_is_answered_by_the_api(http: Http, key: str, path: str) -> None:
    answer = http("GET", path, key=key)
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"


def test_controls_are_listed_with_their_policies(http: Http, key: str, application: Application) -> None:
    assert http("GET", "/v1/controls", key=key).status_code == 503, "nothing is in force before the first start"
    application.in_force.latest()
    found = http("GET", "/v1/controls", key=key, params={"framework": "owasp_llm"}).json()
    (framework,) = found["frameworks"]
    assert framework["controls"][0]["policies"] == ["injection.known-phrases"]
    assert found["policies"][0]["tests"][0] == {"name": "hit", "expected": "block", "todo": False, "passed": None}
    assert len(http("GET", "/v1/controls", key=key).json()["frameworks"]) == 7
    for query, said in (
        ({"framework": "owasp"}, "owasp_llm"),
        ({"since": "2026-11-01T10:00:00Z"}, "whole days"),
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "not before until"),
        ({"frame": "x"}, "framework"),
    ):
        answer = http("GET", "/v1/controls", key=key, params=query)
        assert answer.status_code == 400, query
        assert said in answer.json()["detail"]
    ingest = key_for(application, Scope.INGEST)
    assert http("GET", "/v1/controls", key=ingest).status_code == 403
