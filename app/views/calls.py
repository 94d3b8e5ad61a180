"""What did the systems say and do? Calls, newest first: search in redacted text, filters, and one call in detail."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.rows import Column, choose, quiet
from app.overview import figures
from app.shell import session, words
from governance.domain.calls import CallKind, CallStatus
from governance.domain.people import Permission
from governance.services.calls.read import After, CallFilter, CallRow

PAGE = 30
PERIODS = {"Any time": None, "Today": 0, "7 days": 7, "30 days": 30, "Days …": None}
STATUS = {
    "Any state": "",
    "Not checked yet": CallStatus.RECORDED.value,
    "Could not be checked": CallStatus.FAILED.value,
    "No content captured": "uncaptured",
    "With an error": "error",
}
KINDS = {"Any kind": "", **{word: kind for kind, word in words.CALL_KIND.items()}}

session.need(Permission.READ_CALLS)
now = session.now()


def restart() -> None:
    """A changed filter begins at the newest call again."""
    address.forget()
    st.session_state.pop("calls_after", None)


week = figures.week(now)
with ui.header(
    f"{week.calls:,} calls in 7 days, {words.share(week.flagged, week.calls)} flagged" if week.calls else "Calls",
    "What your systems were asked, did and answered · text is redacted",
):
    pass
session.told()
shown = session.systems()
address.check(
    "calls",
    {
        "only": ("All", "Flagged"),
        "words": None,
        "system": shown,
        "kind": KINDS,
        "state": STATUS,
        "model": None,
        "time": PERIODS,
    },
)
address.say()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    only = choice("Which", ["All", "Flagged"], key="only", address="only", on_change=restart)
    with st.container(horizontal=True, width="content", vertical_alignment="bottom"):
        find = st.text_input(
            "Search",
            key="words",
            bind="query-params",
            placeholder="Words in redacted text",
            icon=":material/search:",
            label_visibility="collapsed",
            width=230,
            on_change=restart,
        )
        with st.popover("Filter", icon=":material/filter_list:"):
            of = st.multiselect("System", shown, key="system", bind="query-params", on_change=restart)
            kind = st.selectbox("Kind", list(KINDS), key="kind", bind="query-params", on_change=restart)
            state = st.selectbox("State", list(STATUS), key="state", bind="query-params", on_change=restart)
            model = st.text_input(
                "Model", key="model", bind="query-params", placeholder="Begins with …", on_change=restart
            )
            period = st.selectbox("Time", list(PERIODS), key="time", bind="query-params", on_change=restart)
            since = until = None
            if period == "Days …":
                days = st.date_input(
                    "From and to", value=(now.date() - timedelta(days=6), now.date()), on_change=restart
                )
                if isinstance(days, tuple) and len(days) == 2:
                    since = datetime.combine(days[0], time(), now.tzinfo)
                    until = datetime.combine(days[1], time(), now.tzinfo) + timedelta(days=1)
            elif PERIODS[period] is not None:
                midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
                since = midnight - timedelta(days=PERIODS[period] or 0)

want = CallFilter(
    systems=tuple(of),
    kind=KINDS[kind],
    flagged=only == "Flagged",
    model=model.strip(),
    status=STATUS[state],
    since=since,
    until=until,
    words=find,
)
after = st.session_state.get("calls_after")
page = session.application().read_calls.page(session.actor(), want, after=after, limit=PAGE)
narrowed = want != CallFilter()


def show_all() -> None:
    st.session_state.update(
        only="All", words="", system=[], kind="Any kind", state="Any state", model="", time="Any time"
    )
    restart()


def turn(to: After | None) -> None:
    if to is None:
        restart()
    else:
        st.session_state["calls_after"] = to


if not page.rows and page.next is None:
    if narrowed or after is not None:
        with ui.notice("No call fits these filters", "Other calls are recorded outside these filters.", "search_off"):
            st.button("Show all calls", icon=":material/forum:", on_click=show_all)
    else:
        with ui.notice(
            "No calls yet",
            "Point an OpenTelemetry exporter at this address; each call appears here within seconds.",
            "sensors",
        ):
            st.page_link("views/overview.py", label="See how", icon=":material/arrow_forward:")
    st.stop()


def state_of(row: CallRow) -> str:
    if row.status is CallStatus.RECORDED:
        return "Not checked yet"
    if row.status is CallStatus.FAILED:
        return "Could not be checked"
    if not row.queue and row.action == "allow" and not row.content_captured:
        # An agent's or a chain's span only holds its steps together; a model's without its text is a gap.
        return "No content captured" if row.kind == CallKind.LLM else "No text of its own"
    return words.result(row.action, row.queue)


if page.rows:

    def tint(value: str) -> str:
        if value.startswith(("Blocked", "Could not")):
            return "red"
        return "quiet" if value in ("Allowed", "No text of its own", "") else "orange"

    chosen = choose(
        [
            {
                "When": row.started_at,
                "State": state_of(row),
                "System": row.system,
                "Said": row.excerpt
                or (
                    "no content captured"
                    if not row.content_captured and row.kind == CallKind.LLM
                    else "not examined yet"
                    if row.status is CallStatus.RECORDED
                    else row.name
                ),
                "Kind": words.CALL_KIND[row.kind],
                "Model": row.model,
                "Took": words.took(row.duration_ms) if row.duration_ms is not None else "",
                "Tokens": f"{(row.input_tokens or 0) + (row.output_tokens or 0):,}" if row.input_tokens else "",
            }
            for row in page.rows
        ],
        {
            "When": Column(width=92, show=lambda at: words.clock(session.local(at), now), tone=quiet),
            "State": Column(width=172, tone=tint),
            "System": Column(width=122),
            "Said": Column(label="What was said, redacted", least=300),
            "Kind": Column(width=72, tone=quiet),
            "Model": Column(width=130, tone=quiet),
            "Took": Column(width=70, right=True),
            "Tokens": Column(width=64, right=True),
        },
        key="calls",
        name="Calls, newest first",
    )
    if chosen is not None:
        st.switch_page("views/call.py", query_params={"id": str(page.rows[chosen].id)})
else:
    st.caption("None among the calls looked through so far.")

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    far = (
        f" · looked back to {words.moment(session.local(page.looked_until), now)}"
        if page.looked_until is not None
        else ""
    )
    st.caption(f"Newest first{far} · choose a row to see the whole interaction", width="content")
    with st.container(horizontal=True, width="content"):
        if after is not None:
            st.button("Newest", icon=":material/first_page:", type="tertiary", on_click=turn, args=(None,))
        if page.next is not None:
            st.button(
                "Look further back" if page.looked_until is not None else "Older",
                icon=":material/arrow_forward:",
                icon_position="right",
                type="tertiary",
                on_click=turn,
                args=(page.next,),
            )
