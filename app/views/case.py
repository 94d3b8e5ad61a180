"""Is this a violation? One case: the conversation, what the system did, why it was flagged, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app.calls import explained, steps
from app.calls import transcript as evidence
from app.components import ui
from app.components.marked import pairs, transcript
from app.evidence import exports, trail
from app.overview import figures
from app.review import acts
from app.shell import session, words
from governance.domain.content import PartKind, parts_of
from governance.domain.people import Permission
from governance.domain.review import CaseKind, CaseState, ReasonCode, VerdictOutcome
from governance.errors import GovernanceError
from governance.review import reasons
from governance.services.evidence.export import EvidenceFilter
from governance.services.review.read import CaseRow

session.need(Permission.READ_CASES)
me, now = session.actor(), session.now()
application = session.application()
asked = st.query_params.get("id", "")
view = application.read_cases.view(me, int(asked)) if asked.isdecimal() and len(asked) < 16 else None
if view is None:
    with ui.header("No such case, or you may not see it"):
        pass
    with ui.notice(
        "There is nothing at this address", "Check the case number, or take a case from the queue.", "search_off"
    ):
        st.page_link("views/queue.py", label="Open the queue", icon=":material/inbox:")
    st.stop()

case: CaseRow = view.row
system = case.system
live = case.state is CaseState.CLAIMED and case.lease_until is not None and case.lease_until > now
mine = live and case.held_by == me.id
token = acts.lease(case.id) if mine else ""
verdicts, notes = view.verdicts, view.notes
standing = verdicts[0] if verdicts and verdicts[0].returned_at is None else None
involved = {case.held_by, case.escalated_by, *(v.by for v in verdicts), *(v.approved_by for v in verdicts)}
involved |= {v.returned_by for v in verdicts} | {note.by for note in notes}
names = application.read_people.names(me, {number for number in involved if number is not None})


def person(number: int | None) -> str:
    return "You" if number == me.id else words.name(names.get(number or 0, "Somebody"))


sees_call = session.may(Permission.READ_CALLS, system)
call = application.read_calls.find(me, case.call_id) if sees_call and case.call_id is not None else None
if case.decision_id is not None:
    decision = application.read_calls.decision(me, case.decision_id) if sees_call else None
else:
    decision = next((one for one in call.decisions if not one.shadow), None) if call is not None else None
detail: Any = decision.detail if decision else {"policies": [], "findings": [], "failures": [], "explanation": ""}
why = evidence.fired(detail)


def standing_note() -> str:
    """How the case stands, in a few words."""
    if case.state is CaseState.DECIDED and standing is not None:
        return f"decided by {person(standing.by).lower() if standing.by == me.id else person(standing.by)}"
    if case.state is CaseState.APPROVAL:
        return "waits for a second person"
    if live and case.lease_until is not None:
        held = words.span((case.lease_until - now).total_seconds())
        return f"held by you for another {held}" if mine else f"held by {person(case.held_by)} for another {held}"
    return "escalated, waits for a senior" if case.escalated else "nobody holds it"


ACTION_BADGE = {
    "block": ":gray-badge[:material/block: Blocked by policy]",
    "redact": ":gray-badge[:material/ink_eraser: Redacted by policy]",
    "safe_default": ":gray-badge[:material/shield: Safe answer given]",
    "retry": ":gray-badge[:material/replay: Asked again]",
    "fallback": ":gray-badge[:material/alt_route: Other model used]",
}
badges = ui.severity(case.severity)
badges += (
    f" {ui.due_badge(case.due_at, now)}"
    if case.state is not CaseState.DECIDED
    else f" :gray-badge[:material/gavel: {words.OUTCOME[standing.outcome]}]"
    if standing
    else ""
)
badges += " " + ACTION_BADGE.get(decision.action if decision else "", "")
with ui.header(
    words.name(case.title, 120),
    f"Case {case.id} · {words.name(system)} · opened {words.moment(session.local(case.opened_at), now)}"
    f" · {standing_note()}",
):
    st.markdown(badges)
session.told()
if acts.lease(case.id) and not mine:
    acts.let_go(case.id)
    ended = (
        "This case is decided already."
        if case.state in (CaseState.DECIDED, CaseState.APPROVAL)
        else f"{person(case.held_by)} holds this case now."
        if live
        else "The time for this case ran out, so others may claim it again."
    )
    with st.container(border=True, gap="xxsmall"):
        st.markdown(f":orange[:material/info:] **{ended}**")
        st.caption(
            "Nothing was saved from this window since. What you wrote in the note is still there if you claim it."
        )

# What may be shown, and how

MOST_FURTHER = 20


def reveal_facts() -> dict[str, bool]:
    return {"claimed_by_actor": mine}


may_reveal = call is not None and session.may(Permission.REVEAL_CONTENT, system, **reveal_facts())
revealed = None
if call is not None and may_reveal and not st.session_state.get(f"hidden-{call.id}"):
    revealed = application.reveal.read(me, call.id)
original: dict[tuple[PartKind, int], str] | None = None
if revealed is not None:
    original = {(part.kind, part.index): part.content.text for part in parts_of(revealed.call)}

REASONS = ["Fraud check", "The redacted text is not enough to decide", "The person asked for it"]


@st.dialog("Show the original text")
def ask_to_reveal() -> None:
    minutes = application.settings.reveal_minutes
    st.markdown(
        f"You will see names, numbers and accounts for **{words.count(minutes, 'minute')}**. Your name, the reason and "
        "the time are recorded first, and the compliance officer sees them."
    )
    reason = st.selectbox("Reason", REASONS, index=None, placeholder="Choose a reason", key=f"reveal-why-{case.id}")
    note = st.text_input("Note", placeholder="What you need to find out", key=f"reveal-note-{case.id}", max_chars=200)
    if st.button(
        f"Show for {words.count(minutes, 'minute')}",
        type="primary",
        disabled=not reason,
        help=None if reason else "Choose a reason first",
        icon=":material/visibility:",
    ):
        full = f"{reason}: {note.strip()}" if note.strip() else str(reason)
        shown_call = case.call_id
        done = session.attempt(
            lambda: application.reveal.reveal(session.begin(), full, case_id=case.id, call_id=shown_call)
        )
        if done is not None:
            st.session_state.pop(f"hidden-{shown_call}", None)
        st.rerun()


@st.fragment(run_every=1)
def countdown(until: datetime, call_id: int) -> None:
    """Counts down on the page; that the text is gone afterwards is the server's doing, at each draw."""
    left = int((until - application.clock()).total_seconds())
    if left <= 0:
        st.rerun(scope="app")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(
            f":orange-badge[:material/visibility: Original text, hidden again in {left // 60}:{left % 60:02d}] "
            ":gray[Recorded in the audit trail.]",
            width="content",
        )
        if st.button("Hide now", type="tertiary", icon=":material/visibility_off:"):
            st.session_state[f"hidden-{call_id}"] = True
            st.rerun(scope="app")


def further_calls() -> None:
    """Calls that show the same incident: the verdict is for all of them."""
    found, more = application.read_cases.further_calls(me, case.id)
    if not found:
        return
    number = f"more than {len(found)} further calls" if more else words.count(len(found), "further call")
    with st.expander(f"Also seen in {number}", icon=":material/stacks:"):
        st.caption("They show the same incident, so one verdict is for all of them.")
        for other in found[:MOST_FURTHER]:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                at = words.moment(session.local(other.started_at), now)
                st.caption(f"{words.name(other.step)} · {at}" if other.step else at, width="content")
                ui.onward("call", "Open the call", id=other.id)
        if len(found) > MOST_FURTHER:
            st.caption(f"The first {MOST_FURTHER} are listed.")


left, right = ui.split()
with left:
    if case.kind is CaseKind.REPORT:
        with ui.panel("What the user reported", words.count(case.reports, "report")):
            try:
                reported = application.reports.of_case(me, case.id)
            except GovernanceError as error:
                reported = []
                st.text(str(error))
            for number, report in enumerate(reported[:5]):
                rows = {"Received": words.moment(session.local(report.at), now), "Why it is wrong": report.why}
                if report.claim:
                    rows["The claim"] = report.claim
                if report.correct_source:
                    rows["Right source"] = report.correct_source
                if report.acted_upon is not None:
                    rows["Acted upon"] = "Yes" if report.acted_upon else "No"
                pairs(rows, key=f"report-{case.id}-{number}")
            if len(reported) > 5:
                st.caption(f"The first 5 of {len(reported)} reports.")
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("##### Conversation", anchors=False, width="content")
            if call is not None and original is None:
                blocked = (
                    ""
                    if may_reveal
                    else "Claim the case first"
                    if session.may(Permission.REVEAL_CONTENT, system, claimed_by_actor=True)
                    else "Your role may not see original text"
                )
                if st.button(
                    "Show original text",
                    icon=":material/visibility:",
                    type="tertiary",
                    disabled=bool(blocked),
                    help=blocked or None,
                ):
                    ask_to_reveal()
        if call is not None and original is None:
            st.caption(words.MASKED[application.names_masked])
        if call is None:
            if sees_call:
                st.markdown(":gray[:material/hourglass_empty: The call that this is about has not arrived yet.]")
                st.caption("It appears here as soon as the application sends it.")
            else:
                st.markdown(":gray[:material/lock: Your role may not see the call that this is about.]")
        else:
            if revealed is not None:
                countdown(revealed.until, call.id)
            unfold = bool(st.session_state.get(f"unfold-{case.id}"))
            replaced = application.read_calls.replacements(me, call)
            shown = evidence.shown(call, detail, replaced, original=original, unfold=unfold)
            if not call.row.content_captured:
                st.markdown(":orange-badge[:material/visibility_off: No content captured]")
                st.caption("The application sent this call without its text: it could not be examined.")
            if shown.earlier:
                with st.expander(evidence.before(shown.earlier)):
                    transcript(shown.earlier, shown.earlier_marks, key=f"earlier-{case.id}")
            if shown.turns:
                current = str(st.session_state.get(f"finding-{case.id}", ""))
                picked = transcript(shown.turns, shown.marks, current=current, key=f"turns-{case.id}", top=True)
                if picked and picked != current:
                    st.session_state[f"finding-{case.id}"] = picked
                    st.rerun()
            if shown.left_out:
                st.caption(f"{words.count(shown.left_out, 'further part')} without evidence not shown here.")
            if shown.folded:
                st.button(
                    f"Show folded text ({shown.folded})",
                    icon=":material/unfold_more:",
                    on_click=lambda: st.session_state.update({f"unfold-{case.id}": True}),
                    help="This text may be hard to read.",
                )
            if shown.folded or unfold:
                day = application.read_cases.work(me, figures.start_of_day(now).astimezone(UTC))
                if hard := figures.hard_to_read(day):
                    st.caption(f"Your day held {words.count(hard, 'case')} with text that is hard to read.")
    if call is not None:
        further_calls()
        steps.panel(call.row.trace_id, chosen=call.id, key=f"case-{case.id}")

with right:
    with ui.panel(
        "Why it was flagged" if why else "Why it is here",
        words.count(len({e.n for f in why for e in f.evidence}), "finding") if why else "",
    ):
        current = str(st.session_state.get(f"finding-{case.id}", ""))
        if call is not None and call.row.status == "failed":
            st.markdown(":orange-badge[:material/error: Could not be checked]")
            st.text(call.failure)
        for failed in detail["failures"]:
            st.markdown(f":orange-badge[:material/error: {words.detector(failed['detector'])} did not answer]")
            st.text(words.failure(failed["reason"]))
        seen: set[int] = set()
        for position, policy in enumerate(why):
            with st.container(gap="xxsmall"):
                shade = " :gray-badge[:material/visibility: trial, acts on nothing]" if policy.shadow else ""
                shade += " :gray-badge[exception]" if policy.outcome == "excepted" else ""
                shade += " :orange-badge[could not be evaluated]" if policy.outcome == "error" else ""
                st.markdown(f"**{words.name(policy.title, 120)}**{shade}")
                if policy.explanation:
                    st.text(policy.explanation)
            for one in policy.evidence:
                if one.n in seen or one.n > 12:
                    continue
                seen.add(one.n)
                colour = {"critical": "red", "high": "orange"}.get(one.level, "gray")
                with st.container(gap="xxsmall", border=one.id == current):
                    with st.container(horizontal=True, horizontal_alignment="distribute"):
                        st.markdown(f":{colour}-badge[{one.n}] {words.category(one.category)}", width="content")
                        st.caption(f"{one.sure:.0%} sure", width="content")
                    where = f"In {words.PLACE.get(one.where, 'the call as a whole')}"
                    st.caption(where + (f" · {words.name(words.rule(one.rule))}" if one.rule else ""))
            pairs(
                {**policy.values, "Result": words.result(policy.action, policy.queue)},
                key=f"values-{case.id}-{position}",
            )
            if serves := words.controls(policy.controls):
                st.caption(f"Mapped to {words.name(serves, 200)}")
        if why and case.decision_id is not None and call is not None:
            explained.panel(case.decision_id)
        if not why:
            st.caption(
                "A user said that the answer is wrong. No policy had flagged it."
                if case.kind is CaseKind.REPORT
                else "It could not be checked, so a person looks at it."
            )
    with st.container(border=True):
        context, similar_tab, history_tab = st.tabs(ui.tab_labels("Context", "Similar cases", "History"))
        with context:
            if call is None:
                st.caption("Known once the call arrives.")
            else:
                pairs(steps.context(call), key=f"context-{case.id}")
                ui.onward("call", "Open the call", id=call.id)
        with similar_tab:
            outcomes = application.read_cases.right_when_flagged(me, case.policy) if case.policy else {}
            decided = sum(outcomes.values())
            if decided:
                right_share = words.interval(outcomes.get("violation", 0), decided)
                st.caption(f"This policy is right when it flags: {right_share} of {words.count(decided, 'case')}.")
            alike = application.read_cases.similar(me, case)
            for other in alike:
                with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                    outcome = words.OUTCOME.get(other.outcome, words.CASE_STATE[other.state])
                    st.caption(f"{outcome} · {words.ago(other.opened_at, now)}", width="content")
                    st.page_link("views/case.py", label=f"Case {other.id}", query_params={"id": str(other.id)})
            if not alike:
                st.caption("Other cases of the same policy and system appear here.")
        with history_tab:
            events = application.read_audit.of_case(me, case.id)
            actors = application.read_people.names(me, trail.people(events))
            for event in events:
                sentence = trail.sentence(event.kind, event.actor, event.subject, event.data, actors)
                at = ui.whole(words.moment(session.local(event.at), now))
                st.markdown(f":gray[{at}] &ensp;{words.name(sentence, 200)}")
            for note in notes:
                st.caption(f"{person(note.by)} wrote:")
                st.text(note.note)
            for verdict in verdicts:
                if verdict.note:
                    st.caption(f"{person(verdict.by)} noted with the verdict:")
                    st.text(verdict.note)

    if session.may(Permission.EXPORT_EVIDENCE, system):
        with ui.panel("Evidence of this case"):
            exports.offer(EvidenceFilter(system=system, case=case.id), key=f"package-{case.id}", primary=False)
            st.caption("Its dossier is index.html inside: it verifies the package, tells the case, and can be printed.")

# The verdict bar

ASKING = f"asking-{case.id}"
NOTE = f"note-{case.id}"
KEPT = f"kept-note-{case.id}"


def hint(text: str) -> None:
    st.caption(text)


def go_on_after(done: bool) -> None:
    st.session_state.pop(ASKING, None)
    if done:
        st.session_state.pop(KEPT, None)
        acts.go_on()
    st.rerun()


def bar_held(case: CaseRow) -> None:
    """The verdict bar of whoever holds the case here."""
    outcome = st.session_state.get(ASKING)
    if outcome is not None:
        bar_reasons(case, VerdictOutcome(outcome))
        return
    second = " · a second person approves a violation here" if case.severity == 4 else ""
    choices = dict.fromkeys(
        [*reasons.fitting(case.kind, VerdictOutcome.VIOLATION), *reasons.fitting(case.kind, VerdictOutcome.FALSE_ALARM)]
    )
    with st.form(f"verdict-{case.id}", border=False, enter_to_submit=False):
        hint(f"Keys work outside the fields{second} · a verdict is saved before the page goes on")
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container(horizontal=True):
                # "None yet" is a choice: with index=None there is a button that clears the field, Tab stops at it, and
                # there the first letters of a note are keys that decide.
                reason = st.selectbox(
                    "Reason",
                    [None, *choices],
                    label_visibility="collapsed",
                    width=320,
                    key=f"reason-{case.id}",
                    format_func=lambda code: reasons.SENTENCES[code].rstrip(".") if code else "Reason",
                )
                note = st.text_input(
                    "Note",
                    placeholder="Note for the record (optional)",
                    label_visibility="collapsed",
                    value=str(st.session_state.get(KEPT, "")),
                    key=NOTE,
                    max_chars=4000,
                )
            with st.container(horizontal=True, width="content"):
                violation = st.form_submit_button("Violation", icon=":material/gavel:", shortcut="V", type="primary")
                false_alarm = st.form_submit_button("False alarm", icon=":material/check:", shortcut="F")
                up = st.form_submit_button(
                    "Escalate",
                    icon=":material/north_east:",
                    shortcut="E",
                    disabled=case.escalated,
                    help="It is escalated already" if case.escalated else None,
                )
                skip = st.form_submit_button("Skip", icon=":material/skip_next:", shortcut="N", type="tertiary")
    if violation or false_alarm:
        wanted = VerdictOutcome.VIOLATION if violation else VerdictOutcome.FALSE_ALARM
        if reason in reasons.fitting(case.kind, wanted) and (reason is not ReasonCode.OTHER or note.strip()):
            go_on_after(acts.decide(case.id, wanted, reason, note))
        st.session_state[ASKING], st.session_state[KEPT] = str(wanted), note
        st.rerun()
    if up:
        go_on_after(acts.escalate(case.id, note))
    if skip:
        acts.skip(case.id)


def bar_reasons(case: CaseRow, outcome: VerdictOutcome) -> None:
    """Asked for when a verdict came without a reason that fits it: one more key."""
    note = str(st.session_state.get(KEPT, ""))
    st.caption(f"Why is it a {words.OUTCOME[outcome].lower()}? Press a number, or X to go back.")
    with st.container(horizontal=True):
        for number, code in enumerate(reasons.fitting(case.kind, outcome), 1):
            needs_note = code is ReasonCode.OTHER and not note.strip()
            if st.button(
                reasons.SENTENCES[code].rstrip("."),
                shortcut=str(number),
                disabled=needs_note,
                help="Write a note first" if needs_note else None,
                key=f"why-{case.id}-{code}",
            ):
                go_on_after(acts.decide(case.id, outcome, code, note))
        if st.button("Back", shortcut="X", type="tertiary", icon=":material/undo:"):
            st.session_state.pop(ASKING, None)
            st.rerun()


def bar_approval(case: CaseRow) -> None:
    """For the second person: approve, or return with a note."""
    if standing is None:
        return
    reason = reasons.SENTENCES[ReasonCode(standing.reason)].rstrip(".")
    said = f"{person(standing.by)} decided: {words.OUTCOME[standing.outcome].lower()}. {reason}."
    own = standing.by == me.id
    allowed = session.may(Permission.APPROVE_VERDICT, system, own_work=own)
    why_not = (
        ""
        if allowed
        else "Somebody else must approve your verdict"
        if own
        else "A senior reviewer or compliance officer approves it"
    )
    with st.form(f"approval-{case.id}", border=False, enter_to_submit=False):
        hint(said)
        with st.container(horizontal=True, vertical_alignment="center"):
            note = st.text_input(
                "Note",
                placeholder="What should be looked at again? (needed to return it)",
                label_visibility="collapsed",
                key=f"return-{case.id}",
                disabled=not allowed,
                max_chars=4000,
            )
            with st.container(horizontal=True, width="content"):
                yes = st.form_submit_button(
                    "Approve",
                    icon=":material/done_all:",
                    shortcut="A",
                    type="primary",
                    disabled=not allowed,
                    help=why_not or None,
                )
                no = st.form_submit_button(
                    "Return", icon=":material/undo:", shortcut="B", disabled=not allowed, help=why_not or None
                )
    if yes:
        acts.approve(case.id)
        st.rerun()
    if no:
        acts.give_back(case.id, note)
        st.rerun()


def bar_claim(case: CaseRow) -> None:
    """For a case that nobody holds here."""
    wanted = Permission.DECIDE_ESCALATION if case.escalated else Permission.CLAIM_CASE
    own = case.escalated and case.escalated_by == me.id
    if mine:
        text, label, why_not = "You hold this case in another window.", "Go on here", ""
    elif live:
        text = f"{person(case.held_by)} is working on this case."
        label, why_not = "Claim", f"{person(case.held_by)} holds it now"
    else:
        text = "Claim it to decide; nobody else can work on it meanwhile."
        label = "Claim and review"
        allowed = session.may(wanted, system, own_work=own)
        why_not = (
            ""
            if allowed
            else "You escalated it; a senior decides"
            if own
            else "It is escalated; a senior decides"
            if case.escalated
            else "Reviewers claim cases; your role reads them"
        )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        # In plain sight: no key and no finger reaches the tip of a button that can't be pressed.
        st.caption(f"{why_not}." if why_not and not live else text, width="content")
        if st.button(
            label,
            type="primary",
            icon=":material/play_arrow:",
            shortcut="S",
            disabled=bool(why_not),
            help=why_not or None,
        ):
            acts.claim(case.id)
            st.rerun()


st.set_page_config(page_title=f"Case {case.id} · Governance console")
if case.state is not CaseState.DECIDED:
    with st.bottom:
        if case.state is CaseState.APPROVAL:
            bar_approval(case)
        elif mine and token:
            bar_held(case)
        else:
            bar_claim(case)
