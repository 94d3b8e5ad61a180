"""What buttons on cases do: each hands one decision to a service and says how it went.

A lease token lives in the browser tab's own state: it is no session, only the proof of who holds a claim here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.errors import GovernanceError
from governance.services.review.read import CaseRow

SKIPPED = timedelta(hours=1)
"""How long a skipped case is left to others, unless nothing else waits."""


def lease(case_id: int) -> str:
    """The token by which this tab holds the case, or ""."""
    return str(st.session_state.get(f"lease-{case_id}", ""))


def _hold(case_id: int, token: str) -> None:
    _passed().pop(case_id, None)
    st.session_state[f"lease-{case_id}"] = token


def let_go(case_id: int) -> None:
    """Forgets the token: this tab no longer holds the case."""
    st.session_state.pop(f"lease-{case_id}", None)


def next_case() -> CaseRow | None:
    """What `start` would claim, as the queue shows it."""
    review, passed = session.application().review, _now_passed()
    try:
        found = review.next_case(session.actor(), passed=passed)
        if found is None and passed:
            found = review.next_case(session.actor())
        return session.application().read_cases.row(session.actor(), found.id) if found else None
    except GovernanceError:
        return None


def start() -> None:
    """Begins with the next case. Where only cases are left that the person skipped, they come round again."""
    if session.may(Permission.CLAIM_CASE) and not _waits(_now_passed()):
        _passed().clear()
    go_on()


def _waits(passed: frozenset[int]) -> bool:
    try:
        return session.application().review.next_case(session.actor(), passed=passed) is not None
    except GovernanceError:
        return False


def go_on() -> None:
    """Claims the next case that the person did not skip, and opens it; back to the queue when nothing waits."""
    passed = _now_passed()
    claim = session.attempt(lambda: session.application().review.claim_next(session.begin(), passed=passed))
    if claim is not None:
        _hold(claim.case.id, claim.lease_token)
        st.switch_page("views/case.py", query_params={"id": str(claim.case.id)})
    if "_told" not in st.session_state:
        left = bool(passed) and _waits(frozenset())
        session.tell("Only cases that you skipped are left." if left else "Nothing else waits for you.")
    st.switch_page("views/queue.py")


def claim(case_id: int) -> None:
    """Takes this case; a conflict says who holds it."""
    taken = session.attempt(lambda: session.application().review.claim(session.begin(), case_id))
    if taken is not None:
        _hold(case_id, taken.lease_token)


def renew(case_id: int) -> None:
    session.attempt(lambda: session.application().review.renew(session.begin(), case_id, lease(case_id)))


def release(case_id: int) -> bool:
    """Gives the case back; True when it is free again."""
    try:
        session.application().review.release(session.begin(), case_id, lease(case_id))
    except GovernanceError as error:
        session.complain(error)
        return False
    let_go(case_id)
    return True


def decide(case_id: int, outcome: VerdictOutcome, reason: ReasonCode, note: str) -> bool:
    """Gives the verdict; True when it stands (or waits for a second person)."""
    review = session.application().review
    try:
        review.decide(session.begin(), case_id, lease(case_id), outcome=outcome, reason=reason, note=note)
    except GovernanceError as error:
        session.complain(error)
        return False
    let_go(case_id)
    session.tell(f"Case {case_id}: {words.OUTCOME[outcome].lower()}. Saved.")
    return True


def escalate(case_id: int, note: str) -> bool:
    try:
        session.application().review.escalate(session.begin(), case_id, lease(case_id), note)
    except GovernanceError as error:
        session.complain(error)
        return False
    let_go(case_id)
    session.tell(f"Case {case_id} is with the senior reviewers now.")
    return True


def approve(case_id: int) -> None:
    if session.attempt(lambda: session.application().review.approve(session.begin(), case_id)) is not None:
        session.tell(f"Case {case_id}: the verdict stands.")


def give_back(case_id: int, note: str) -> bool:
    """Returns a severe verdict to the reviewers; True when done."""
    try:
        session.application().review.return_verdict(session.begin(), case_id, note)
    except GovernanceError as error:
        session.complain(error)
        return False
    session.tell(f"Case {case_id} is open again.")
    return True


def skip(case_id: int) -> None:
    """Gives the case back, to be taken by others or later, and goes on to the next one."""
    if not release(case_id):
        st.rerun()
    _passed()[case_id] = session.application().clock() + SKIPPED
    go_on()


def skipped(case_id: int) -> bool:
    """Whether the person skipped this case a while ago."""
    return case_id in _now_passed()


@st.cache_resource(show_spinner=False)
def _all_passed() -> dict[tuple[str, int], dict[int, datetime]]:
    """Who skipped which cases, and until when: by database and person, in this process."""
    return {}


def _passed() -> dict[int, datetime]:
    return _all_passed().setdefault((session.source(), session.actor().id), {})


def _now_passed() -> frozenset[int]:
    now, mine = session.application().clock(), _passed()
    for case_id in [case_id for case_id, until in mine.items() if until <= now]:
        mine.pop(case_id, None)
    return frozenset(mine)
