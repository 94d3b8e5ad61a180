"""Are we in control? Figures, what is out of the ordinary, and what needs this person now."""

from __future__ import annotations

import statistics
from typing import Any
from urllib.parse import urlsplit

import altair as alt
import pandas as pd
import streamlit as st

from app.components import address, ui
from app.overview import deviations, figures
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.review import CaseKind
from governance.systems import posture

session.need(Permission.READ_CALLS)
now = session.now()
shown = session.systems()
state = figures.overview(now)

if not shown:
    with ui.header("No calls yet", "This page shows whether your GenAI systems are under control"):
        pass
    with ui.notice(
        "Send the first call",
        "Load the sample traffic of three systems, or point an application's OpenTelemetry exporter here.  \n"
        "Run one of these where the console runs; this page fills within seconds.",
        "sensors",
    ):
        pass
    asked_at = urlsplit(st.context.url or "")
    here = f"{asked_at.scheme}://{asked_at.netloc}" if asked_at.netloc else "http://127.0.0.1:8501"
    here = session.application().settings.public_url.rstrip("/") or here
    sample, own = st.tabs(ui.tab_labels("Sample traffic", "Your application"))
    with sample:
        st.code(f"governance demo --url {here}", language=None)
        st.caption("Three systems, 14 days, flagged calls of every kind and two reports by users.")
    with own:
        st.code(
            "governance key create --scope ingest      # shows the key once\n\n"
            f"export OTEL_EXPORTER_OTLP_ENDPOINT={here}\n"
            "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"
            'export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer <key>"',
            language=None,
        )
        st.caption("Then start the application as usual. An administrator can make the key under Admin, too.")
    st.stop()


NEEDED = {"audit": Permission.READ_AUDIT, "admin": Permission.MANAGE_ACCESS}


def page_link(page: str, label: str, query: dict[str, str]) -> None:
    """A link, unless the page is not for this person."""
    if session.may(NEEDED.get(page, Permission.READ_CALLS)):
        ui.onward(page, label, **query)


ALL = "All systems"
labels = {words.name(name): name for name in shown}
asked = st.query_params.get("system", "")
chosen = asked if asked in labels.values() else ""
address.check("overview", {"system": labels.values()})
with ui.header(
    deviations.title(state.deviations),
    f"{now:%A %-d %B %Y, %H:%M} · figures are less than a minute old",
):
    if len(shown) > 1:
        options = [ALL, *labels.values()]
        st.session_state.setdefault("overview_system", chosen or ALL)

        def keep() -> None:
            address.forget()
            picked = st.session_state["overview_system"]
            if picked == ALL:
                st.query_params.pop("system", None)
            else:
                st.query_params["system"] = picked

        st.selectbox("System", options, key="overview_system", on_change=keep, label_visibility="collapsed", width=190)
        chosen = "" if st.session_state["overview_system"] == ALL else st.session_state["overview_system"]

address.say()
loads = [load for load in state.loads if not chosen or load.system == chosen]
days = [day for day in state.days if not chosen or day.system == chosen]
trends = [trend for trend in state.trends if not chosen or trend.system == chosen]

open_cases = sum(load.cases for load in loads)
critical = sum(load.cases for load in loads if load.severity == 4)
late = sum(load.cases for load in loads if load.when == "overdue")
late_critical = sum(load.cases for load in loads if load.when == "overdue" and load.severity == 4)
week = [day for day in days if day.day > state.today - 7]
flagged, calls = sum(day.flagged for day in week), sum(day.calls for day in week)
before = [day for day in days if state.today - 35 < day.day <= state.today - 7]
usual = words.share(sum(day.flagged for day in before), sum(day.calls for day in before))
reports = sum(load.cases for load in loads if load.kind is CaseKind.REPORT)
late_reports = sum(load.cases for load in loads if load.kind is CaseKind.REPORT and load.when == "overdue")
working = [d for d in state.detectors if not posture.fails(d)]

with st.grid(6, min_column_width=138, border=True, row_height=112):
    st.metric("Open cases", f"{open_cases:,}", f"{critical} critical", delta_color="off", delta_arrow="off")
    st.metric(
        "Past deadline",
        late,
        f"{late_critical} critical" if late else "none late",
        delta_color="red" if late else "off",
        delta_arrow="off",
    )
    unusual = any(trend.unusual for trend in trends)
    st.metric(
        "Calls flagged, 7 d",
        words.share(flagged, calls) if calls else "No calls",
        "in 7 days" if not calls else f"usual {usual}" if before else f"of {words.count(calls, 'call')}",
        delta_color="orange" if unusual else "off",
        delta_arrow="up" if unusual else "off",
    )
    st.metric(
        "Open reports",
        reports,
        f"{late_reports} late" if late_reports else "none late",
        delta_color="red" if late_reports else "off",
        delta_arrow="off",
    )
    st.metric(
        "Detectors working",
        f"{len(working)} of {len(state.detectors)}" if state.detectors else "None yet",
        words.count(len(state.detectors) - len(working), "fails", "fail")
        if len(working) < len(state.detectors)
        else "no failures",
        delta_color="orange" if len(working) < len(state.detectors) else "off",
        delta_arrow="off",
    )
    audit = state.audit
    st.metric(
        "Audit log",
        "Broken"
        if audit.verified is False
        else "In question"
        if audit.findings
        else "Intact"
        if audit.verified
        else "Sealed",
        f"verified {words.ago(audit.verified_at, now)}" if audit.verified_at else "not verified yet",
        delta_color="red" if audit.verified is False or audit.findings else "green" if audit.verified else "orange",
        delta_arrow="off",
    )

grid = st.grid(3, min_column_width=280, border=True)
trend_cell, needs_cell = grid.cell(column_span=2), grid.cell(row_span=2)
deadline_cell = grid.cell(column_span=2)
detector_cell, log_cell, traffic_cell = grid.cell(), grid.cell(), grid.cell()


@st.cache_data(show_spinner=False, max_entries=100)
def trend_spec(trend: posture.Trend, top: float, first: int, last: int, theme: str) -> dict[str, Any]:
    t = ui.tones()
    rows = [
        {
            "Day": pd.Timestamp(point.day, unit="D"),
            "Rate": point.rate,
            "Flagged calls": f"{point.flagged:,} of {point.calls:,}",
            "low": point.low,
            "high": point.high,
            "odd": point.odd,
        }
        for point in trend.days
    ]
    ends = [
        {"year": at.year, "month": at.month, "date": at.day}
        for at in (pd.Timestamp(first, unit="D"), pd.Timestamp(last, unit="D"))
    ]
    base = alt.Chart().encode(
        x=alt.X(
            "Day:T",
            title=None,
            scale=alt.Scale(domain=ends),
            axis=alt.Axis(format="%-d %b", values=ends, labelFlush=True),
        )
    )

    def y(field: str) -> alt.Y:
        return alt.Y(
            f"{field}:Q",
            title=None,
            scale=alt.Scale(domain=[0, top]),
            axis=alt.Axis(
                format=".0%" if top >= 0.04 else ".1%", values=[0, top / 2, top], grid=True, gridColor=t["soft"]
            ),
        )

    layers = []
    if trend.known:
        # A day of few calls has a range wider than the chart.
        layers.append(base.mark_area(color=t["soft"], clip=True).encode(y=y("low"), y2="high:Q"))
    layers.append(
        base.mark_line(color=t["gray"], strokeWidth=1.6).encode(
            y=y("Rate"),
            tooltip=[
                alt.Tooltip("Day:T", format="%-d %b"),
                alt.Tooltip("Rate:Q", format=".1%", title="Flagged"),
                alt.Tooltip("Flagged calls:N"),
            ],
        )
    )
    if len(rows) < 3:
        layers.append(base.mark_point(filled=True, size=42, opacity=1, color=t["gray"]).encode(y=y("Rate")))
    if any(row["odd"] for row in rows):  # a layer without marks would be a picture without a name to a screen reader
        odd = base.mark_point(filled=True, size=42, opacity=1, color=t["orange"]).encode(y=y("Rate"))
        layers.append(odd.transform_filter("datum.odd"))
    return ui.spec(alt.layer(*layers, data=pd.DataFrame(rows)), 148)


@st.cache_data(show_spinner=False, max_entries=100)
def deadline_spec(counts: tuple[tuple[str, str, int], ...], theme: str) -> dict[str, Any]:
    t = ui.tones()
    order, when = [words.SEVERITY[rank] for rank in (4, 3, 2, 1)], ["Overdue", "Due today", "Later"]
    data = pd.DataFrame(counts, columns=["Severity", "When", "Cases"])
    base = (
        alt.Chart(data)
        .transform_filter("datum.Cases > 0")
        .transform_calculate(k="indexof(['Overdue','Due today','Later'], datum.When)")
        .encode(
            y=alt.Y(
                "Severity:N",
                sort=order,
                scale=alt.Scale(domain=order),
                title=None,
                axis=alt.Axis(labelPadding=10, labelFontSize=12.5),
            )
        )
    )
    bars = base.mark_bar(height=16, stroke=t["background"], strokeWidth=1.5).encode(
        x=alt.X("Cases:Q", title=None, axis=None, stack="zero"),
        order="k:Q",
        tooltip=["Severity", "When", "Cases"],
        color=alt.Color(
            "When:N",
            # Three quarters of grey: quieter than what is due, and still seen on either background (3 to 1).
            scale=alt.Scale(domain=when, range=[t["red"], t["orange"], t["gray"] + "c0"]),
            legend=alt.Legend(
                orient="top", title=None, labelColor=t["quiet"], labelFontSize=12, symbolType="square", offset=2
            ),
        ),
    )
    total = (
        alt.Chart(data.groupby("Severity", as_index=False).Cases.sum())
        .mark_text(align="left", dx=6, color=t["text"], fontSize=12.5)
        .encode(y=alt.Y("Severity:N", sort=order), x="Cases:Q", text="Cases:Q")
    )
    return ui.spec(bars + total, 136)


with ui.panel("Needs you now", cell=needs_cell):
    exceptions = figures.needs(state, session.actor(), session.may, now)
    urgent = [one for one in exceptions if session.may(NEEDED.get(one.page, Permission.READ_CALLS))]
    for one in urgent[:5]:
        with st.container(gap="xxsmall"):
            st.markdown(f"**{one.what}** {one.detail}")
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.caption(one.note, width="content")
                page_link(one.page, one.link, dict(one.query))
    if len(urgent) > 5:
        st.caption(f"and {len(urgent) - 5} more, once these are seen to")
    if not urgent:
        st.markdown(":green[:material/check_circle:] **Nothing waits for you.**")
        st.caption("What is late, unusual or waits for your approval appears here.")
    for one in exceptions:
        if one not in urgent:
            with st.container(gap="xxsmall"):
                st.markdown(f":gray[{one.what}]")
                st.caption("Others see to it")

with ui.panel(
    "Share of calls flagged each day",
    "shaded: usual for so many calls" if any(trend.known for trend in trends) else "a usual range after 7 days",
    trend_cell,
):
    drawn = [trend for trend in trends if trend.days]
    drawn.sort(key=lambda trend: (not trend.unusual, -sum(point.calls for point in trend.days)))
    visible_trends = drawn[:3]
    peak = max((point.rate for trend in visible_trends for point in trend.days), default=0.0)
    ranges = [statistics.median(point.high or 0.0 for point in trend.days) for trend in visible_trends]
    highest = max([peak, *ranges])
    top = next((step for step in (0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 1.0) if step >= highest), 1.0)
    days_shown = [point.day for trend in visible_trends for point in trend.days]
    if not visible_trends:
        st.caption("The first figures appear once a call was checked.")
    else:
        for column, trend in zip(st.columns(len(visible_trends), wrap=False), visible_trends, strict=True):
            with column, st.container(gap="xsmall"):
                said = " :orange[:material/trending_up: unusual]" if trend.unusual else ""
                st.markdown(f":small[:gray[{words.name(trend.system, 28)}]{said}]")
                ui.chart(
                    trend_spec(trend, top, min(days_shown), max(days_shown), ui.theme()),
                    f"Share of calls flagged each day, {words.name(trend.system)}; "
                    + ("above its usual range" if trend.unusual else "within its usual range"),
                )
        if len(drawn) > 3:
            st.caption(f"The 3 of {len(drawn)} systems that are unusual or largest. Choose a system above for another.")

with ui.panel("Open cases and their deadlines", f"{open_cases:,} open", deadline_cell):
    when = {"overdue": "Overdue", "today": "Due today", "later": "Later"}
    counts = tuple(
        (words.SEVERITY[rank], label, sum(load.cases for load in loads if load.severity == rank and load.when == key))
        for rank in (4, 3, 2, 1)
        for key, label in when.items()
    )
    if open_cases:
        ui.chart(
            deadline_spec(counts, ui.theme()),
            "Open cases by severity: "
            + ", ".join(
                f"{sum(n for s, _w, n in counts if s == name)} {name.lower()} of which "
                f"{sum(n for s, w, n in counts if s == name and w == 'Overdue')} overdue"
                for name in (words.SEVERITY[rank] for rank in (4, 3, 2, 1))
            ),
        )
    else:
        st.markdown(":green[:material/task_alt:] **No case is open.**")
        st.caption("A call that a policy sends to review, or a reported answer, opens one.")

with ui.panel(
    "Detectors",
    f"since {words.day(session.local(min(d.since for d in state.detectors)), now)}" if state.detectors else "",
    detector_cell,
):
    if state.detectors:
        # Those that need somebody first; more than eight are on Admin.
        listed = sorted(state.detectors, key=lambda d: not (posture.absent(d) or posture.fails(d)))[:8]
        ui.table(
            [
                {
                    "Detector": words.detector(d.name),
                    "Answered": "None" if posture.absent(d) else f"{posture.answered(d):.1%}" if d.failed else "100%",
                    "State": ":orange-badge[Unavailable]"
                    if posture.absent(d)
                    else ":orange-badge[Fails]"
                    if posture.fails(d)
                    else ":gray[Working]",
                }
                for d in listed
            ]
        )
        missed = sum(d.failed for d in state.detectors)
        st.caption(
            f"{words.count(missed, 'text')} that a detector missed went to review; none passed unchecked."
            if missed
            else "Each text was answered. What a detector cannot answer goes to review."
        )
    else:
        st.caption("Each detector's answers and failures appear here once calls are checked.")

with ui.panel("Audit log", words.count(audit.size, "entry", "entries"), log_cell):
    ui.facts(
        {
            "Signed": f"{words.ago(session.local(audit.sealed_at), now)}, "
            + ("nothing waiting" if not audit.unsealed else f"{audit.unsealed:,} waiting")
            if audit.sealed_at
            else "Not yet",
            "Verified": ":red[:material/error: Does not verify]"
            if audit.verified is False
            else f":red[:material/error: {words.count(audit.findings, 'finding')} unanswered]"
            if audit.findings
            else f":green[:material/check:] Whole log, {words.moment(session.local(audit.verified_at), now)}"
            if audit.verified_at
            else ":orange[Not yet]",
            "Reveals": f"{audit.reveals:,} in 7 days, each with a reason" if audit.reveals else "None in 7 days",
        }
    )
    page_link("audit", "Open the audit trail", {})


def waiting_words() -> str:
    """How many calls wait for their check, and since when; coloured once that is late."""
    late, settings = state.backlog, session.application().settings
    if not late.waiting:
        return "None"
    said = f"{words.count(late.waiting, 'call')}, the oldest for {words.span(int(late.oldest_seconds))}"
    if late.oldest_seconds >= settings.check_lag_failure:
        return f":red[:material/error: {said}]"
    return f":orange[{said}]" if late.oldest_seconds >= settings.check_lag_warning else said


with ui.panel("Traffic", "7 days", traffic_cell):
    uncaptured, failed = sum(day.uncaptured for day in week), sum(day.failed for day in week)
    ui.facts(
        {
            "Checked": words.count(calls, "call"),
            "Without content": f":orange[{uncaptured:,}, shown as such]" if uncaptured else "None",
            "With an error": f"{failed:,}" if failed else "None",
            "Waiting": waiting_words(),
            "Tokens": f"{sum(d.input_tokens for d in week):,} in, {sum(d.output_tokens for d in week):,} out",
        }
    )
    page_link("calls", "Open calls", {})
