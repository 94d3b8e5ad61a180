"""Which answers did users say were wrong, and what became of it?"""

from __future__ import annotations

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.rows import Column, choose
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.reports import ReportState

PAGE = 50

session.need(Permission.READ_CASES)
now = session.now()
before = st.session_state.get("reports_before")
reports = list(session.application().reports.recent(session.actor(), before=before, limit=PAGE + 1))
more, reports = len(reports) > PAGE, reports[:PAGE]
waiting = sum(report.state in (ReportState.RECEIVED, ReportState.IN_REVIEW) for report in reports)

with ui.header(
    f"{words.count(waiting, 'report waits', 'reports wait')} for an answer"
    if waiting
    else "No report waits for an answer",
    "Answers that users said were wrong; each is a case, decided by a person · text is redacted",
):
    pass
if not reports:
    with ui.notice(
        "No report yet",
        "An application sends what its users report to POST /v1/reports, with an API key for reports.",
        "report",
    ):
        pass
    st.stop()

address.check("reports", {"reported": ("All", *words.REPORT_STATE.values())})
address.say()
states = choice(
    "State",
    ["All", *words.REPORT_STATE.values()],
    key="reported",
    address="reported",
    on_change=address.forget,
)
listed = [report for report in reports if states in ("All", words.REPORT_STATE[report.state])]
if not listed:
    with ui.notice(f"No report is {states.lower()}", "There are reports in other states.", "search_off"):
        st.button(
            "Show all reports", icon=":material/report:", on_click=lambda: st.session_state.update(reported="All")
        )
    st.stop()

row = choose(
    [
        {
            "Received": report.at,
            "State": words.REPORT_STATE[report.state],
            "What was wrong": " ".join(report.why.split()),
            "The claim": " ".join(report.claim.split()),
            "System": report.system,
            "Acted upon": {True: "Yes", False: "No", None: "Not said"}[report.acted_upon],
            "Case": f"Case {report.case_id}" if report.case_id else "",
        }
        for report in listed
    ],
    {
        "Received": Column(width=92, show=lambda at: words.ago(at, now)),
        "State": Column(
            width=108, tone=lambda value: {"Confirmed": "red", "Not confirmed": "quiet"}.get(value, "orange")
        ),
        "What was wrong": Column(),
        "The claim": Column(),
        "System": Column(width=122),
        "Acted upon": Column(width=98, tone=lambda value: "red" if value == "Yes" else ""),
        "Case": Column(width=76),
    },
    key="reports",
    name="Reports, newest first",
)
if row is not None and listed[row].case_id:
    st.switch_page("views/case.py", query_params={"id": str(listed[row].case_id)})

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.caption("Newest first · choose a row to open its case", width="content")
    with st.container(horizontal=True, width="content"):
        if before is not None:
            st.button(
                "Newest",
                icon=":material/first_page:",
                type="tertiary",
                on_click=lambda: st.session_state.pop("reports_before", None),
            )
        if more:
            st.button(
                "Older",
                icon=":material/arrow_forward:",
                icon_position="right",
                type="tertiary",
                on_click=lambda: st.session_state.update(reports_before=reports[-1].at),
            )
