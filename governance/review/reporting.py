"""What became of a user's report, as far as its case tells."""

from __future__ import annotations

from governance.domain.reports import ReportState
from governance.domain.review import CaseState, VerdictOutcome


def state_of(case: CaseState, outcome: VerdictOutcome | None) -> ReportState:
    """The state of a report whose case is in this state; `outcome` is the standing verdict's."""
    if case is CaseState.DECIDED:
        return ReportState.CONFIRMED if outcome is VerdictOutcome.VIOLATION else ReportState.NOT_CONFIRMED
    return ReportState.RECEIVED if case is CaseState.OPEN else ReportState.IN_REVIEW
