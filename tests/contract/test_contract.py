"""The OpenAPI document of a real server against the server itself, by programs that nobody here wrote.

Schemathesis makes requests from the document: valid ones must be accepted, others refused, and every answer must have a
status, a format and a body that the document names. `CONTRACT_EXAMPLES=200 make test-contract` asks each address more.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.serving import Serving, traces

SYSTEM = "contract-bot"  # as in `hooks`
# What a document cannot say, or does not have to: 405 is HTTP's own, and every method but those named gets it.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,positive_data_acceptance,missing_required_header,"
    "unsupported_method,allow_header_conformance,ignored_auth"
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, contract_tools: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path_factory.mktemp("served"), GOVERNANCE_POLICIES=str(ROOT / "policies"))
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture(scope="module")
def key(serving: Serving) -> str:
    """A key with every scope, bound to a system that has sent calls."""
    key = serving.key("ingest,check,report,read", "--system", SYSTEM)
    request = urllib.request.Request(
        f"{serving.url}/v1/traces",
        traces(range(8)),
        {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    return key


def test_the_document_is_valid(contract_tools: Path, serving: Serving, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"{serving.url}/v1/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [str(contract_tools / "openapi-spec-validator"), str(tmp_path / "openapi.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_server_does_what_the_document_says(
    contract_tools: Path, serving: Serving, key: str, tmp_path: Path
) -> None:
    command = [
        str(contract_tools / "schemathesis"),
        "run",
        f"{serving.url}/v1/openapi.json",
        f"--url={serving.url}/v1",
        f"--header=Authorization: Bearer {key}",
        f"--checks={CHECKS}",
        "--phases=coverage,fuzzing",
        f"--max-examples={os.environ.get('CONTRACT_EXAMPLES', '10')}",
        "--seed=1",
        "--continue-on-failure",
        "--request-timeout=60",
        "--warnings=off",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent),
        "SCHEMATHESIS_HOOKS": "hooks",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3_000:]
    assert "12 selected / 12 total" in done.stdout, done.stdout
