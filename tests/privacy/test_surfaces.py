"""One call whose every text holds values that must not be shown, and then all places where people, files and programs
without the right to the original look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.detectors.patterns import PatternDetector
from governance.domain.calls import Call
from governance.domain.content import Content
from governance.domain.findings import Finding
from governance.domain.people import operator
from governance.engine.request import call_from
from governance.services.calls.check import WITHHELD
from governance.services.evidence.export import EvidenceFilter

EVERYTHING = """
apiVersion: governance/v1
kind: Policy
id: quality.everything
title: Everything is looked at
owner: ai
status: enforce
severity: high
detectors:
  identifiers: {use: pii}
  secrets: {use: secrets}
when: call.error.contains("refused") && call.attributes.exists(k, call.attributes[k].contains("kept"))
then: {action: redact, queue: privacy, explain: "{finding.rule} {call.error} {call.finish_reasons} {call.tools}"}
tests:
  - {name: hit, call: {input: Hello, error: refused, attributes: {a: kept}}, expect: fire}
  - {name: not, call: {input: Hello, output: Hi.}, expect: allow}
"""
_SIGNS = re.compile(r"[\s._/+-]")


class Planted:
    """Values that stand nowhere else: each place of a call has its own."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._cards = iter(_cards())

    def _in(self, where: str, value: str) -> str:
        self.values[_SIGNS.sub("", value)] = where
        return value

    def card(self, where: str) -> str:
        return self._in(where, next(self._cards))

    def text(self, where: str) -> str:
        card, number = self.card(where), len(self.values)
        grouped = " ".join(card[at : at + 4] for at in range(0, 16, 4))
        mail = self._in(where, f"jane.doe{number}@mailhost.example.org")
        word = self._in(where, f"Xk9mQ{number:03d}pLzz")
        number_ = self._in(where, f"536-22-8{number:03d}")
        return f"Card {grouped}, social security number {number_}, mail {mail}, password={word} is kept"

    def record(self, where: str) -> dict[str, object]:
        number = len(self.values)
        return {
            "card": self.card(where),
            "cards": [int(self.card(where))],
            "social_security_number": self._in(where, f"53622{8000 + number}"),
            "login": {"password": self._in(where, f"Yk9mQ{number:03d}pLzz")},
        }

    def left_in(self, *shown: object) -> set[str]:
        """Where the values are from that can be read in what is shown."""
        text = "".join(
            one.decode("latin-1") if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False, default=str)
            for one in shown
        )
        bare = _SIGNS.sub("", text)
        return {where for value, where in self.values.items() if value in bare}


def _cards() -> Iterator[str]:
    for number in range(10**6, 2 * 10**6, 7_919):
        stem = f"45391488{number}"
        total = sum(
            int(digit) * 2 - 9 * (int(digit) > 4) if at % 2 == 0 else int(digit) for at, digit in enumerate(stem)
        )
        yield f"{stem}{-total % 10}"


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def call(planted: Planted) -> Call:
    text, record = planted.text, planted.record
    nested = json.dumps({"body": json.dumps(record("nested arguments"))})
    return replace(
        call_from(
            {
                "system": "bot",
                "kind": "llm",
                "trace_id": "ab" * 16,
                "input": [{"role": role, "text": text(role)} for role in ("system", "user", "assistant", "tool")],
                "output": [{"role": "assistant", "text": text("answer")}],
                "documents": [{"id": "d", "text": text("document")}, {"id": "e", "text": json.dumps(record("json"))}],
                "tool_calls": [
                    {"id": "1", "name": "n", "arguments": record("arguments"), "result": text("result")},
                    {"id": "2", "name": "n", "arguments": nested, "result": json.dumps(record("json result"))},
                ],
                "error": text("error") + " refused",
                "attributes": {
                    "note": text("attribute"),
                    "record": record("attribute's object"),
                    "list": [text("attribute's list")],
                    "password": next(iter(record("attribute by its name")["login"].values())),  # type: ignore[attr-defined]
                    f"of {planted.card('attribute name')}": "x",
                },
            }
        ),
        span_id="cd" * 8,
    )


def test_what_was_planted_can_be_read_nowhere(tmp_path: Path, planted: Planted, call: Call) -> None:
    folder = tmp_path / "policies" / "quality"
    folder.mkdir(parents=True)
    (folder / "everything.yaml").write_text(EVERYTHING)
    application = Application(Settings(data_dir=tmp_path, policies=tmp_path / "policies", _env_file=None))  # type: ignore[call-arg]
    try:
        checked = application.inline.check(call)
        document = application.read_call(checked.call_id)
        assert checked.case_id is not None
        assert document["attributes"].keys() >= {"note", "record", "list"}
        assert not planted.left_in(document)
        assert not planted.left_in(checked.decision, [message.text for message in checked.messages])
        told = application.explain.explain(operator("tests"), int(checked.decision["id"]))
        assert not planted.left_in(told.document())
        package = tmp_path / "evidence.zip"
        application.export.to_file(operator("tests"), EvidenceFilter(), package)
        with ZipFile(package) as files:
            assert not planted.left_in(*map(files.read, files.namelist()))
    finally:
        application.close()
    for file in tmp_path.glob("governance.db*"):
        assert not planted.left_in(file.read_bytes())
    assert planted.left_in(call.input[1].text) == {"user"}


def test_a_set_without_a_policy_about_personal_data_shows_none_all_the_same(
    tmp_path: Path, planted: Planted, call: Call
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    other = EVERYTHING.replace("identifiers: {use: pii}", "shape: {use: structure}")
    (folder / "other.yaml").write_text(other.replace("  secrets: {use: secrets}\n", ""))
    application = Application(Settings(data_dir=tmp_path, policies=folder, _env_file=None))  # type: ignore[call-arg]
    try:
        assert not planted.left_in(application.read_call(application.inline.check(call).call_id))
        assert not planted.left_in(application.redact_text(call.input[1].text))
    finally:
        application.close()


def test_what_could_not_be_looked_at_is_not_shown(
    tmp_path: Path, planted: Planted, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "everything.yaml").write_text(EVERYTHING)
    application = Application(Settings(data_dir=tmp_path, policies=folder, _env_file=None))  # type: ignore[call-arg]

    def late(self: PatternDetector, content: Content) -> tuple[Finding, ...]:
        raise TimeoutError("examining took too long")

    monkeypatch.setattr(PatternDetector, "examine", late)
    try:
        document = application.read_call(application.inline.check(call).call_id)
        assert document["output"][0]["text"] == WITHHELD
        assert document["error"] == WITHHELD
        assert not planted.left_in(document)
    finally:
        application.close()
    for file in tmp_path.glob("governance.db*"):
        assert not planted.left_in(file.read_bytes())
