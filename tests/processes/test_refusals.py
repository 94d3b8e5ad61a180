"""On a real server: a mounted ConfigMap governs, what does not exist is 400, and refused keys do not fill the log."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.policy.samples import GOOD
from tests.serving import Serving, traces


def get(serving: Serving, path: str, key: str) -> tuple[int, str]:
    request = urllib.request.Request(serving.url + path, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def send(serving: Serving, key: str) -> None:
    """Three calls, with a parameter of a collector's own; the recorder may still be starting."""
    request = urllib.request.Request(
        serving.url + "/v1/traces?tenant=a",
        data=traces(range(3)),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-protobuf"},
    )
    for _ in range(120):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:
            assert error.code == 503  # noqa: PT017
            time.sleep(0.5)
    raise AssertionError("nothing records")


def test_names_refusals_and_a_configmap_on_a_real_server(tmp_path: Path) -> None:
    policies, version = tmp_path / "policies", tmp_path / "policies" / "..2026_11_30_10_00_00.1"
    version.mkdir(parents=True)
    (version / "direct.yaml").write_text(GOOD, "utf-8")
    (policies / "..data").symlink_to(version.name)
    (policies / "direct.yaml").symlink_to("..data/direct.yaml")
    (policies / "left-over.YML").write_text("")
    folder = tmp_path / "var"
    folder.mkdir()
    serving = Serving(folder, GOVERNANCE_POLICIES=str(policies))
    try:
        serving.start("--no-worker", ready="/healthz")
        said = (folder / "serve.log").read_text()
        assert "not read: left-over.YML. See: governance policy lint." in said
        every, ingest = serving.key(), serving.key("ingest")
        send(serving, every)
        assert {get(serving, "/v1/calls", ingest)[0] for _ in range(40)} == {403}
        assert {get(serving, "/v1/calls", f"gov_abcdefghij_{number}")[0] for number in range(40)} == {401}
        figures = get(serving, "/metrics", "")[1]
        assert 'governance_refused_keys_total{reason="scope"} 40.0' in figures
        assert 'governance_refused_keys_total{reason="unknown"} 40.0' in figures
        for wrong in ("staus=failed", "system=suport-bot", "since=2026-11-30"):
            assert get(serving, f"/v1/calls?{wrong}", every)[0] == 400
        found = json.loads(get(serving, "/v1/calls?since=2020-01-01T00:00:00Z&system=support-bot", every)[1])
        assert len(found["items"]) == 3
        # A new version of the ConfigMap while the server runs: the files differ, what is in force does not.
        changed = policies / "..2026_11_30_10_05_00.2"
        shutil.copytree(version, changed)
        (changed / "direct.yaml").write_text(GOOD.replace("severity: high", "severity: low"), "utf-8")
        (policies / "..data_tmp").symlink_to(changed.name)
        (policies / "..data_tmp").rename(policies / "..data")
        shutil.rmtree(version)
        assert "1 policy changed" in serving.run("policy", "diff", check=False).stdout
    finally:
        serving.stop()
    with sqlite3.connect(folder / "governance.db") as connection:
        leaves = [
            json.loads(row[0])
            for row in connection.execute("SELECT leaf FROM audit_event WHERE kind = 'action.refused' ORDER BY id")
        ]
    connection.close()
    # The first of each at once; the rest by the minute, here when the server stopped.
    assert sum(leaf["data"]["count"] for leaf in leaves) == 80
    assert len(leaves) <= 6
