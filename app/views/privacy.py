"""What is to be erased, what must not be, and how long what is kept? Requests, approvals, legal holds, retention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from app.components import ui
from app.components.marked import pairs
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.privacy import Erasable, Erasure, ErasureState, Holdable, LegalHold, RetentionClass
from governance.errors import GovernanceError
from governance.privacy.retention import FLOORS
from governance.services.authorise import same_person

PAGE = 50
WHAT = {
    Erasable.CONVERSATION: "A conversation",
    Erasable.CALL: "A call",
    Erasable.SUBJECT: "An end user",
    Erasable.REPORT: "A report",
}
NAMED = {
    Erasable.CONVERSATION: "Its number (a call shows it)",
    Erasable.CALL: "Its number",
    Erasable.SUBJECT: "Their id, as the application sends it",
    Erasable.REPORT: "Its number or reference",
}
HELD = {
    Holdable.CONVERSATION: "A conversation",
    Holdable.CALL: "A call",
    Holdable.SUBJECT: "An end user",
    Holdable.REPORT: "A report",
    Holdable.CASE: "A case",
    Holdable.SYSTEM: "A system",
}
KEPT = {
    RetentionClass.CONTENT: "Prompts, answers, documents",
    RetentionClass.REPORTS: "Words of users' reports",
    RetentionClass.LOGS: "Ids of users and sessions, explanations, notes",
}
STATE = {
    ErasureState.REQUESTED: ":orange-badge[Waits for another person]",
    ErasureState.APPROVED: ":blue-badge[Under way]",
    ErasureState.DONE: ":gray-badge[Erased]",
    ErasureState.REJECTED: ":gray-badge[Rejected]",
}
EVERY_SYSTEM = "All systems"

may = session.may(Permission.HOLD_AND_ERASE, "")
if not may and not session.may(Permission.READ_AUDIT, ""):
    session.need(Permission.HOLD_AND_ERASE)
    with ui.notice(
        "This page is about all systems",
        "Your role is for some of them. Ask somebody whose role is for all of them.",
        "lock",
        whole_page=True,
    ):
        pass
    st.stop()
application = session.application()
me, now = session.actor(), session.now()
erasures = application.erase.list(me, limit=PAGE)
holds = application.hold.list(me, limit=PAGE)
rules = application.retention.rules(me)
waiting = [one for one in erasures if one.state is ErasureState.REQUESTED]
standing = [one for one in holds if one.released_at is None]


def attempt(act: Callable[[], object], said: str) -> None:
    """Does what a dialog asked for; or says why not, in the dialog."""
    try:
        act()
    except GovernanceError as error:
        st.markdown(":orange[:material/info:] **That did not happen**")
        st.text(str(error))
    else:
        session.tell(said)
        st.rerun()


@st.dialog("Ask for an erasure")
def ask() -> None:
    st.caption("Another person agrees before anything is erased. Nothing that is erased comes back.")
    spoken = {word: what for what, word in WHAT.items()}
    what = spoken[str(st.selectbox("What", list(spoken), key="erase-what"))]
    target = st.text_input(NAMED[what], key="erase-target", max_chars=200)
    reason = st.text_input("Reason", key="erase-reason", max_chars=300, help="Do not repeat what is to go")
    missing = "" if target.strip() and reason.strip() else "Say what, and why"
    if st.button("Ask", type="primary", disabled=bool(missing), help=missing or None, key="erase-go"):
        attempt(
            lambda: application.erase.request(session.begin(), what, target, reason=reason),
            "Asked. Another person must agree.",
        )


@st.dialog("Erase this?")
def approve(one: Erasure) -> None:
    st.text(named(one))
    st.text(f"Reason: {one.reason}")
    st.markdown("Its content is destroyed, and what names people in it. **This can't be taken back.**")
    if st.button("Erase", type="primary", icon=":material/delete_forever:", key=f"approve-go-{one.id}"):
        attempt(lambda: application.erase.approve(session.begin(), one.id), "Approved. A worker erases it.")


@st.dialog("Place a legal hold")
def place() -> None:
    st.caption("Nothing that it covers is erased while it stands, by nobody and by no rule.")
    spoken = {word: what for what, word in HELD.items()}
    what = spoken[str(st.selectbox("On", list(spoken), key="hold-what"))]
    target = st.text_input("Number, name or id", key="hold-target", max_chars=200)
    reason = st.text_input("Matter", key="hold-reason", max_chars=300)
    missing = "" if target.strip() and reason.strip() else "Say on what, and for which matter"
    if st.button("Place the hold", type="primary", disabled=bool(missing), help=missing or None, key="hold-go"):
        attempt(lambda: application.hold.place(session.begin(), what, target, reason=reason), "The hold stands.")


@st.dialog("Release this hold?")
def release(one: LegalHold) -> None:
    st.text(f"{HELD[one.what]}: {one.target}")
    st.caption("What is approved and waited for it is erased at once.")
    if st.button("Release", type="primary", key=f"release-go-{one.id}"):
        attempt(lambda: application.hold.release(session.begin(), one.id), "The hold is released.")


@st.dialog("Change a rule")
def change() -> None:
    spoken = {word: subject for subject, word in KEPT.items()}
    subject = spoken[str(st.selectbox("What", list(spoken), key="rule-what"))]
    systems = session.systems(Permission.HOLD_AND_ERASE)
    place = str(st.selectbox("Of", [EVERY_SYSTEM, *systems], key="rule-system"))
    days = int(st.number_input("Days after the last call", value=365, step=1, key="rule-days"))
    st.caption(f"At least {words.count(FLOORS[subject], 'day')}. A job applies the rules every night.")
    if st.button("Change the rule", type="primary", key="rule-go"):
        system = "" if place == EVERY_SYSTEM else place
        attempt(
            lambda: application.retention.set(session.begin(), subject, days, system=system), "The rule is changed."
        )


def named(one: Erasure) -> str:
    if one.what is Erasable.SUBJECT and one.erased_at is not None:
        return f"An end user: {words.count(one.conversations, 'conversation')}"
    return f"{WHAT[one.what]}: {one.target}" + (f" of {one.system}" if one.system else "")


def went(one: Erasure) -> str:
    parts = [f"asked for by {words.name(one.requested_name)} {words.moment(session.local(one.requested_at), now)}"]
    if one.settled_at is not None:
        verb = "rejected" if one.state is ErasureState.REJECTED else "approved"
        parts.append(f"{verb} by {words.name(one.settled_name)}")
    if one.erased_at is not None:
        parts.append(f"{words.count(one.calls, 'call')} erased {words.moment(session.local(one.erased_at), now)}")
        rewritten = "the database's files were rewritten since" if one.purged_at else "its files were not rewritten yet"
        parts.append(rewritten)
    return " · ".join(parts)


with ui.header(
    f"{words.count(len(waiting), 'erasure waits', 'erasures wait')} for another person"
    if waiting
    else "No erasure waits",
    f"{words.count(len(standing), 'legal hold stands', 'legal holds stand')} · every act here is in the audit trail",
):
    pass
session.told()

with ui.panel("Erasures", f"the latest {PAGE}" if len(erasures) == PAGE else ""):
    if not erasures:
        st.caption("Nobody has asked for an erasure yet.")
    for one in erasures:
        with st.container(border=True, gap="xxsmall"):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(f"**Erasure {one.id}** &ensp;{STATE[one.state]}", width="content")
                if may and one.state is ErasureState.REQUESTED:
                    own = same_person(me, one.requested_by, one.requested_name)
                    with st.container(horizontal=True, width="content"):
                        if st.button(
                            "Approve",
                            icon=":material/done_all:",
                            key=f"approve-{one.id}",
                            disabled=own,
                            help="You asked for it: another person must agree" if own else None,
                        ):
                            approve(one)
                        if st.button("Take back" if own else "Reject", type="tertiary", key=f"reject-{one.id}"):
                            session.attempt(partial(application.erase.reject, session.begin(), one.id))
                            st.rerun()
            pairs({"What": named(one), "Reason": one.reason}, key=f"erasure-{one.id}")
            st.caption(went(one))
    if may and st.button("Ask for an erasure", icon=":material/delete_sweep:", type="primary"):
        ask()

with ui.panel("Legal holds", words.count(len(standing), "stands", "stand")):
    if not holds:
        st.caption("No hold was ever placed.")
    for held in holds:
        with st.container(border=True, gap="xxsmall"):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                tag = ":gray-badge[Released]" if held.released_at else ":orange-badge[Stands]"
                st.markdown(f"**Legal hold {held.id}** &ensp;{tag}", width="content")
                if may and held.released_at is None and st.button("Release", type="tertiary", key=f"release-{held.id}"):
                    release(held)
            pairs({"On": f"{HELD[held.what]}: {held.target}", "Matter": held.reason}, key=f"hold-{held.id}")
            since = words.moment(session.local(held.placed_at), now)
            st.caption(f"placed by {words.name(held.placed_name)} {since}")
    if may and st.button("Place a legal hold", icon=":material/lock:", key="place"):
        place()

with ui.panel("How long things are kept"):
    if not rules:
        st.caption("No rule: everything is kept until somebody erases it.")
    for rule in rules:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            of = words.name(rule.system) if rule.system else "all systems without a rule of their own"
            st.markdown(f"**{KEPT[rule.subject]}** of {of}: {words.count(rule.days, 'day')}", width="content")
            if may and st.button("Remove", type="tertiary", key=f"remove-{rule.subject}-{rule.system}"):
                session.attempt(
                    partial(application.retention.remove, session.begin(), rule.subject, system=rule.system)
                )
                st.rerun()
    if may and st.button("Change a rule", icon=":material/event:"):
        change()
