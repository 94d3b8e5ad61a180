"""What buttons on cases do: each hands one decision to a service and says how it went.

A lease token lives in the browser tab's own state: it is no session, only the proof of who holds a claim here.
"""

from __future__ import annotations

import streamlit as st

from app import session, words
from governance.domain.people import Permission
from governance.domain.review import CaseState, ReasonCode, VerdictOutcome
from governance.errors import Conflict, GovernanceError
from governance.store.queries import Systems, cases, micros
from governance.store.queries.cases import CaseFilter, CaseRow


def lease(case_id: int) -> str:
    """The token by which this tab holds the case, or ""."""
    return str(st.session_state.get(f"lease-{case_id}", ""))


def _hold(case_id: int, token: str) -> None:
    st.session_state[f"lease-{case_id}"] = token


def let_go(case_id: int) -> None:
    """Forgets the token: this tab no longer holds the case."""
    st.session_state.pop(f"lease-{case_id}", None)


def next_case() -> CaseRow | None:
    """What `go_on` would claim, as the queue shows it."""
    try:
        found = session.application().review.next_case(session.actor())
    except GovernanceError:
        return None
    return session.read(cases.find, found.id) if found else None


def go_on() -> None:
    """Claims the next case and opens it; back to the queue when nothing waits."""
    claim = session.attempt(lambda: session.application().review.claim_next(session.begin()))
    if claim is not None:
        _hold(claim.case.id, claim.lease_token)
        st.switch_page("views/case.py", query_params={"id": str(claim.case.id)})
    if "_told" not in st.session_state:
        session.tell("Nothing else waits for you.")
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


def skip(case: CaseRow, visible: Systems) -> None:
    """Gives the case back and takes the one after it in the order of the queue; the queue's page when there is none."""
    if not release(case.id):
        st.rerun()
    review = session.application().review
    who = session.begin()
    after: cases.After | None = (case.severity, micros(case.due_at), case.id)
    while after is not None:
        rows, after = session.read(cases.page, CaseFilter(systems=visible), after=after, limit=50)
        for row in rows:
            if row.state not in (CaseState.OPEN, CaseState.ESCALATED):
                continue
            wanted = Permission.DECIDE_ESCALATION if row.escalated else Permission.CLAIM_CASE
            if not session.may(wanted, row.system, own_work=row.escalated and row.escalated_by == who.id):
                continue
            try:
                claimed = review.claim(who, row.id)
            except Conflict:
                continue
            _hold(row.id, claimed.lease_token)
            st.switch_page("views/case.py", query_params={"id": str(row.id)})
    session.tell("That was the last case of the queue.")
    st.switch_page("views/queue.py")


def harmful(policy: str) -> bool:
    """Whether a policy is about words that may hurt to read: what it flags stays folded until asked for."""
    return any(word in words.HARMFUL for word in policy.replace("-", ".").replace("_", ".").split("."))
