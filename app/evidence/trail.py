"""Audit events as sentences with actors. An event carries references; names are looked up, reasons come from rows.

The sentences hold our own words and people's names; whoever shows them in a list uses `components.rows` (text only).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from app.shell import words
from governance.domain.events import EventKind as E
from governance.domain.people import Permission
from governance.services.authorise import WORDS
from governance.services.evidence.read import EventRow

# What the pills on the audit page stand for.
GROUPS: dict[str, tuple[E, ...]] = {
    "Everything": (),
    "Reveals": (E.CONTENT_REVEALED,),
    "Verdicts": (
        E.CASE_CLAIMED,
        E.CASE_RELEASED,
        E.CASE_ESCALATED,
        E.VERDICT_GIVEN,
        E.VERDICT_APPROVED,
        E.VERDICT_RETURNED,
    ),
    "Access": (
        E.SIGN_IN,
        E.SIGN_IN_FAILED,
        E.SIGN_OUT,
        E.KEY_CREATED,
        E.KEY_REVOKED,
        E.PERSON_ADDED,
        E.PERSON_DISABLED,
        E.PASSWORD_CHANGED,
        E.ROLES_CHANGED,
    ),
    "Reading": (
        E.ACCESS_OPENED,
        E.ACCESS_SEARCHED,
        E.AUDIT_READ,
        E.CONTENT_REVEALED,
        E.EXPORT_MADE,
        E.ACCESS_REVIEWED,
    ),
    "Jobs": (E.JOB_RETRIED, E.JOB_CANCELLED),
    "Policies": (
        E.POLICY_SET_PROPOSED,
        E.POLICY_SET_APPROVED,
        E.POLICY_SET_REJECTED,
        E.POLICY_SET_SHADOWED,
        E.POLICY_SET_ENFORCED,
        E.POLICY_SET_RETIRED,
        E.POLICY_SET_ROLLED_BACK,
    ),
    "Privacy": (
        E.ERASURE_REQUESTED,
        E.ERASURE_APPROVED,
        E.ERASURE_REJECTED,
        E.CONTENT_ERASED,
        E.HOLD_PLACED,
        E.HOLD_RELEASED,
        E.RETENTION_CHANGED,
        E.SUBJECT_EXPORTED,
        E.KEYS_ROTATED,
    ),
    "Exports": (
        E.EXPORT_BEGUN,
        E.EXPORT_MADE,
        E.CONTROLS_REPORTED,
        E.AUDIT_VERIFIED,
        E.FINDING_ACKNOWLEDGED,
    ),
    "Refused": (E.ACTION_REFUSED, E.SIGN_IN_FAILED),
    "Calls": (E.CALL_RECORDED, E.CALL_CONTENT_ADDED, E.CALL_CONFLICT, E.DECISION_MADE),
}

KIND: dict[str, str] = {
    E.CALL_RECORDED: "Call",
    E.CALL_CONTENT_ADDED: "Call",
    E.CALL_CONFLICT: "Conflict",
    E.DECISION_MADE: "Decision",
    E.CASE_OPENED: "Case",
    E.CASE_CLAIMED: "Claim",
    E.CASE_RELEASED: "Release",
    E.CASE_ESCALATED: "Escalation",
    E.VERDICT_GIVEN: "Verdict",
    E.VERDICT_APPROVED: "Approval",
    E.VERDICT_RETURNED: "Return",
    E.REPORT_RECEIVED: "Report",
    E.CONTENT_REVEALED: "Reveal",
    E.SIGN_IN: "Sign-in",
    E.SIGN_IN_FAILED: "Refused",
    E.SIGN_OUT: "Sign-out",
    E.KEY_CREATED: "Key",
    E.KEY_REVOKED: "Key",
    E.PERSON_ADDED: "Person",
    E.PERSON_DISABLED: "Person",
    E.PASSWORD_CHANGED: "Password",
    E.ROLES_CHANGED: "Roles",
    E.POLICY_SET_LOADED: "Policies",
    E.POLICY_SET_PROPOSED: "Proposal",
    E.POLICY_SET_APPROVED: "Approval",
    E.POLICY_SET_REJECTED: "Rejection",
    E.POLICY_SET_SHADOWED: "Shadow",
    E.POLICY_SET_ENFORCED: "Policies",
    E.POLICY_SET_RETIRED: "Policies",
    E.POLICY_SET_ROLLED_BACK: "Rollback",
    E.EXPORT_MADE: "Export",
    E.AUDIT_READ: "Look-up",
    E.AUDIT_VERIFIED: "Verified",
    E.DATABASE_RESTORED: "Restore",
    E.JOB_RETRIED: "Job",
    E.JOB_CANCELLED: "Job",
    E.ACTION_REFUSED: "Refused",
    E.ERASURE_REQUESTED: "Erasure",
    E.ERASURE_APPROVED: "Approval",
    E.ERASURE_REJECTED: "Rejection",
    E.CONTENT_ERASED: "Erasure",
    E.HOLD_PLACED: "Hold",
    E.HOLD_RELEASED: "Hold",
    E.RETENTION_CHANGED: "Retention",
    E.KEYS_ROTATED: "Keys",
    E.SUBJECT_EXPORTED: "Export",
    E.FINDING_ACKNOWLEDGED: "Finding",
    E.ACCESS_OPENED: "Opened",
    E.ACCESS_SEARCHED: "Look-up",
    E.ACCESS_REVIEWED: "Review",
    E.CONTROLS_REPORTED: "Report",
    E.LOG_UPGRADED: "Upgrade",
    E.EXPORT_BEGUN: "Export",
}


def people(events: Iterable[EventRow]) -> set[int]:
    """The people to whom events refer."""
    references = {reference.partition(":") for event in events for reference in (event.actor, event.subject)}
    return {int(number) for kind, _, number in references if kind == "person" and number.isdecimal()}


def who(actor: str, names: Mapping[int, str], operator: str = "") -> str:
    """'Dana Okafor', 'An application', 'root at the command line' or 'The console' for an actor's reference; `operator`
    is the operating system's account that the event names."""
    kind, _, number = actor.partition(":")
    if kind == "person":
        return names.get(int(number or 0), "Somebody")
    if operator:
        return f"{words.name(operator, 60)} at the command line"
    return "An application" if kind == "key" else "The console"


def about(subject: str, names: Mapping[int, str]) -> str:
    """'Case 214', 'A call', a person's name: what an event is about, for a list."""
    kind, _, number = subject.partition(":")
    if kind == "case":
        return f"Case {number}"
    if kind == "person":
        return names.get(int(number or 0), "Somebody")
    return {
        "call": "Call",
        "key": f"Key {number}",
        "job": f"Job {number}",
        "report": "Report",
        "policy_set": "Policies",
        "decision": "Decision",
        "export": "Export",
        "finding": f"Finding {number}",
        "calls": "Calls",
        "cases": "Cases",
        "reports": "Reports",
        "review": "Access review",
    }.get(kind, "Log" if not subject else words.plain(kind))


def sentence(
    kind: str,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    names: Mapping[int, str],
    *,
    reason: str = "",
    titles: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """What happened, in one sentence. `reason` is the free text that a row keeps beside the event (a reveal's);
    `titles` say what cases are about, by number."""
    by, case = who(actor, names, str(data.get("operator") or "")), _case(subject, data)
    person = about(subject, names)
    title = titles.get(case_number(subject, data) or 0, "")
    of = f" ({title})" if title else ""
    match kind:
        case E.CALL_RECORDED:
            return "A call was recorded"
        case E.CALL_CONTENT_ADDED:
            return "Content of a call arrived later and was added"
        case E.CALL_CONFLICT:
            return "A call arrived again with other content; both are kept"
        case E.DECISION_MADE:
            action = words.ACTION.get(str(data.get("action", "")), "Decided").lower()
            opened = f", case {data['case']} opened{of}" if data.get("case") else ""
            return f"A call could not be checked{opened}" if data.get("failure") else f"A call was {action}{opened}"
        case E.CASE_OPENED:
            return f"{case} was opened" + (f": {title}" if title else "")
        case E.CASE_CLAIMED:
            return f"{by} claimed {_lower(case)}{of}"
        case E.CASE_RELEASED:
            return f"{by} gave {_lower(case)} back{of}"
        case E.CASE_ESCALATED:
            return f"{by} escalated {_lower(case)}{of}"
        case E.VERDICT_GIVEN:
            outcome = words.OUTCOME.get(str(data.get("outcome", "")), "decided").lower()
            waits = "" if data.get("final", True) else "; a second person must approve"
            reason_given = words.plain(str(data.get("reason", ""))).lower()
            return f"{by} decided {_lower(case)} as {outcome} ({reason_given}){waits}"
        case E.VERDICT_APPROVED:
            return f"{by} approved the verdict on {_lower(case)}{of}"
        case E.VERDICT_RETURNED:
            return f"{by} returned the verdict on {_lower(case)}{of}"
        case E.REPORT_RECEIVED:
            return f"{by} reported an answer as wrong" + (f"; see case {data['case']}" if data.get("case") else "")
        case E.CONTENT_REVEALED:
            what = f"case {data['case']}" if data.get("case") else "a call"
            return f"{by} revealed the original text of {what}" + (f": “{reason}”" if reason else "")
        case E.SIGN_IN:
            return f"{by} signed in"
        case E.SIGN_IN_FAILED:
            locked = "; the account waits 15 minutes" if data.get("locked") else ""
            return f"A sign-in{' as ' + person if subject else ''} was refused{locked}"
        case E.SIGN_OUT:
            return f"{by} signed out"
        case E.KEY_CREATED:
            scopes = ", ".join(words.SCOPE.get(str(scope), str(scope)) for scope in data.get("scopes", ()))
            return f"{by} made API key {_number(subject)}" + (f" to {scopes}" if scopes else "")
        case E.KEY_REVOKED:
            return f"{by} revoked API key {_number(subject)}"
        case E.PERSON_ADDED:
            return f"{by} added {person}"
        case E.PERSON_DISABLED:
            return f"{by} disabled {person}"
        case E.PASSWORD_CHANGED:
            return f"{by} changed their password" if actor == subject else f"{by} gave {person} a new password"
        case E.ROLES_CHANGED:
            return f"{by} changed the roles of {person}{_roles(data)}"
        case E.POLICY_SET_LOADED:
            count = data.get("policies")
            return "A new set of policies was kept" + (
                f" ({words.count(count, 'policy', 'policies')})" if count else ""
            )
        case E.POLICY_SET_PROPOSED:
            return f"{by} proposed policy change {data.get('rollout')}{_changes(data)}"
        case E.POLICY_SET_APPROVED:
            return f"{by} approved policy change {data.get('rollout')}"
        case E.POLICY_SET_REJECTED:
            return f"{by} turned policy change {data.get('rollout')} down"
        case E.POLICY_SET_SHADOWED:
            return f"{by} let policy change {data.get('rollout')} decide in shadow"
        case E.POLICY_SET_ENFORCED:
            if data.get("first"):
                return "The policy files came into force, as the first"
            return f"{by} put policy change {data.get('rollout')} into force{_changes(data)}"
        case E.POLICY_SET_RETIRED:
            return f"{by} retired policy change {data.get('rollout')}"
        case E.POLICY_SET_ROLLED_BACK:
            return f"{by} restored the policies of change {data.get('restores')}"
        case E.EXPORT_MADE:
            size = next((data[key] for key in ("leaves", "entries", "events", "records") if data.get(key)), None)
            return f"{by} exported {words.count(int(size), 'entry', 'entries')}" if size else f"{by} exported evidence"
        case E.CONTROLS_REPORTED:
            return f"{by} took a report of controls away ({str(data.get('form', '')).upper()})"
        case E.EXPORT_BEGUN:
            return f"{by} began to export evidence"
        case E.LOG_UPGRADED:
            return "The log was upgraded: from here on each entry has a number within its stream"
        case E.AUDIT_READ:
            return f"{by} looked up entries of the audit trail{_by(data)}"
        case E.ACCESS_OPENED:
            return f"{by} opened {subject.replace(':', ' ')}{of}"
        case E.ACCESS_SEARCHED:
            return f"{by} looked through {words.plain(subject).lower()}{_by(data)}"
        case E.ACCESS_REVIEWED:
            return f"{by} signed the access review of {_number(subject)}"
        case E.AUDIT_VERIFIED:
            good = data.get("ok", data.get("valid", True))
            if data.get("job"):
                by = f"Job {data['job']}"
            return f"{by} verified the log: " + ("nothing was altered" if good else "verification failed")
        case E.DATABASE_RESTORED:
            size = int(data.get("events") or 0)
            return f"{by} restored a backup of {words.count(size, 'entry', 'entries')}"
        case E.JOB_RETRIED:
            return f"{by} had job {_number(subject)} run again"
        case E.JOB_CANCELLED:
            return f"{by} cancelled job {_number(subject)}"
        case E.ERASURE_REQUESTED:
            return f"{by} asked that {_erased(data)} be erased (erasure {_number(subject)})"
        case E.ERASURE_APPROVED:
            return f"{by} approved erasure {_number(subject)}"
        case E.ERASURE_REJECTED:
            return f"{by} turned erasure {_number(subject)} down"
        case E.CONTENT_ERASED:
            count = words.count(len(data.get("calls") or ()), "call")
            why = ", kept as long as its rule says" if data.get("reason") == "retention" else ""
            return f"Content of {count} was erased (erasure {data.get('erasure')}){why}"
        case E.HOLD_PLACED:
            return f"{by} placed legal hold {_number(subject)} on {_erased(data)}"
        case E.HOLD_RELEASED:
            return f"{by} released legal hold {_number(subject)} on {_erased(data)}"
        case E.RETENTION_CHANGED:
            days = data.get("days")
            rule = words.count(int(days), "day") if days else "no end"
            return f"{by} changed how long {words.plain(str(data.get('class', ''))).lower()} is kept: {rule}"
        case E.KEYS_ROTATED:
            return f"{by} rotated the key-encryption key"
        case E.SUBJECT_EXPORTED:
            return f"{by} exported the data of an end user"
        case E.FINDING_ACKNOWLEDGED:
            return f"{by} answered for finding {_number(subject)} about the log"
        case E.ACTION_REFUSED:
            wanted = str(data.get("wanted", ""))
            place = f" ({about(subject, names).lower()})" if subject else ""
            key = _refused_key(data)
            by = "Somebody" if key and not actor.startswith("key:") else by
            if not key and wanted in WORDS:
                return f"{by} was not allowed to {WORDS[Permission(wanted)]}{place}{_times(data)}"
            what = key or words.plain(wanted).lower() or "an action"
            return f"{by} was refused: {what}{place}{_times(data)}"
    return f"{by}: {words.plain(kind)}"


def _erased(data: Mapping[str, Any]) -> str:
    """'conversation 17' or 'an end user', as erasures and holds name it."""
    what = str(data.get("what", ""))
    number = data.get(what)
    return "an end user" if what == "subject" else f"{words.plain(what).lower()} {number or ''}".strip()


_KEYS_REFUSED = {
    "malformed": "a key that is none of this product",
    "unknown": "a key that is not valid",
    "revoked": "a revoked key",
    "expired": "an expired key",
}


def _refused_key(data: Mapping[str, Any]) -> str:
    """'a revoked key', where a key was refused for what it is; "" where for what it may not."""
    reasons = data.get("reasons") or {}
    return " and ".join(word for reason, word in _KEYS_REFUSED.items() if reason in reasons)


def _times(data: Mapping[str, Any]) -> str:
    count = int(data.get("count") or 1)
    return f", {count:,} times" if count > 1 else ""


def _by(data: Mapping[str, Any]) -> str:
    """', by system and words': the filters that were used, never what was looked for."""
    used = [words.plain(str(one)).lower() for one in data.get("by") or ()]
    return f", by {', '.join(used)}" if used else ""


def _changes(data: Mapping[str, Any]) -> str:
    """': 3 changes' as the event counts them."""
    number = len(data.get("changes") or ()) + int(data.get("left_out") or 0)
    return f": {words.count(number, 'change', 'changes')}" if number else ""


def case_number(subject: str, data: Mapping[str, Any]) -> int | None:
    """The case that an event names, as its subject or beside it."""
    kind, _, number = subject.partition(":")
    found = number if kind == "case" else str(data.get("case") or "")
    return int(found) if found.isdecimal() else None


def _case(subject: str, data: Mapping[str, Any]) -> str:
    number = case_number(subject, data)
    return f"Case {number}" if number else "A case"


def _lower(case: str) -> str:
    return case[:1].lower() + case[1:]


def _number(subject: str) -> str:
    return subject.partition(":")[2]


def _roles(data: Mapping[str, Any]) -> str:
    """': now Reviewer' from what the event says was granted and withdrawn."""

    def spoken(values: Any) -> str:
        names = [str(value).partition("@") for value in values]
        return ", ".join(words.ROLE.get(role, role) + (f" for {system}" if system else "") for role, _, system in names)

    given = data.get("granted") or data.get("added") or ()
    taken = data.get("withdrawn") or data.get("removed") or data.get("revoked") or ()
    parts = ([f"given {spoken(given)}"] if given else []) + ([f"taken {spoken(taken)}"] if taken else [])
    return f": {'; '.join(parts)}" if parts else ""
