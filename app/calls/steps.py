"""What the system did: the steps of a trace over time, and what went into and came out of the chosen one."""

from __future__ import annotations

import streamlit as st

from app.calls import transcript as evidence
from app.components import ui
from app.shell import session, words
from governance.domain.calls import CallKind
from governance.domain.content import PartKind
from governance.services.calls.read import CallView, TraceStep

_WENT_IN = (PartKind.SYSTEM, PartKind.HISTORY, PartKind.INPUT, PartKind.TOOL_CALL)  # of a search, a tool, a chain
_SHOWN = 4_000


def labels(found: list[TraceStep]) -> dict[str, TraceStep]:
    """A distinct name for each step, set in below its parent: names come with calls and repeat."""
    named: dict[str, TraceStep] = {}
    taken: set[str] = set()
    for step in found:
        plain = " ".join((step.name or words.CALL_KIND[step.kind]).split())[:60]
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(name)
        named["\u2003" * min(step.depth, 4) + name] = step
    return named


def _state(step: TraceStep) -> str:
    return "flagged" if step.flagged else "failed" if step.failed else "usual"


def panel(trace_id: str, *, chosen: int, key: str) -> None:
    """The waterfall of a trace and the step picked in it; `chosen` is the call that is picked at first."""
    read, who = session.application().read_calls, session.actor()
    found = read.steps(who, trace_id)
    if not found:
        return
    named = labels(found)
    first = next((label for label, step in named.items() if step.id == chosen), next(iter(named)))
    picked = f"{key}-step"
    if st.session_state.get(picked) not in named:
        st.session_state[picked] = first
    end = max(step.offset_ms + step.duration_ms for step in found)
    note = f"{words.count(len(found), 'step')} in {words.took(end)}"
    with ui.panel("What the system did", note + (" · choose one" if len(found) > 1 else "")):

        def follow() -> None:
            got = st.session_state[f"{key}-bars"].selection.picked
            if got:
                st.session_state[picked] = got[0]["Step"]

        if len(found) > 1:
            ui.waterfall(
                [(label, step.offset_ms, step.duration_ms, _state(step)) for label, step in list(named.items())[:40]],
                str(st.session_state[picked]),
                key=f"{key}-bars",
                follow=follow,
            )
            if len(found) > 40:
                st.caption(f"The first 40 of {len(found)} steps are drawn; all can be chosen below.")
        with st.container(horizontal=True, vertical_alignment="center"):
            label = first
            if len(found) > 1:
                label = st.selectbox("Step", list(named), key=picked, label_visibility="collapsed", width=280)
            else:
                st.text(first, width="content")
            step = named[label]
            if step.flagged:
                st.markdown(":red-badge[:material/flag: Flagged]", width="content")
            if step.failed:
                st.markdown(":orange-badge[:material/error: Error]", width="content")
            st.caption(
                f"{words.CALL_KIND[step.kind]} · {words.took(step.duration_ms)}"
                + (f" · {words.tokens(step.input_tokens, step.output_tokens)} tokens" if step.input_tokens else ""),
                width="content",
            )
        call = read.find(who, step.id)
        if call is not None:
            _in_and_out(call)


def _in_and_out(call: CallView) -> None:
    went_in, came_back = _text(call, into=True), _text(call, into=False)
    grid = st.grid(2, min_column_width=260)
    with grid.cell():
        st.caption("Went in")
        st.code(went_in or "Nothing was sent with this step.", language=None, wrap_lines=True)
    with grid.cell():
        st.caption("Came back")
        st.code(came_back or "Nothing was sent with this step.", language=None, wrap_lines=True)


def _text(call: CallView, *, into: bool) -> str:
    """The redacted parts on one side of a step, the last ones first to be kept."""
    blocks = []
    if call.row.kind is CallKind.LLM:
        before, answer = evidence.exchange(call.parts)
        parts = before if into else answer
    else:
        parts = [one for one in call.parts if (one.part.kind in _WENT_IN) is into]
    for one in parts:
        name = one.part.name or (one.part.role if one.part.kind is PartKind.INPUT else "")
        head = words.PART[one.part.kind] + (f" {name}" if name and name != "user" else "")
        body = one.text if one.text is not None else "not examined yet"
        blocks.append(f"{head}:\n{'erased' if one.erased else body}")
    if not into and call.row.error:
        blocks.append(f"Error:\n{call.row.error}")
    text = "\n\n".join(blocks)
    return text if len(text) <= _SHOWN else "…\n" + text[-_SHOWN:]


def context(call: CallView) -> dict[str, str]:
    """Where a call comes from, as labels and values; the values came with the call: show them as text only."""
    release = call.release
    documents = [
        (one.part.name or "unnamed") + (f" ({', '.join(one.part.labels)})" if one.part.labels else "")
        for one in call.parts
        if one.part.kind is PartKind.DOCUMENT
    ]
    rows = {
        "System": call.row.system,
        "Person's role": call.user_role or "not sent",
        "Model": " · ".join(part for part in (call.row.model, call.provider) if part) or "not sent",
    }
    spoken = {"name": "release", "prompt_version": "prompt", "retrieval": "retrieval", "tools": "tools"}
    known = [
        release[key] if release[key].startswith(word) else f"{word} {release[key]}"
        for key, word in spoken.items()
        if release.get(key)
    ]
    if known:
        rows["Release"] = ", ".join(known)
    if documents:
        rows["Documents read"] = ", ".join(documents[:8]) + (
            f" and {len(documents) - 8} more" if len(documents) > 8 else ""
        )
    rows["Tokens"] = words.tokens(call.row.input_tokens, call.row.output_tokens)
    rows["Took"] = words.took(call.row.duration_ms)
    return rows
