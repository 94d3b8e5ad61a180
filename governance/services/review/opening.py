"""Opens the case that a decision asks for, or joins the one that shows the same incident."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from governance.domain.decisions import Decision, PolicyScope
from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE
from governance.errors import Conflict
from governance.review.routing import CaseDraft, draft_for_decision
from governance.services.review.ports import Transaction

NO_EVIDENCE: Mapping[str, int] = MappingProxyType({})


_ATTEMPTS = 5


def open_for_decision(
    tx: Transaction,
    decision: Decision,
    *,
    decision_id: int,
    call_id: int | None,
    system: str,
    excerpt: str,
    at: datetime,
    evidence: Mapping[str, int] = NO_EVIDENCE,
) -> int | None:
    """Opens the case that a decision asks for, in the transaction that stores the decision; gives its id, or None.

    One incident is one case: where the same policy fired on the same message before (`evidence`: policy to message id;
    every later turn repeats the conversation), or in another step of the same trace whose case is undecided (for a
    policy about sessions: of the same session), the call is added to that case.

    A call has at most one undecided case of flagged kind. A further decision (more content came, a new policy set)
    joins it and can only make it more severe; the same decision again changes nothing. `excerpt` is redacted text;
    `call_id` is None for an inline check of what is no call yet.
    """
    draft = draft_for_decision(decision, excerpt)
    if draft is None:
        return None
    message = evidence.get(draft.policy)
    in_session = any(
        outcome.policy == draft.policy and outcome.scope is PolicyScope.SESSION for outcome in decision.policies
    )
    tx.cases.take_turns()
    if call_id is not None and draft.policy and tx.cases.open_for(call_id, draft.kind) is None:
        same = tx.cases.same_incident(draft.policy, call_id, message, in_session=in_session)
        if same is not None:
            if tx.cases.add_call(same, call_id):
                rows = tx.rows(case_call=[(call_id, same)])
                tx.append(
                    _event(EventKind.CASE_JOINED, same, system, at, {"call": call_id, "decision": decision_id, **rows})
                )
            return same
    return _open_or_join(tx, draft, decision_id=decision_id, call_id=call_id, evidence=message, system=system, at=at)


def _open_or_join(
    tx: Transaction,
    draft: CaseDraft,
    *,
    decision_id: int,
    call_id: int | None,
    evidence: int | None,
    system: str,
    at: datetime,
) -> int:
    known = tx.cases.of_decision(decision_id, call_id) if call_id is not None else None
    if known is not None:
        return known
    for _ in range(_ATTEMPTS):
        opened = tx.cases.open(
            draft, system=system, call_id=call_id, decision_id=decision_id, reports=0, at=at, evidence=evidence
        )
        if opened is not None:
            data: dict[str, Json] = {
                "decision": decision_id,
                "queue": draft.queue,
                "severity": str(draft.severity),
                "policy": draft.policy,
            }
            if call_id is not None:
                data["call"] = call_id
            tx.append(_event(EventKind.CASE_OPENED, opened, system, at, data | tx.rows(case=[opened])))
            return opened
        assert call_id is not None, "only a call's cases can collide"
        standing = tx.cases.open_for(call_id, draft.kind)
        if standing is not None:
            due = min(standing.case.due_at, draft.due(at))
            number = standing.case.id
            if tx.cases.join(number, draft, due_at=due, decision_id=decision_id):
                if draft.severity.rank > standing.case.severity.rank:
                    data = {"call": call_id, "decision": decision_id, **tx.rows(case=[number])}
                    tx.append(_event(EventKind.CASE_JOINED, number, system, at, data))
                return number
    raise Conflict("The case of this call is changing too fast.", advice="Try again.")


def _event(kind: EventKind, case: int, system: str, at: datetime, data: dict[str, Json]) -> Event:
    return Event(kind=kind, at=at, actor=SERVICE.reference, subject=f"case:{case}", system=system, data=data)
