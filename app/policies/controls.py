"""Controls of outside frameworks as the console shows them: the report, and its files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, timedelta

import streamlit as st

from app.policies import tests as policy_tests
from app.shell import session
from governance.domain.people import Actor, Permission, Systems
from governance.errors import Refused
from governance.policy.controls import Framework, catalogue
from governance.policy.policy import PolicySet
from governance.services.policies.controls.coverage import ControlCoverage, GapKind, Report
from governance.services.policies.controls.report import Asked, ReportForm

PERIODS = {"7 days": 7, "Month": 30, "Quarter": 91, "Year": 365}
FORMS = {"Table (CSV)": ReportForm.CSV, "JSON": ReportForm.JSON, "OSCAL": ReportForm.OSCAL}
GAP = {
    GapKind.NO_POLICY: "No policy",
    GapKind.NOT_ENFORCED: "Not enforced",
    GapKind.NO_TESTS: "No tests",
    GapKind.TESTS_FAIL: "Tests fail",
    GapKind.NO_HITS: "No hits",
    GapKind.NO_VERDICTS: "No verdicts",
}
SERIOUS = (GapKind.NO_POLICY, GapKind.TESTS_FAIL)


def frameworks() -> dict[str, Framework]:
    """All frameworks by the label that the page shows."""
    return {framework.label: framework for framework in catalogue().values()}


def report(policy_set: PolicySet, days: int) -> Report:
    """The report of the last days, at most 15 seconds old; figures of the systems that the person may see."""
    return _report(
        session.source(),
        session.scope(Permission.READ_CASES),
        policy_set.digest,
        session.application().clock().astimezone(UTC).date(),
        days,
        session.actor(),
        policy_set,
    )


@st.cache_resource(ttl=15, show_spinner=False, max_entries=32)
def _report(
    source: str, scope: Systems, digest: str, today: date, days: int, _who: Actor, _policy_set: PolicySet
) -> Report:
    return session.application().controls.report(
        _who, _asked(today, days), policy_set=_policy_set, trials=policy_tests.trials_of(_policy_set)
    )


def file(policy_set: PolicySet, days: int, form: ReportForm, framework: str = "") -> Callable[[], bytes]:
    """What makes the file when its button is pressed. It asks for the session again: the page may be long drawn."""
    application, token = session.application(), str(st.user.get("session") or "")
    asked = _asked(application.clock().astimezone(UTC).date(), days, framework)
    trials = policy_tests.trials_of(policy_set)

    def make() -> bytes:
        who = application.sessions.find(token)
        if who is None or who.must_change_password:
            raise Refused("Sign in again.")
        return application.controls.file(who, asked, form, policy_set=policy_set, trials=trials)

    return make


def _asked(today: date, days: int, framework: str = "") -> Asked:
    return Asked(framework=framework, since=today - timedelta(days=days - 1), until=today + timedelta(days=1))


def attention(one: ControlCoverage) -> str:
    """The gaps of a control in a few words; "" for none."""
    return ", ".join(GAP[gap.kind] for gap in one.gaps)


def tone(said: str) -> str:
    """The colour of such words."""
    if not said:
        return ""
    return "red" if any(GAP[kind] in said for kind in SERIOUS) else "orange"


def verdicts(one: ControlCoverage) -> str:
    """'3 of 4' called a violation, or nothing where nobody decided."""
    hits = one.hits
    return f"{hits.violations} of {hits.verdicts}" if hits.verdicts else ""
