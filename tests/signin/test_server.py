"""One real server: first sign-in, clean end, worker that ends with it and comes back, a log without addresses."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving import Serving, traces

POLICY = """
apiVersion: governance/v1
kind: Policy
id: quality.refusal
title: The answer is a refusal
owner: quality
status: enforce
severity: low
applies_to: {systems: ["*"], parts: [output]}
detectors:
  shape: {use: structure}
when: findings.exists(f, f.category == "refusal")
then: {action: allow, queue: quality, explain: "Refuses"}
on_error: review
controls: {iso42001: [A.6.2.6]}
tests:
  - {name: hit, call: {output: "I am sorry, but I cannot help with that."}, expect: fire}
  - {name: fine, call: {output: "Your parcel comes today."}, expect: allow}
"""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder: Path = tmp_path_factory.mktemp("served")
    (folder / "policies").mkdir()
    (folder / "policies" / "refusal.yaml").write_text(POLICY, encoding="utf-8")
    serving = Serving(folder, GOVERNANCE_POLICIES=str(folder / "policies"))
    serving.start()
    yield serving
    serving.stop()


def log_of(serving: Serving) -> str:
    return (serving.folder / "serve.log").read_text(encoding="utf-8")


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_the_first_start_prints_a_sign_in_that_works_and_only_once(serving: Serving) -> None:
    (password,) = re.findall(r"Password: (\S+)", log_of(serving))
    with httpx.Client(base_url=serving.url) as browser:
        assert browser.get("/queue?mine=1").headers["location"] == "/signin?next=%2Fqueue%3Fmine%3D1"
        form = {"user": "admin", "password": password}
        answer = browser.post("/signin/local?next=/queue", data=form, headers={"Origin": serving.url})
        assert (answer.status_code, answer.headers["location"]) == (303, "/queue")
        page = browser.get("/queue")
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "'unsafe-inline'" not in page.headers["content-security-policy"].split("style-src")[0]


def test_what_is_unknown_under_v1_is_no_page(serving: Serving) -> None:
    for path in ("/v1", "/v1/", "/v1/unknown", "/v1/calls/1/unknown", "/v1//", "/v1/%2e%2e/queue"):
        assert "html" not in httpx.get(serving.url + path).headers.get("content-type", ""), path
    assert httpx.get(serving.url + "/v1/unknown").json()["status"] == 404


def test_a_key_revoked_at_the_command_line_is_refused_at_the_next_request(serving: Serving) -> None:
    made = json.loads(serving.run("key", "create", "--scope", "read", "--json").stdout)
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert httpx.get(serving.url + "/v1/calls", headers=headers).status_code == 200
    listed = json.loads(serving.run("key", "list", "--json").stdout)
    newest = max(int(key["id"]) for key in (listed["keys"] if isinstance(listed, dict) else listed))
    serving.run("key", "revoke", str(newest))
    assert httpx.get(serving.url + "/v1/calls", headers=headers).status_code == 401


def test_calls_are_recorded_checked_and_shown_the_same_everywhere(serving: Serving) -> None:
    headers = {"Authorization": f"Bearer {serving.key()}"}
    sent = headers | {"Content-Type": "application/x-protobuf"}
    assert httpx.post(serving.url + "/v1/traces", content=traces(range(20)), headers=sent).status_code == 200

    def checked() -> bool:
        page = httpx.get(serving.url + "/v1/calls", headers=headers, params={"status": "checked"}).json()
        return len(page["items"]) == 20

    assert until(checked)
    one = httpx.get(serving.url + "/v1/calls", headers=headers).json()["items"][0]
    shown = json.loads(serving.run("calls", "show", one["id"], "--json").stdout)
    assert shown == httpx.get(f"{serving.url}/v1/calls/{one['id']}", headers=headers).json()


def test_a_worker_that_dies_comes_back(serving: Serving) -> None:
    (worker,) = workers(serving)
    worker.kill()
    assert until(lambda: any(one.pid != worker.pid for one in workers(serving)))


def workers(serving: Serving) -> list[psutil.Process]:
    """The checking processes that are alive."""
    return [one for one in serving.family()[1:] if one.status() != psutil.STATUS_ZOMBIE and "worker" in one.cmdline()]


def test_a_second_server_on_the_port_is_told_so(serving: Serving) -> None:
    ended = serving.run("serve", "--port", str(serving.port), check=False)
    assert ended.returncode == 2
    assert "in use by another program" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_backup_of_the_running_server_is_whole(serving: Serving, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "governance.db"
    copy.parent.mkdir()
    serving.run("db", "backup", str(copy))
    for key in ("key-encryption.key", "signing.key"):
        (copy.parent / key).write_bytes((serving.folder / key).read_bytes())
    restored = Serving(copy.parent, GOVERNANCE_POLICIES=serving.environment["GOVERNANCE_POLICIES"])
    assert json.loads(restored.run("db", "check", "--json").stdout)["ok"] is True
    assert restored.run("calls", "list", "--json").stdout
    assert serving.run("db", "backup", str(copy), check=False).returncode == 2


def test_the_log_holds_no_addresses(serving: Serving) -> None:
    httpx.get(serving.url + "/v1/reports/R-1", params={"receipt": "top-secret-receipt"})
    assert "top-secret-receipt" not in log_of(serving)


def test_the_database_is_for_its_owner_alone(serving: Serving) -> None:
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in serving.folder.glob("governance.db*")}
    assert modes.keys() >= {"governance.db", "governance.db-wal"}
    assert set(modes.values()) == {"0o600"}


def test_without_a_proxy_nobody_chooses_their_own_address(serving: Serving) -> None:
    tried = [
        httpx.post(
            serving.url + "/signin/local",
            data={"user": f"user-{number}", "password": "wrong"},
            headers={"Origin": serving.url, "X-Forwarded-For": f"10.0.0.{number}"},
        ).status_code
        for number in range(21)
    ]
    assert (tried[0], tried[-1]) == (401, 429)


def test_sigterm_ends_all_processes_cleanly(serving: Serving) -> None:
    family = serving.family()
    assert serving.process is not None
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(20) == 0
    assert until(lambda: not any(one.is_running() for one in family))
    assert "Traceback" not in log_of(serving)
    serving.start()
    assert log_of(serving).count("Password:") == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/signin"])
def test_a_request_with_two_lengths_is_refused_and_nothing_after_it_is_read(serving: Serving, path: str) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"0\r\n\r\n" + hidden)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
