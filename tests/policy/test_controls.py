"""The catalogue of outside controls: what policies may name, and what is said of a name that does not exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from governance.policy.controls import NAMES, Framework, catalogue
from governance.policy.load import examine
from governance.policy.schema import schema
from governance.services.policies.controls.oscal import token
from tests.policy.samples import GOOD

# How many entries the publications have, counted there; None for a selection.
ENTRIES = {
    "owasp_llm": 10,
    "owasp_asi": 10,
    "atlas": 170,
    "eu_ai_act": None,
    "iso42001": 38,
    "nist_ai_rmf": 72,
    "nist_ai_600_1": 12,
}
# As OSCAL wants identifiers to be (its TokenDatatype).
TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


@pytest.mark.parametrize("framework", catalogue().values(), ids=lambda one: one.name)
def test_a_framework_says_what_it_is_and_lists_short_titles(framework: Framework) -> None:
    assert all((framework.title, framework.label, framework.version, framework.publisher, framework.licence))
    assert framework.source.startswith("https://")
    assert framework.complete is (ENTRIES[framework.name] is not None)
    assert len(framework.controls) == (ENTRIES[framework.name] or len(framework.controls))
    for control in framework.controls.values():
        assert 2 < len(control.title) <= 100, control.id
        assert not control.title.endswith("."), "a title, not the text of the publication"
    tokens = [token(framework.name, identifier) for identifier in framework.controls]
    assert len(set(tokens)) == len(tokens)
    assert all(TOKEN.fullmatch(one) for one in tokens)


def test_the_files_and_the_names_are_the_same() -> None:
    found = {path.stem for path in Path("governance/policy/frameworks").glob("*.json")}
    assert found == set(NAMES) == set(ENTRIES)


def test_editors_learn_the_identifiers_from_the_schema() -> None:
    described = schema()["properties"]["controls"]["properties"]
    assert list(described) == list(NAMES)
    assert "LLM01" in described["owasp_llm"]["items"]["enum"]
    assert json.dumps(described)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("owasp_llm: [LLM1]", "Did you mean 'LLM01' (Prompt injection)?"),
        ("nist_ai_rmf: [measure 2.7]", "Did you mean 'MEASURE 2.7'"),
        ("nist_ai_rmf: [MEASURE2.7]", "Did you mean 'MEASURE 2.7'"),
        ("owasp_llm: [AML.T0051]", "MITRE ATLAS, techniques has it: atlas."),
        ('eu_ai_act: ["999"]', "a selection of its entries is listed by: governance policy controls"),
        ("owasp_lm: [LLM01]", "Did you mean 'owasp_llm'?"),
        ("soc2: [CC1]", "There are: owasp_llm, "),
    ],
)
def test_lint_names_the_nearest_control(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("owasp_llm: [LLM01]", written), "utf-8")
    (problem,) = examine(tmp_path).problems
    assert problem.rule == "unknown-control"
    assert said in problem.hint
