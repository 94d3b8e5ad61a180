"""What `/readyz` says while calls cannot be recorded: a real server, a real lock, a real full disk, real damage."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Serving, traces

ANSWER_SECONDS = 25
"""Far below the 30 to 100 seconds of an unbounded wait, far above the 3 that a request waits here."""


def readyz(serving: Serving) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(serving.url + "/readyz", timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until(true: Callable[[], bool], seconds: float = 90) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def post(serving: Serving, key: str, body: bytes, path: str = "/v1/traces") -> tuple[int, str, bytes]:
    """Status, Retry-After and body; a server that does not answer in `ANSWER_SECONDS` fails the test."""
    kind = "application/x-protobuf" if path != "/v1/check" else "application/json"
    with closing(http.client.HTTPConnection("127.0.0.1", serving.port, timeout=ANSWER_SECONDS)) as connection:
        connection.request("POST", path, body, {"content-type": kind, "authorization": f"Bearer {key}"})
        with closing(connection.getresponse()) as answer:
            return answer.status, answer.headers.get("retry-after", ""), answer.read()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process holds the write lock, as a forgotten shell or a long import does."""
    code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    code += "c.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.communicate("")


def test_a_locked_database_is_answered_and_said_within_seconds(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    key = serving.key()
    serving.start()
    try:
        assert post(serving, key, traces(range(4)))[0] == 200
        check = json.dumps({"system": "b", "direction": "input", "messages": [{"role": "user", "text": "Hi"}]}).encode()
        with locked(tmp_path / "governance.db"):
            answers: list[tuple[int, str, bytes]] = []

            def send(number: int) -> None:
                for turn in range(2):
                    first = 100 + number * 100 + turn * 50
                    answers.append(post(serving, key, traces(range(first, first + 50))))
                answers.append(post(serving, key, check, "/v1/check"))

            senders = [threading.Thread(target=send, args=(number,)) for number in range(8)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            assert len(answers) == 24, "each was answered"
            assert {(status, retry) for status, retry, _ in answers} == {(503, "2")}
            assert all(b"locked by another process" in said for _, _, said in answers)
            status, said = readyz(serving)
            assert (status, said["status"]) == (503, "not ready")
            assert said["checks"]["recording"] == {"ok": False, "detail": "The database is locked by another process."}
            doctor = json.loads(serving.run("doctor", "--json", check=False).stdout)
            assert {one["check"]: one["state"] for one in doctor["checks"]}["recording"] == "wrong"
        assert until(lambda: post(serving, key, traces(range(4, 8)))[0] == 200)
        assert until(lambda: readyz(serving)[0] == 200)
    finally:
        serving.stop()


def test_a_lock_is_said_although_nobody_sends(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    serving.start()
    try:
        with locked(tmp_path / "governance.db"):
            assert until(lambda: readyz(serving)[1]["checks"]["recording"]["ok"] is False)
        assert until(lambda: readyz(serving)[1]["checks"]["recording"]["ok"] is True)
    finally:
        serving.stop()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.getuid() == 0 and sys.platform == "linux"
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("Only root can mount a small file system; test_outage.py fills a database by its page count.")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_until_there_is_room(small: Path) -> None:
    serving = Serving(small)
    key = serving.key()
    serving.start("--no-worker", ready="/healthz")
    filler = small / "filler"
    try:
        assert until(lambda: post(serving, key, traces(range(4)))[0] == 200)
        assert readyz(serving)[1]["checks"]["recording"]["ok"] is True
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65_536))
            except OSError:
                pass
        # Nobody sends: it is seen all the same.
        assert until(lambda: readyz(serving)[1]["checks"]["recording"]["ok"] is False)
        checks = readyz(serving)[1]["checks"]
        assert checks["recording"]["detail"] == "The disk is full."
        assert checks["disk"]["ok"] is False
        status, retry, said = post(serving, key, traces(range(100, 2_000), "long text " * 100))
        assert (status, retry) == (503, "30")
        assert b"disk is full" in said
        assert readyz(serving)[0] == 503
        filler.unlink()
        assert until(lambda: post(serving, key, traces(range(100, 110)))[0] == 200)
        assert readyz(serving)[1]["checks"]["recording"]["ok"] is True, "a call that was recorded says it first"
    finally:
        serving.stop()


def test_damage_is_said_at_the_start_by_readyz_and_by_doctor(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    serving.run("demo")
    database = tmp_path / "governance.db"
    with closing(sqlite3.connect(database)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:  # the table of texts begins with another's bytes
        file.seek((root - 1) * page)
        file.write(b"\x0d" + os.urandom(page - 1))
    doctor = json.loads(serving.run("doctor", "--json", check=False).stdout)
    assert {one["check"]: one["state"] for one in doctor["checks"]}["integrity"] == "wrong"
    serving.start("--no-worker", ready="/healthz")
    try:
        assert until(lambda: readyz(serving)[1]["checks"]["integrity"]["ok"] is False)
        status, said = readyz(serving)
        assert status == 503
        assert said["checks"]["integrity"]["detail"].startswith("The database is damaged: ")
        assert "The database is damaged" in (tmp_path / "serve.log").read_text()
    finally:
        serving.stop()
    assert serving.run("db", "check", check=False).returncode == 1
