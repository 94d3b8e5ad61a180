"""The OSCAL document as compliance-trestle reads it, in an environment of its own."""

from __future__ import annotations

import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from governance.policy.controls import catalogue
from governance.policy.load import load
from governance.services.policies.controls.coverage import Hits, Period, Report, cover
from governance.services.policies.controls.report import ReportForm, rendered
from tests import environments
from tests.environments import ROOT

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PERIOD = Period(since=date(2026, 11, 1), until=date(2026, 12, 1))
# All of its validators: duplicates, references, links, roles; a document that breaks the schema cannot be read at all.
VALIDATE = """
import argparse, pathlib, sys
import trestle.core.validator_factory as factory
from trestle.oscal.component import ComponentDefinition
validator = factory.validator_factory.get(argparse.Namespace(mode="all"))
for name in sys.argv[1:]:
    read = ComponentDefinition.oscal_read(pathlib.Path(name))
    if read is None or not validator.model_is_valid(read, True):
        sys.exit(name)
"""


@pytest.fixture(scope="session")
def trestle_python() -> Path:
    """The interpreter of trestle's environment."""
    return environments.OSCAL.python("compliance-trestle")


def report(*, figures: bool, nothing: bool = False) -> Report:
    policies = load(ROOT / "policies")
    frameworks = [] if nothing else list(catalogue().values())
    hits = {one.id: Hits(fired=3, violations=1, last_at=NOW) for one in policies.policies} if figures else None
    period = PERIOD if figures else None
    return Report(
        policy_set=policies.digest,
        in_force=figures,
        made_at=NOW,
        period=period,
        systems=("support-bot",),
        calls=7 if figures else None,
        tested=False,
        frameworks=cover(policies, frameworks, hits=hits, period=period, trials=None),
    )


def test_trestle_finds_nothing_wrong_and_does_find_what_is(trestle_python: Path, tmp_path: Path) -> None:
    def validated(*names: str) -> subprocess.CompletedProcess[str]:
        files = [str(tmp_path / name) for name in names]
        return subprocess.run([trestle_python, "-c", VALIDATE, *files], capture_output=True, text=True, check=False)

    whole = rendered(report(figures=True), ReportForm.OSCAL)
    (tmp_path / "whole.json").write_bytes(whole)
    (tmp_path / "files.json").write_bytes(rendered(report(figures=False), ReportForm.OSCAL))
    (tmp_path / "nothing.json").write_bytes(rendered(report(figures=True, nothing=True), ReportForm.OSCAL))
    good = validated("whole.json", "files.json", "nothing.json")
    assert good.returncode == 0, good.stderr
    (tmp_path / "wrong.json").write_bytes(whole.replace(b'"control-id": "article-15"', b'"control-id": "15"'))
    assert validated("wrong.json").returncode != 0
