"""A firm's own identifiers, declared in policy files: found in the same pass, tried by lint, harmless when hostile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from governance.detectors import registry
from governance.detectors.interface import DetectorUse
from governance.detectors.patterns.recognisers import CHECKSUMS, MOST, troubles
from governance.domain.content import Content, ContentKind
from governance.domain.findings import Finding
from governance.policy.load import examine
from governance.policy.problems import Problem

STAFF: dict[str, Any] = {
    "name": "employee-number",
    "label": "employee_number",
    "regex": r"\bE-\d{6}\b",
    "context": ["employee", "staff"],
    "hits": ["employee E-123456"],
    "clean": ["order E-123456"],
}
CUSTOMER: dict[str, Any] = {
    "name": "customer-number",
    "label": "customer_number",
    "regex": r"\bC(\d{11})\b",
    "checksum": "luhn",
    "hits": ["C79927398713"],
    "clean": ["C79927398714"],
}


def found(text: str, *uses: DetectorUse) -> list[Finding]:
    runner = registry.build(uses)
    examination = runner.examine(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
    assert not examination.failures, examination.failures
    return list(examination.findings)


def asks(*declared: dict[str, Any], use: str = "pii") -> DetectorUse:
    return DetectorUse(name=use, options={"recognisers": list(declared)})


def test_it_is_found_beside_the_packs_in_one_pass() -> None:
    findings = found("Employee E-123456, jane@example.com", asks(STAFF), DetectorUse(name="pii"))
    assert sorted((one.detector, one.pack, one.rule, one.label) for one in findings) == [
        ("patterns", "employee-number", "employee-number", "employee_number"),
        ("patterns", "pii", "email", "email"),
    ]
    assert {one.category for one in findings} == {"pii"}


def test_under_secrets_it_is_a_secret() -> None:
    (finding,) = found("staff E-123456", asks(STAFF, use="secrets"))
    assert finding.category == "secret"


@pytest.mark.parametrize(("text", "there"), [("staff: E-123456", True), ("part E-123456", False)])
def test_words_must_stand_near(text: str, *, there: bool) -> None:
    assert bool(found(text, asks(STAFF))) is there
    assert not found("staff " + "x " * 60 + "E-123456", asks(STAFF))


def test_a_group_is_the_finding_and_its_check_digit_counts() -> None:
    (finding,) = found("C79927398713 and C79927398714", asks(CUSTOMER))
    assert (finding.start, finding.end) == (1, 12)


def test_a_policy_reads_only_the_recognisers_that_it_declares() -> None:
    (finding,) = found("staff E-123456", asks(STAFF), DetectorUse(name="pii"))
    assert registry.selects(registry.resolved(asks(STAFF)), finding)
    assert not registry.selects(registry.resolved(DetectorUse(name="pii")), finding)
    assert not registry.selects(registry.resolved(asks(CUSTOMER)), finding)


@pytest.mark.parametrize(
    ("text", "name"),
    [("4006381333931", "ean"), ("0306406152", "mod11"), ("DE89370400440532013000", "iban"), ("79927398713", "luhn"),
     ("2363", "verhoeff"), ("021000021", "aba"), ("3214282912345698765432161182", "mod97")],
)  # fmt: skip
def test_check_digits_by_name(text: str, name: str) -> None:
    assert CHECKSUMS[name](text, 0, len(text))
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert not CHECKSUMS[name](wrong, 0, len(wrong))


def policy(recognisers: str, name: str = "one") -> str:
    return f"""
apiVersion: governance/v1
kind: Policy
id: data-access.{name}
title: An employee number
owner: people
status: enforce
severity: low
detectors:
  identifiers:
    use: pii
    recognisers:
{recognisers}
when: findings.exists(f, f.label == "employee_number")
then: {{action: redact, explain: "An employee number."}}
tests:
  - {{name: hit, call: {{text: "staff E-123456"}}, expect: redact}}
  - {{name: clean, call: {{text: "part E-123456"}}, expect: allow}}
"""


GOOD = """      - name: employee-number
        label: employee_number
        regex: '\\bE-\\d{6}\\b'
        context: [staff]
        hits: [staff E-123456]
        clean: [part E-123456]"""


def lint(folder: Path, *texts: str) -> list[Problem]:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    return [one for one in examine(folder).problems if one.rule == "bad-recogniser"]


def test_a_good_declaration_is_left_alone(tmp_path: Path) -> None:
    assert lint(tmp_path, policy(GOOD), policy(GOOD, "two")) == []


@pytest.mark.parametrize(
    ("before", "after", "message", "line"),
    [
        ("'\\bE-\\d{6}\\b'", "'(?<=a)b'", "RE2 refuses", 15),
        ("'\\bE-\\d{6}\\b'", "'(E-)?'", "matches the empty text", 15),
        ("[staff E-123456]", "[staff E-12]", "is not found in this example", 17),
        ("[part E-123456]", "[staff E-123456]", "is found in this example", 18),
        ("context:", "contexts:", "has no 'contexts'", 16),
        ("label: employee_number", "label: Employee", "label: ", 14),
        ("context: [staff]", "checksum: crc", "checksum: ", 16),
        ("name: employee-number", "name: pii", "is the name of a pack", 13),
    ],
)
def test_a_bad_one_is_shown_where_it_stands(tmp_path: Path, before: str, after: str, message: str, line: int) -> None:
    assert before in GOOD
    problems = lint(tmp_path, policy(GOOD.replace(before, after)))
    assert message in problems[0].message
    assert problems[0].line == line
    assert all(one.column > 1 and one.file == "0.yaml" for one in problems)


def test_two_declarations_of_one_name_must_be_the_same(tmp_path: Path) -> None:
    other = GOOD.replace("[staff]", "[staff, employee]")
    (problem,) = lint(tmp_path, policy(GOOD), policy(other, "two"))
    assert "declared already in 0.yaml" in problem.message
    assert problem.file == "1.yaml"


@pytest.mark.parametrize("declared", [None, 1, "x", [], {}, {"name": None}, {"name": "a", "hits": 3}, {"regex": "("}])
def test_nonsense_is_told(declared: object) -> None:
    assert list(troubles(declared))


def test_what_cannot_be_built_is_unavailable_and_said() -> None:
    runner = registry.build([asks(STAFF | {"regex": "("})])
    examination = runner.examine(Content(kind=ContentKind.MESSAGE, text="x", role="user"))
    assert [one.detector for one in examination.failures] == ["patterns"]
    assert "employee-number" in examination.failures[0].reason


def test_five_thousand_recognisers_are_found_in_time() -> None:
    many = [
        STAFF | {"name": f"n{number}", "regex": rf"\bZ{number:04d}-\d{{4}}\b", "context": [],
                 "hits": [f"Z{number:04d}-1234"], "clean": ["Z-1"]}
        for number in range(MOST)
    ]  # fmt: skip
    (finding,) = found("see Z4999-1234", asks(*many))
    assert finding.rule == "n4999"
    began = time.perf_counter()
    assert (
        "at most"
        in registry.build([asks(*many, STAFF)]).examine(Content(kind=ContentKind.MESSAGE, text="x")).failures[0].reason
    )
    assert time.perf_counter() - began < 5
