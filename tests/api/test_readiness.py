"""What `/readyz` and `/metrics` say of calls that wait for their check."""

from __future__ import annotations

import time

import pytest

from governance.bootstrap import Application
from governance.errors import Misconfigured, Overloaded
from governance.intake import Outcome
from governance.intake.recording import Recording
from governance.store.base import tables as t
from tests.api.conftest import Http
from tests.store.conftest import Batch, make_call


def waiting_since(application: Application, seconds: float) -> None:
    """A live worker, and a call that waits for that long."""
    application.recorder.record(Batch(calls=(make_call(1),)))
    now = int(application.clock().timestamp() * 1_000_000)
    with application.database.write() as transaction:
        row = {"id": 1, "name": "w", "policy_set": "", "started_at": now, "seen_at": now}
        transaction.connection.execute(t.worker.insert().values(**row))
        transaction.connection.execute(t.call.update().values(received_at=now - int(seconds * 1e6)))


@pytest.mark.parametrize(
    ("seconds", "ok", "warning", "status"),
    [(5, True, False, "ready"), (61, True, True, "degraded"), (601, False, True, "degraded")],
)
def test_late_checking_is_told_and_keeps_no_call_away(
    application: Application, http: Http, seconds: int, ok: bool, warning: bool, status: str
) -> None:
    waiting_since(application, seconds)
    answer = http("GET", "/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, status)
    checking = answer.json()["checks"]["checking"]
    assert (checking["ok"], checking.get("warning", False), checking["waiting"]) == (ok, warning, 1)
    assert seconds <= checking["oldest_seconds"] < seconds + 60
    assert checking["detail"].startswith("1 call waits, the oldest for ")
    text = http("GET", "/metrics").text
    lag = next(line for line in text.splitlines() if line.startswith("governance_check_lag_seconds "))
    assert float(lag.split()[1]) >= seconds
    assert f'governance_ready{{check="checking"}} {float(ok)}' in text


class Receiver:
    up = True
    latest: Outcome | None = None


def test_the_last_call_says_it_and_without_any_a_write_of_our_own() -> None:
    receiver, tried = Receiver(), []
    errors: list[Exception] = []

    def write() -> None:
        tried.append(1)
        if errors:
            raise errors[-1]

    recording = Recording(lambda: receiver, write)  # type: ignore[arg-type, return-value]
    assert (recording.trouble(), recording.trouble(), len(tried)) == ("", "", 1)
    receiver.latest = Outcome(at=time.monotonic(), trouble="The disk is full.", holds=30)
    assert recording.trouble() == "The disk is full."
    receiver.latest = Outcome(at=time.monotonic() - 29, trouble="The disk is full.", holds=30)
    assert recording.trouble() == "The disk is full.", "a small write of ours proves nothing yet"
    receiver.latest = Outcome(at=time.monotonic() - 31, trouble="The disk is full.", holds=30)
    assert recording.trouble() == ""
    for error in (Overloaded("It is locked."), Misconfigured("It is damaged."), RuntimeError("driver's words")):
        errors.append(error)
        recording = Recording(lambda: receiver, write)  # type: ignore[arg-type, return-value]
        assert recording.trouble()
        assert "driver" not in recording.trouble()
    receiver.latest = Outcome(at=time.monotonic())
    assert recording.trouble() == ""
    receiver.up = False
    assert recording.trouble() == "The recording process is not there."


def test_a_failure_cannot_come_before_its_warning() -> None:
    from governance.bootstrap.settings import load

    with pytest.raises(Misconfigured, match=r"^GOVERNANCE_CHECK_LAG_FAILURE must not be below"):
        load(check_lag_warning=60, check_lag_failure=59)
