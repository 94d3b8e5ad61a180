"""The receiver's rules (OTLP/HTTP 1.x): what is taken, what is refused, and in which words and format."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from governance.bootstrap import Application
from governance.domain.people import Scope
from governance.errors import Overloaded
from governance.services.calls import record
from governance.store.base import tables as t
from tests.api.conftest import OPERATOR, Http, key_for
from tests.api.status import Status
from tests.serving import traces

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
MIB = 2**20


def span(**more: Any) -> dict[str, Any]:
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat",
        "startTimeUnixNano": "1795000000000000000",
        "endTimeUnixNano": "1795000001000000000",
        **more,
    }


def body_of(*spans: dict[str, Any]) -> bytes:
    service = {"key": "service.name", "value": {"stringValue": "bot"}}
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [{"spans": list(spans)}]}]}
    ).encode()


def calls(application: Application) -> int:
    with application.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.call)).scalar_one())


def test_protobuf_is_committed_before_200_and_a_resend_changes_nothing(
    application: Application, http: Http, key: str
) -> None:
    body = traces(range(5))
    for _ in range(2):
        answer = http("POST", "/v1/traces", key=key, content=body, headers=PROTOBUF)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
        assert calls(application) == 5


def test_json_is_answered_in_json(application: Application, http: Http, key: str) -> None:
    answer = http("POST", "/v1/traces", key=key, content=body_of(span()), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert calls(application) == 1


def test_gzip_is_taken_and_the_parameters_of_a_content_type_do_not_matter(
    application: Application, http: Http, key: str
) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"}
    assert http("POST", "/v1/traces", key=key, content=gzip.compress(body_of(span())), headers=headers).is_success
    assert calls(application) == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
def test_an_empty_request_is_a_success(http: Http, key: str, path: str, headers: dict[str, str]) -> None:
    content = b"{}" if headers is JSON else b""
    assert http("POST", path, key=key, content=content, headers=headers).status_code == 200


def test_spans_without_ids_are_a_partial_success_that_says_so(application: Application, http: Http, key: str) -> None:
    answer = http("POST", "/v1/traces", key=key, content=body_of(span(), span(spanId="")), headers=JSON)
    partial = answer.json()["partialSuccess"]
    assert answer.status_code == 200
    assert int(partial["rejectedSpans"]) == 1
    assert partial["errorMessage"]
    assert calls(application) == 1


def test_the_same_ids_with_other_content_are_kept_and_told(application: Application, http: Http, key: str) -> None:
    assert http("POST", "/v1/traces", key=key, content=body_of(span()), headers=JSON).json() == {}
    answer = http("POST", "/v1/traces", key=key, content=body_of(span(name="other")), headers=JSON)
    assert answer.status_code == 200
    assert "conflict" in answer.json()["partialSuccess"]["errorMessage"]
    with application.database.read() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(t.call_conflict)).scalar_one()
    assert kept == 1


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"not gzip", PROTOBUF | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000)[:-9], PROTOBUF | {"Content-Encoding": "gzip"}, 400),
        (b"", {"Content-Type": "text/plain"}, 415),
        (b"", {}, 415),
        (b"", PROTOBUF | {"Content-Encoding": "br"}, 415),
        (b"x" * (MIB + 1), PROTOBUF, 413),
        (gzip.compress(b"\0" * (MIB + 1)), PROTOBUF | {"Content-Encoding": "gzip"}, 413),
    ],
)
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_what_cannot_be_taken_is_a_status_in_the_format_of_the_request(
    application: Application, http: Http, key: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = http("POST", path, key=key, content=content, headers=headers)
    assert answer.status_code == status
    if headers is JSON:
        said = answer.json()
        assert said["code"] == 3
        assert said["message"]
    else:
        assert answer.headers["content-type"] == "application/x-protobuf"
        parsed = Status.FromString(answer.content)
        assert parsed.code == {400: 3, 415: 3, 413: 8}[status]
        assert parsed.message
    assert "Traceback" not in answer.text
    assert calls(application) == 0


def test_a_bomb_is_refused_in_bounded_memory(http: Http, key: str) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([*(squeeze.compress(b"\0" * MIB) for _ in range(300)), squeeze.flush()])
    assert len(bomb) < MIB
    tracemalloc.start()
    answer = http("POST", "/v1/traces", key=key, content=bomb, headers=PROTOBUF | {"Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 20 * MIB


def test_a_body_without_a_length_is_bounded_too(http: Http, key: str) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 100_000

    assert http("POST", "/v1/traces", key=key, content=endless(), headers=PROTOBUF).status_code == 413


def test_without_a_key_nothing_is_read(http: Http, application: Application) -> None:
    answer = http("POST", "/v1/traces", content=b"\xff", headers=PROTOBUF)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert Status.FromString(answer.content).code == 16


@pytest.mark.parametrize("key", ["nonsense", "gov_abc_def", "gov_aaaaaaaaaa_" + "x" * 43, "é", "x" * 5000])
def test_a_wrong_key_is_refused(http: Http, key: str) -> None:
    headers = PROTOBUF | {"Authorization": f"Bearer {key}".encode()}
    assert http("POST", "/v1/traces", content=b"", headers=headers).status_code == 401


def test_a_revoked_key_is_refused_at_once(application: Application, http: Http) -> None:
    created = application.keys.create(OPERATOR, [Scope.INGEST])
    assert http("POST", "/v1/traces", key=created.secret, content=b"", headers=PROTOBUF).status_code == 200
    application.keys.revoke(OPERATOR, created.key.id)
    assert http("POST", "/v1/traces", key=created.secret, content=b"", headers=PROTOBUF).status_code == 401


def test_a_key_of_another_scope_is_refused_and_the_attempt_recorded(application: Application, http: Http) -> None:
    answer = http("POST", "/v1/traces", key=key_for(application, Scope.READ), content=b"", headers=JSON)
    assert answer.status_code == 403
    assert answer.json()["code"] == 7
    with application.database.read() as connection:
        kinds = connection.execute(sa.select(t.audit_event.c.kind)).scalars().all()
    assert "action.refused" in kinds


def test_a_key_bound_to_a_system_speaks_for_it_alone(application: Application, http: Http) -> None:
    bound = key_for(application, Scope.INGEST, system="hr")
    http("POST", "/v1/traces", key=bound, content=body_of(span()), headers=JSON)
    with application.database.read() as connection:
        names = connection.execute(sa.select(t.system.c.name).join(t.call, t.call.c.system_id == t.system.c.id))
        assert names.scalars().all() == ["hr"]


def test_when_too_much_waits_work_is_shed_with_503(
    application: Application, http: Http, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Overloaded("Too much is waiting to be written.", retry_after=3)

    monkeypatch.setattr(record.Recorder, "submit", full)
    answer = http("POST", "/v1/traces", key=key, content=traces([1]), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert Status.FromString(answer.content).code == 14


def test_what_breaks_inside_tells_nothing_of_the_inside(
    application: Application, http: Http, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret words of a call")

    monkeypatch.setattr(record.Recorder, "submit", broken)
    answer = http("POST", "/v1/traces", key=key, content=traces([1]), headers=PROTOBUF)
    assert answer.status_code == 500
    assert Status.FromString(answer.content).code == 13
    assert b"secret words" not in answer.content


def test_other_methods_and_addresses_are_errors_in_their_format(http: Http) -> None:
    answer = http("GET", "/v1/traces", headers=JSON)
    assert (answer.status_code, answer.headers["allow"], answer.json()["code"]) == (405, "POST", 12)
    answer = http("POST", "/v1/metrics")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404
