"""What happened in this interaction? One call: its text, its steps, what was decided and why."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.calls import explained, steps
from app.calls import transcript as evidence
from app.components import ui
from app.components.marked import pairs, transcript
from app.shell import session, words
from governance.domain.calls import CallKind, CallStatus
from governance.domain.people import Permission
from governance.services.calls.read import CallView

session.need(Permission.READ_CALLS)
me, now = session.actor(), session.now()
read = session.application().read_calls
asked = st.query_params.get("id", "")
wanted = read.find(me, int(asked)) if asked.isdecimal() and len(asked) < 17 else None
if wanted is None:
    with ui.header("No such call, or you may not see it"):
        pass
    with ui.notice("There is nothing at this address", "Look for the call by its words, system or time.", "search_off"):
        st.page_link("views/calls.py", label="Open calls", icon=":material/forum:")
    st.stop()

call: CallView = wanted
row = call.row
decisions = [one for one in call.decisions if not one.shadow]
decision = decisions[0] if decisions else None
detail: Any = decision.detail if decision else {"policies": [], "findings": [], "failures": [], "explanation": ""}
why = evidence.fired(detail)
TITLE = {
    CallStatus.RECORDED: "This call is not checked yet",
    CallStatus.FAILED: "This call could not be checked",
}
title = TITLE.get(row.status) or (
    "This call was sent to review"
    if row.queue
    else f"This call was {words.ACTION[row.action].lower()}"
    if row.action not in ("", "allow")
    else "Nothing was flagged in this call"
    if row.content_captured
    else "This call came without content"
    if row.kind == CallKind.LLM
    else "This step has no text of its own"
)
badges = [f":gray-badge[{words.CALL_KIND[row.kind]}]"]
if row.action not in ("", "allow"):
    badges.append(f":orange-badge[:material/flag: {words.ACTION[row.action]}]")
if not row.content_captured and row.kind == CallKind.LLM:
    badges.append(":orange-badge[:material/visibility_off: No content captured]")
if row.error:
    badges.append(":orange-badge[:material/error: Error]")
if call.conflicts:
    badges.append(f":orange-badge[:material/difference: {words.count(call.conflicts, 'conflict')}]")
with ui.header(
    title,
    f"{words.name(row.system)} · {words.moment(session.local(row.started_at), now)} · {words.took(row.duration_ms)}",
):
    st.markdown(" ".join(badges))

left, right = ui.split()
with left:
    with ui.panel("Conversation", "redacted"):
        st.caption(words.MASKED[session.application().names_masked])
        if not row.content_captured:
            if row.kind == CallKind.LLM:
                st.markdown("**No content was captured.** The application sent this call without its text.")
                st.caption("It could not be examined, and is never counted as clean.")
            else:
                st.caption("It holds its steps together; what was said is in them.")
        replaced = read.replacements(me, call)
        shown = evidence.shown(call, detail, replaced, unfold=bool(st.session_state.get(f"unfold-call-{call.id}")))
        if shown.earlier:
            with st.expander(evidence.before(shown.earlier)):
                transcript(shown.earlier, shown.earlier_marks, key=f"call-earlier-{call.id}")
        if shown.turns:
            transcript(shown.turns, shown.marks, key=f"call-turns-{call.id}")
        if shown.left_out:
            st.caption(f"{words.count(shown.left_out, 'further part')} not shown here.")
        if shown.folded:
            st.button(
                f"Show folded text ({shown.folded})",
                icon=":material/unfold_more:",
                on_click=lambda: st.session_state.update({f"unfold-call-{call.id}": True}),
            )
        if row.error:
            st.caption("The error as it was sent")
            st.code(row.error, language=None, wrap_lines=True)
    steps.panel(row.trace_id, chosen=call.id, key=f"call-{call.id}")

with right:
    with ui.panel("What was decided", f"{words.moment(session.local(decision.decided_at), now)}" if decision else ""):
        if row.status is CallStatus.FAILED:
            st.markdown(":orange-badge[:material/error: Could not be checked, so a person looks at it]")
            st.text(call.failure)
        elif decision is None:
            st.caption("Checking takes a few seconds. Nothing is released as clean before it is checked.")
        for failed in detail["failures"]:
            st.markdown(f":orange-badge[:material/error: {words.detector(failed['detector'])} did not answer]")
            st.text(words.failure(failed["reason"]))
        for number, policy in enumerate(why):
            shade = " :gray-badge[trial, acts on nothing]" if policy.shadow else ""
            shade += " :gray-badge[exception]" if policy.outcome == "excepted" else ""
            shade += " :orange-badge[could not be evaluated]" if policy.outcome == "error" else ""
            st.markdown(f"**{words.name(policy.title, 120)}** &ensp;{ui.severity(policy.severity)}{shade}")
            if policy.explanation:
                st.text(policy.explanation)
            if policy.values:
                pairs(policy.values, key=f"v-{call.id}-{number}")
            if serves := words.controls(policy.controls):
                st.caption(f"Mapped to {words.name(serves, 200)}")
        if decision is not None and why:
            explained.panel(decision.id)
        if decision is not None and not why and row.content_captured and row.status is CallStatus.CHECKED:
            st.markdown(":material/check: Examined by all detectors; no policy had anything to say.")
        if decision is not None and not why and not row.content_captured:
            st.caption("No policy had anything to say about what is known of it.")
        for number, about, state in call.cases:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.caption(f"{words.name(about, 60)} · {words.CASE_STATE[state].lower()}", width="content")
                ui.onward("case", f"Open case {number}", id=number)
    with ui.panel("Context"):
        pairs(steps.context(call), key=f"call-context-{call.id}")
    if call.conflicts or len(call.decisions) > 1 or call.revision:
        with ui.panel("How it arrived"):
            if call.conflicts:
                st.markdown(
                    f":orange[:material/difference:] It was sent again with other content "
                    f"{words.count(call.conflicts, 'time')}. The first one counts; the others are kept as evidence."
                )
            if call.revision:
                st.caption(f"Content arrived later {words.count(call.revision, 'time')} and was checked again.")
            for older in decisions[1:]:
                st.caption(
                    f"Decided before, {words.moment(session.local(older.decided_at), now)}: "
                    f"{words.ACTION.get(older.action, older.action).lower()}"
                )
            for beside in [one for one in call.decisions if one.shadow]:
                looked = " and a person would have looked at it" if beside.queue else ""
                st.caption(
                    f"Policies in shadow would have said, {words.moment(session.local(beside.decided_at), now)}: "
                    f"{words.ACTION.get(beside.action, beside.action).lower()}{looked}"
                )
