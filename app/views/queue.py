"""What should be reviewed next? Open cases, the most urgent first."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.rows import Column, choose
from app.overview import figures
from app.review import acts
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.review import CaseState
from governance.review.workload import Load
from governance.services.review.read import After, CaseFilter, CaseRow

PAGE = 100

session.need(Permission.READ_CASES)
me = session.actor()
now = session.now()
read = session.application().read_cases
loads = figures.loads(now)


def total(loads: list[Load], **want: Any) -> int:
    return sum(load.cases for load in loads if all(getattr(load, field) == value for field, value in want.items()))


open_cases = total(loads)
queues = sorted({load.queue for load in loads if load.queue}, key=lambda queue: -total(loads, queue=queue))
seniors = session.may(Permission.DECIDE_ESCALATION)
COUNTS: dict[str, int] = {
    "All open": open_cases,
    "Mine": total(loads, state=CaseState.CLAIMED, held_by=me.id),
    "Overdue": total(loads, when="overdue"),
    **{words.queue(queue): total(loads, queue=queue) for queue in queues[: 1 if seniors else 2]},
    "Reported by users": total(loads, reported=True),
    **({"Escalated": total(loads, state=CaseState.ESCALATED)} if seniors else {}),
    "Second approval": total(loads, state=CaseState.APPROVAL),
}

QUEUE_VIEWS = {words.queue(queue) for queue in queues}


def chosen_filter(view: str, find: str, only: list[str], severities: list[str], among: list[str]) -> CaseFilter:
    """The filter that the view and the fields stand for."""
    ranks = tuple(rank for rank, word in words.SEVERITY.items() if word in severities)
    return CaseFilter(
        systems=tuple(only),
        held_by=me.id if view == "Mine" else None,
        overdue_at=session.application().clock() if view == "Overdue" else None,
        queues=tuple(queue for queue in queues if words.queue(queue) in ({view} if view in QUEUE_VIEWS else among)),
        reported=view == "Reported by users",
        state={"Escalated": "escalated", "Second approval": "approval"}.get(view, ""),
        severities=ranks,
        words=find,
    )


def work_note() -> list[str]:
    """'you decided 12 today, median 3 min' and '2 cases of your day were hard to read', for those who decide."""
    done = read.work(me, figures.start_of_day(now).astimezone(UTC))
    said = [f"you decided {done.decided} today, median {words.span(done.median_seconds)}"] if done.decided else []
    if hard := figures.hard_to_read(done):
        said.append(f"{words.count(hard, 'case')} of your day {'was' if hard == 1 else 'were'} hard to read")
    return said


reviews = session.may(Permission.CLAIM_CASE) or session.may(Permission.DECIDE_ESCALATION)
first = acts.next_case() if reviews else None
titles = [words.count(open_cases, "open case") if open_cases else "No case is open"]
late = COUNTS["Overdue"]
note = [f"{late} past the deadline" if late else "none past the deadline"] if open_cases else []
if reviews:
    note += work_note()
if not session.may(Permission.DECIDE_CASE) and not reviews:
    note.append("you read cases; reviewers decide them")
elif open_cases and first is None:
    note.append("none waits for you")

with ui.header(
    titles[0], " · ".join(note).capitalize() if note else "Cases that policies or users ask a person to look at"
):
    why_not = (
        ""
        if first
        else "Reviewers claim cases; your role reads them"
        if not reviews
        else "No case waits for you"
        if open_cases
        else "No case is open"
    )
    if st.button(
        "Start reviewing",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="S",
        disabled=bool(why_not),
        help=why_not or None,
    ):
        acts.start()
session.told()
shown_systems = session.systems(Permission.READ_CASES)
address.check(
    "queue",
    {
        "view": COUNTS,
        "find": None,
        "of": shown_systems,
        "queue": QUEUE_VIEWS,
        "severity": words.SEVERITY.values(),
    },
)
address.say()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):

    def restart() -> None:
        address.forget()
        st.session_state.pop("queue_after", None)

    view = choice("View", list(COUNTS), key="view", address="view", counts=COUNTS, on_change=restart)
    with st.container(horizontal=True, width="content"):
        find = st.text_input(
            "Search",
            key="find",
            bind="query-params",
            placeholder="Case number or word",
            icon=":material/search:",
            label_visibility="collapsed",
            width=210,
            on_change=restart,
        )
        with st.popover("Filter", icon=":material/filter_list:"):
            only = st.multiselect("System", shown_systems, key="of", bind="query-params", on_change=restart)
            among = st.multiselect("Queue", sorted(QUEUE_VIEWS), key="queue", bind="query-params", on_change=restart)
            severities = st.multiselect(
                "Severity",
                [words.SEVERITY[rank] for rank in (4, 3, 2, 1)],
                key="severity",
                bind="query-params",
                on_change=restart,
            )

narrowed = bool(find or only or severities or among)
after = st.session_state.get("queue_after")
rows, next_page = read.page(me, chosen_filter(view, find, only, severities, among), after=after, limit=PAGE)


def show_all() -> None:
    st.session_state.update(view="All open", find="", of=[], severity=[], queue=[])
    st.session_state.pop("queue_after", None)
    st.query_params.pop("view", None)


EMPTY = {
    "Second approval": (
        "No verdict waits for a second person",
        "Severe verdicts appear here until somebody other than their author approves them.",
    ),
    "Mine": ("You hold no case", "Start reviewing, and the case you hold appears here."),
    "Overdue": ("No case is past its deadline", "Cases that were not decided in time appear here."),
    "Escalated": ("No case is escalated", "What a reviewer hands to a senior appears here."),
    "Reported by users": ("No reported answer is open", "Answers that users said were wrong appear here."),
}
if not rows:
    if open_cases and (narrowed or view not in EMPTY):
        title, text, icon = "No case fits these filters", "There are open cases outside this view.", "search_off"
    elif open_cases:
        title, text, icon = *EMPTY[view], "task_alt"
    else:
        title, text, icon = (
            "Nothing to review",
            "A call that a policy sends to review, or an answer that a user reports, opens a case here.",
            "task_alt",
        )
    with ui.notice(title, text, icon):
        if open_cases:
            st.button(f"Show all {words.count(open_cases, 'open case')}", icon=":material/inbox:", on_click=show_all)
    st.stop()


def first_reason(case: CaseRow) -> str:
    """Why this case comes first, in a sentence."""
    if acts.skipped(case.id):
        return "You skipped it before; nothing else waits for you."
    reasons = []
    if case.state is CaseState.CLAIMED and case.held_by == me.id:
        reasons.append("you already hold it")
    if case.severity == 4:
        reasons.append("it is critical")
    if case.due_at < now:
        reasons.append(f"it is {words.due(case.due_at, now)}")
    if case.reports:
        reasons.append(f"{words.count(case.reports, 'person', 'people')} reported the answer")
    if not reasons:
        reasons.append("it has the highest severity and the nearest deadline")
    return "First because " + ", and ".join(reasons) + "."


if view == "All open" and not narrowed and after is None and first is not None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(gap="xxsmall", width="content"):
            st.caption("Next for you")
            st.markdown(
                f"**Case {first.id}: {words.name(first.title)}** &ensp;{ui.severity(first.severity)} "
                f"{ui.due_badge(first.due_at, now)}"
            )
            st.caption(first_reason(first))
        ui.onward("case", "Open", id=first.id)

held = {row.held_by for row in rows if row.held_by is not None}
holders = session.application().read_people.names(me, held)


def holder(case: CaseRow) -> str:
    if case.state is CaseState.CLAIMED and case.lease_until is not None and case.lease_until > now:
        return "You" if case.held_by == me.id else holders.get(case.held_by or 0, "")
    return {CaseState.ESCALATED: "Escalated", CaseState.APPROVAL: "2nd person"}.get(case.state, "")


chosen = choose(
    [
        {
            "Case": case.id,
            "Severity": case.severity,
            "Deadline": case.due_at,
            "Why": case.title,
            "Excerpt": "folded until you open it" if figures.harmful(case.policy) else case.excerpt,
            "System": case.system,
            "Reports": case.reports,
            "Opened": case.opened_at,
            "Held by": holder(case),
        }
        for case in rows
    ],
    {
        "Case": Column(width=58, right=True),
        "Severity": Column(
            width=74,
            show=lambda rank: words.SEVERITY[rank],
            tone=lambda rank: {4: "red", 3: "orange"}.get(rank, ""),
        ),
        "Deadline": Column(width=90, show=lambda at: words.due(at, now), tone=lambda at: ui.due_tone(at, now)),
        "Why": Column(label="Why it was flagged"),
        "Excerpt": Column(label="Excerpt, redacted", width=160),
        "System": Column(width=124),
        "Reports": Column(
            width=70,
            right=True,
            optional=True,
            help="How many people reported this answer",
            show=lambda number: str(number or ""),
        ),
        "Opened": Column(width=84, show=lambda at: words.ago(at, now)),
        # Most have no holder: then the place goes to why they were flagged.
        "Held by": Column(width=94, optional=True),
    },
    key="cases",
    name="Open cases, most urgent first",
)
if chosen is not None:
    st.switch_page("views/case.py", query_params={"id": str(rows[chosen].id)})

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.caption(
        f"{words.count(len(rows), 'case')} shown, by severity, then deadline · choose a row to open it",
        width="content",
    )
    with st.container(horizontal=True, width="content"):

        def turn(to: After | None) -> None:
            if to is None:
                st.session_state.pop("queue_after", None)
            else:
                st.session_state["queue_after"] = to

        if after is not None:
            st.button("First page", icon=":material/first_page:", type="tertiary", on_click=turn, args=(None,))
        if next_page is not None:
            st.button(
                "Next",
                icon=":material/arrow_forward:",
                icon_position="right",
                type="tertiary",
                on_click=turn,
                args=(next_page,),
            )
