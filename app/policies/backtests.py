"""A policy change tried on recorded calls, as its page starts, watches, stops and shows it.

A trial is `work` with processes that count, so that no other session waits for it. Its report is stored by the service;
what a page shows is always what was stored.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from app.components import ui
from app.policies import live as policy_figures
from app.shell import session, words, work
from governance.domain.people import Permission
from governance.policy.policy import PolicySet
from governance.services.policies.backtest.run import Progress
from governance.services.policies.share import percent

EXAMPLES = 3
SHOWN = 8
"""Policies in the chart, those with the largest changes."""


def panel(before: PolicySet, after: PolicySet) -> None:
    """What a change would do to recorded calls: asked for with a button, shown with how sure it is. Who sees the calls
    of some systems only sees, and tries, one of these at a time."""
    places = [""] if session.may(Permission.READ_CALLS, "") else session.systems()
    if not places:
        return
    with ui.panel("On recorded calls", "nothing is changed here"):
        system = places[0]
        if len(places) > 1:
            system = st.selectbox(
                "System", places, format_func=words.name, key="backtest-system", label_visibility="collapsed"
            )
        why_not = ""
        if not any(session.may(one, system) for one in (Permission.PROPOSE_POLICY, Permission.APPROVE_POLICY)):
            why_not = "Who may propose or approve a policy change tries it"
        key = ("backtest", after.digest, before.digest, system)
        trial = work.works().of(*key)
        if trial is not None and not trial.ended.is_set():
            work.watch(trial, "backtest", why_not=why_not)
            return
        service = session.application().backtest
        found = service.latest(session.actor(), after.digest, before.digest, system=system)
        work.trouble(trial)
        if found is None:
            of = f" of {words.name(system)}" if system else ""
            st.caption(f"What it would flag in the calls{of} of the last 30 days, beside what it is compared with.")
        else:
            _show(found, before, after)
        if found is not None and found["part"]:
            st.caption(
                "This is its part of a trial of all systems. "
                "What each policy changes, budgets and examples come with a trial of this system alone."
            )
        again = found is not None and not found["part"]
        if st.button(
            "Try it again" if again else f"Try it on {words.name(system) if system else 'recorded calls'}",
            icon=":material/science:",
            disabled=bool(why_not),
            help=why_not or None,
            key="backtest",
        ):
            who = session.begin()

            def job(heard: Progress) -> None:
                span = service.span(system=system)
                service.run(who, after, against=before, span=span, processes=work.PROCESSES, progress=heard)

            work.works().start(job, *key)
            st.rerun()


def _show(found: Mapping[str, Any], before: PolicySet, after: PolicySet) -> None:
    whole = found["whole"]
    if not found["calls"]:
        st.markdown(":gray[No call of the last 30 days could be decided.]")
        st.caption("Once an application sends calls and they are checked, their outcome under either set appears here.")
        _undecided(found["undecided"])
        return
    at = words.moment(session.local(pd.Timestamp(found["at"]).to_pydatetime()), session.now())
    of = f" of {words.name(found['system'], 40)}" if found["system"] else ""
    st.caption(f"{words.count(found['calls'], 'call')}{of}, tried {at} by {words.name(found['by'], 60)}")
    hours = whole["after"]["hours_a_week"]
    was = whole["before"]["hours_a_week"]
    with st.grid(3, min_column_width=96):
        st.metric("Newly flagged", f"{whole['newly_flagged']:,}")
        st.metric("No longer", f"{whole['no_longer_flagged']:,}")
        st.metric(
            "Hours a week",
            "Not known" if hours is None else policy_figures.hours(hours),
            "no verdict yet" if hours is None or was is None else f"was {policy_figures.hours(was)}",
            delta_color="off",
            delta_arrow="off",
        )
    st.caption("Hours: reviewers' time that the flagged calls take, from how long verdicts took.")
    titles = {one.id: one.title for one in (*before.policies, *after.policies)}
    if found["over_budget"] is not None:
        _gate(found["over_budget"], titles)
    _rates(
        "Share of calls flagged, by system: a line is the 95% interval",
        [(one["name"], one) for one in found["systems"]],
    )
    changed = sorted(
        (one for one in found["policies"] if one["newly_flagged"] or one["no_longer_flagged"]),
        key=lambda one: -(one["newly_flagged"] + one["no_longer_flagged"]),
    )
    if changed:
        _rates(
            "Share of calls flagged, by policy",
            [(titles.get(one["name"], one["name"]), one) for one in changed[:SHOWN]],
        )
        if len(changed) > SHOWN:
            st.caption(f"{words.count(len(changed) - SHOWN, 'further policy', 'further policies')}: policy backtest")
    precision = whole["after"]["precision"]
    if precision["of"]:
        ui.facts(
            {
                "Right when it flags": f"{_interval(precision)}, was {_interval(whole['before']['precision'])}",
                "Finds what it should": f"{_interval(whole['after']['recall'])}, "
                f"was {_interval(whole['before']['recall'])}",
            }
        )
    _examples("Newly flagged", whole["newly_examples"])
    _examples("No longer flagged", whole["no_longer_examples"])
    _undecided(found["undecided"])


def _gate(over: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> None:
    broken = [one for one in over if not one["already_in_force"]]
    if not broken:
        st.markdown(":green[:material/check:] Within what was agreed")
    for one in [*broken, *(one for one in over if one["already_in_force"])][:6]:
        title = words.name(titles.get(one["policy"], one["policy"]), 90)
        measured, allowed = percent(one["measured"]), percent(one["allowed"])
        said = (
            f"flags {measured} of its calls, at most {allowed} are agreed"
            if one["budget"] == "max_alert_rate"
            else f"right in {measured} of its alerts, at least {allowed} are agreed"
        )
        mark = ":gray[:material/info:]" if one["already_in_force"] else ":orange[:material/error:]"
        st.markdown(f"{mark} **{title}**: {said}" + (", as it is now" if one["already_in_force"] else ""))


def _interval(share: Mapping[str, Any]) -> str:
    return words.interval(share["hits"], share["of"]) if share["of"] else "not known"


def _rates(title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Shares of calls flagged, before and after, with their 95% intervals."""
    points = tuple(
        (words.name(name, 40), side, rate["value"], rate["low"], rate["high"])
        for name, one in rows
        for side, rate in (("Before", one["before"]["alert_rate"]), ("After", one["after"]["alert_rate"]))
        if rate["value"] is not None
    )
    if not points:
        return
    st.caption(title)
    said = "; ".join(f"{name} {side.lower()} {value:.1%}" for name, side, value, _low, _high in points[:12])
    ui.chart(_rates_spec(points, ui.theme()), f"{title.partition(':')[0]}: {said}")


@st.cache_data(show_spinner=False, max_entries=100)
def _rates_spec(points: tuple[tuple[str, str, float, float, float], ...], theme: str) -> dict[str, Any]:
    t = ui.tones()
    data = pd.DataFrame(points, columns=["Name", "Set", "Share", "Low", "High"])
    data["Name"] = ["\n".join(textwrap.wrap(name, 20)[:2]) for name in data["Name"]]
    names = list(dict.fromkeys(data["Name"]))
    form = ".0%" if data["High"].max() > 0.04 else ".1%"
    colour = alt.Color(
        "Set:N",
        scale=alt.Scale(domain=["Before", "After"], range=[t["gray"], t["text"]]),
        legend=alt.Legend(title=None, orient="top", labelColor=t["quiet"]),
    )
    place = alt.YOffset("Set:N", sort=["Before", "After"])
    rows = alt.Y("Name:N", title=None, sort=names, axis=alt.Axis(labelExpr="split(datum.label, '\\n')", labelLimit=140))
    base = alt.Chart(data)
    along = alt.X("Low:Q", title=None, axis=alt.Axis(format=form, tickCount=3, grid=True, gridColor=t["soft"]))
    lines = base.mark_rule(strokeWidth=2).encode(x=along, x2="High:Q", y=rows, yOffset=place, color=colour)
    dots = base.mark_point(filled=True, size=50, opacity=1).encode(
        x="Share:Q",
        y=rows,
        yOffset=place,
        color=colour,
        tooltip=["Name:N", "Set:N", *(alt.Tooltip(f"{one}:Q", format=".2%") for one in ("Share", "Low", "High"))],
    )
    return ui.spec(lines + dots, 60 + 36 * len(names))


def _examples(title: str, numbers: Sequence[str]) -> None:
    read, who = session.application().read_calls, session.actor()
    shown = [call for number in numbers[:EXAMPLES] if (call := read.find(who, int(number))) is not None]
    if not shown:
        return
    st.caption(f"{title}, for example")
    for call in shown:
        when = words.moment(session.local(call.row.started_at), session.now())
        ui.onward("call", f"{words.name(call.row.system, 40)}, {when}", id=call.row.id)


def _undecided(counts: Mapping[str, int] | None) -> None:
    if counts is None:
        return
    for name, said in (
        ("stale", "not decided: what was found in them is not what today's detectors find"),
        ("unchecked", "not decided: they could not be checked in the first place"),
        ("waiting", "not decided: they wait for the check"),
    ):
        if counts[name]:
            st.caption(f"{words.count(counts[name], 'call')} {said}")
