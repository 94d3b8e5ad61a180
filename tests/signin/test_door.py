"""What `serve` refuses before it listens, in one clear line."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from governance.bootstrap.settings import Settings
from governance.cli.serve import is_loopback, listen, refuse_open_door
from governance.errors import Misconfigured
from tests.serving import Serving

OIDC = {"oidc_issuer": "https://id.example.org", "oidc_client_id": "console"}
PUBLIC = {"public_url": "https://gov.example.org"}


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "host", "word"),
    [
        ({}, "0.0.0.0", "Local accounts"),
        ({}, "192.168.1.5", "Local accounts"),
        ({}, "::", "Local accounts"),
        ({}, "gov.example.org", "Local accounts"),
        (PUBLIC, "127.0.0.1", "Local accounts"),
        (OIDC, "0.0.0.0", "https"),
        (OIDC | {"public_url": "http://gov.example.org"}, "0.0.0.0", "https"),
        (PUBLIC | {"oidc_issuer": "http://id.example.org", "oidc_client_id": "c"}, "0.0.0.0", "https address"),
        (PUBLIC | {"oidc_issuer": "https://id.example.org"}, "0.0.0.0", "CLIENT_ID"),
        ({"public_url": "gov.example.org"}, "127.0.0.1", "PUBLIC_URL"),
        ({"public_url": "https://gov.example.org/console"}, "127.0.0.1", "PUBLIC_URL"),
    ],
)
def test_an_open_door_is_refused_with_the_reason(values: dict[str, Any], host: str, word: str) -> None:
    with pytest.raises(Misconfigured, match=word) as refused:
        refuse_open_door(settings(**values), host)
    assert refused.value.advice


@pytest.mark.parametrize(
    ("values", "host"),
    [({}, "127.0.0.1"), ({}, "localhost"), ({}, "::1"), (OIDC | PUBLIC, "0.0.0.0"), (OIDC, "127.0.0.1")],
)
def test_a_trial_on_this_machine_and_a_real_installation_are_let_through(values: dict[str, Any], host: str) -> None:
    refuse_open_door(settings(**values), host)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("localhost.evil", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_what_looks_like_it(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_a_taken_port_is_said_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misconfigured, match="in use by another program"):
            listen("127.0.0.1", taken.getsockname()[1])


def complaint(serving: Serving, *arguments: str) -> str:
    """What a command that must fail says: one line on stderr, exit code 2, no traceback."""
    ended = serving.run(*arguments, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("governance: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_serve_says_in_one_line_what_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    serving = Serving(tmp_path / "file")
    serving.folder = tmp_path
    assert "data directory" in complaint(serving, "serve", "--port", str(serving.port))
    assert "Local accounts" in complaint(serving, "serve", "--host", "0.0.0.0", "--port", str(serving.port))


def test_another_key_encryption_key_and_a_lost_one_are_refused(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    (tmp_path / "one.jsonl").write_text('{"system": "bot", "input": [{"role": "user", "text": "Hello"}]}\n')
    serving.run("ingest", "one.jsonl", "--format", "jsonl")
    key = tmp_path / "key-encryption.key"
    kept = key.read_bytes()
    key.unlink()
    assert "missing" in complaint(serving, "calls", "list")
    assert not key.exists()
    key.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    assert "does not fit" in complaint(serving, "calls", "list")
    key.write_bytes(kept)
    assert serving.run("calls", "list", "--json").stdout
    signing = tmp_path / "signing.key"
    signing.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    assert "signing key" in complaint(serving, "calls", "list")


def test_keys_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    serving = Serving(tmp_path / "var")
    serving.folder = tmp_path
    serving.run("key", "create", "--scope", "ingest", "--json")
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    for name in ("key-encryption.key", "signing.key"):
        file = tmp_path / "var" / name
        if file.exists():
            assert file.stat().st_mode & 0o777 == 0o600
