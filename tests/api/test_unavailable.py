"""A detector that is not there: its policies answer `on_error`, and each place that a person or a program looks at says
so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from governance import worker
from governance.bootstrap import Application, run_as
from governance.cli import main
from governance.detectors.host import environment
from governance.store.base import tables as t
from governance.store.calls import health
from governance.systems.health import Detector
from tests.api.conftest import POLICY, Http

GUARD = """
apiVersion: governance/v1
kind: Policy
id: guard.{on_error}
title: What the guard says
owner: ai-security
status: enforce
severity: high
detectors:
  guard: {{use: llm_guard, on: {on}, scanners: [{{name: InvisibleText}}]}}
when: 'findings.exists(f, f.detector == "guard")'
then: {{action: redact, queue: security, explain: "{{finding.rule}}"}}
on_error: {on_error}
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "phrases.yaml").write_text(POLICY, encoding="utf-8")
    for on_error in ("block", "review"):
        (folder / f"{on_error}.yaml").write_text(GUARD.format(on_error=on_error, on="always"), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _this_one(application: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GOVERNANCE_DATA_DIR", str(application.settings.data_dir))
    monkeypatch.setenv("GOVERNANCE_POLICIES", str(application.settings.policies))
    run_as(application)
    yield
    run_as(None)


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, dict[str, object]]:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code, json.loads(capsys.readouterr().out)


def test_policies_answer_on_error_and_everybody_is_told(
    application: Application, http: Http, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"system": "bot", "direction": "input", "messages": [{"role": "user", "text": "Good morning."}]}
    answer = http("POST", "/v1/check", key=key, json=body).json()
    assert answer["action"] == "block", "the strictest of what both policies do when they cannot tell"
    assert {one["policy"]: one["outcome"] for one in answer["policies"]} == {
        "guard.block": "error",
        "guard.review": "error",
    }
    assert "unavailable: The scanners are not installed." in answer["explanation"]
    assert answer["case_id"] is not None

    worker.run_until_idle(application)
    ready = http("GET", "/readyz").json()
    assert ready["checks"]["detectors"]["ok"] is False
    assert "llm_guard unavailable since 20" in ready["checks"]["detectors"]["detail"]
    text = http("GET", "/metrics").text
    assert 'governance_detector_available{detector="llm_guard"} 0.0' in text
    assert 'governance_detector_available{detector="patterns"} 1.0' in text

    with application.database.read() as connection:
        first = health.detectors(connection)[0]
    assert first.name == "llm_guard"
    assert first.absent_since is not None
    assert first.last_failure.startswith("unavailable: The scanners are not installed.")
    worker.run_until_idle(application)
    with application.database.read() as connection:
        assert health.detectors(connection)[0].absent_since == first.absent_since, "it has not just begun"

    code, listed = told(["detectors", "list", "--json"], capsys)
    states = {one["name"]: one["state"] for one in listed["detectors"]}  # type: ignore[attr-defined]
    assert code == 0
    assert states["llm_guard"].startswith("unavailable: The scanners are not installed.")
    assert states["judge"] == "not used by a policy"
    code, examined = told(["doctor", "--json"], capsys)
    assert code == 1
    (verdict,) = [one for one in examined["checks"] if one["check"] == "detector llm_guard"]  # type: ignore[attr-defined]
    assert verdict["state"] == "wrong"
    assert "on_error" in verdict["fix"]
    assert f"Since {first.absent_since:%Y-%m-%d %H:%M} UTC." in verdict["says"]


def test_a_server_without_a_detector_is_degraded_and_serves(application: Application, http: Http) -> None:
    worker.run_until_idle(application)
    now = int(application.clock().timestamp() * 1_000_000)
    with application.database.write() as transaction:
        row = {"id": 1, "name": "w", "policy_set": "", "started_at": now, "seen_at": now}
        transaction.connection.execute(t.worker.insert().values(**row))
    answer = http("GET", "/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    with application.database.write() as transaction:
        transaction.connection.execute(
            t.detector_health.update().where(t.detector_health.c.detector == "llm_guard").values(absent_since=None)
        )
    answer = http("GET", "/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_a_recorded_call_is_decided_by_on_error(application: Application, http: Http, key: str) -> None:
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "chat",
        "startTimeUnixNano": "1763900000000000000",
        "endTimeUnixNano": "1763900001000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {
                "key": "gen_ai.input.messages",
                "value": {"stringValue": '[{"role": "user", "parts": [{"type": "text", "content": "Good morning."}]}]'},
            },
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    assert http("POST", "/v1/traces", key=key, json=body).status_code == 200
    worker.run_until_idle(application)
    with application.database.read() as connection:
        (call,) = connection.execute(sa.select(t.call.c.id)).scalars()
        counted = {one.name: one.failed for one in health.detectors(connection)}
    (decision,) = application.read_call(call)["decisions"]
    assert decision["action"] == "block"
    assert {one["policy"] for one in decision["policies"]} == {"guard.block", "guard.review"}
    assert counted["llm_guard"] >= 1


def test_it_is_said_to_be_there_again_once_it_is(application: Application) -> None:
    from governance.store.jobs.heartbeat import DetectorCount, Heartbeat

    beat = Heartbeat(application.database, name="w", policy_set="", now=1_000_000)

    def say(at: int, failure: str, version: str = "1") -> Detector:
        absent = failure.startswith("unavailable: ")
        count = DetectorCount(version=version, answered=0, failed=1, last_failure=failure, absent=absent)
        beat.beat(at * 1_000_000, {"guard": count}, policy_set="")
        with application.database.read() as connection:
            return next(one for one in health.detectors(connection) if one.name == "guard")

    began = say(10, "unavailable: it ended").absent_since
    assert began is not None
    assert began.timestamp() == 10
    assert say(20, "unavailable: it took too long").absent_since == began
    other = say(25, "unavailable: it is not installed", version="2")
    assert (other.absent_since, other.failed) == (began, 1), "an update mends nothing by itself"
    assert say(30, "NotScanned: once").absent_since is None
    later = say(40, "unavailable: " + "x" * 1_000)
    assert later.absent_since is not None
    assert later.absent_since.timestamp() == 40
    assert not environment.installed(application.settings.data_dir)
