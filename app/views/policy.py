"""Is this policy right? One policy: its source, what it reads, its tests, its figures, and how it came to be."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from app.components import ui
from app.components.choice import choice
from app.components.marked import Line, pairs, source
from app.policies import files as policy_files
from app.policies import live as policy_figures
from app.policies import rollouts
from app.policies import sets as policy_sets
from app.policies import spelled as policy_text
from app.policies import suggestions as suggested
from app.policies import tests as policy_tests
from app.shell import session, words
from governance.domain.decisions import PolicyStatus
from governance.domain.people import Permission
from governance.domain.policies import UNDER_WAY
from governance.policy.controls import catalogue
from governance.policy.policy import Policy
from governance.services.policies.share import LEAST_VERDICTS, percent

session.need(Permission.READ_CASES)
now = session.now()
asked = st.query_params.get("id", "")[:200]
files = policy_files.files()
standing = policy_sets.in_force()
current = standing[1] if standing else None
ruling = current.get(asked) if current else None
written = files.set.get(asked) if files.set else None
policy_or_none: Policy | None = ruling or written
file = files.names.get(asked, "")
if policy_or_none is None and file:
    wrong = files.of(asked)
    with ui.header("This file is no policy yet", f"{words.name(file, 120)} · {policy_files.counted(wrong)}"):
        st.page_link("views/policies.py", label="All policies", icon=":material/policy:")
    with st.container(border=True):
        source(policy_files.source(file, wrong), key=f"file-{asked}")
    st.stop()
if policy_or_none is None:
    with ui.header("There is no such policy"):
        pass
    with ui.notice("There is nothing at this address", "Look for the policy by its title or its owner.", "search_off"):
        st.page_link("views/policies.py", label="Open policies", icon=":material/policy:")
    st.stop()
policy: Policy = policy_or_none

wrong = files.of(policy.id)
history = session.application().rollout.history(limit=50)
under_way = [one for one in history if one.state in UNDER_WAY]
touching = [
    one
    for one in under_way
    if (what := policy_sets.changes(one.against, one.digest)) is not None and policy.id in policy_sets.touched(what)
]
live = policy_figures.figures().of(policy)
absent = rollouts.absent()

STAGE = {
    PolicyStatus.ENFORCE: ":gray-badge[:material/check_circle: In force]",
    PolicyStatus.SHADOW: ":gray-badge[:material/visibility: Shadow, acts on nothing]",
    PolicyStatus.DRAFT: ":gray-badge[:material/edit: Draft]",
    PolicyStatus.RETIRED: ":gray-badge[:material/history: Retired]",
}
badges = ui.severity(policy.severity.rank)
badges += f" {STAGE[policy.status]}" if ruling else " :orange-badge[:material/edit: Only in the files]"
ends = (
    f"a person looks at it in {words.queue(policy.then.queue).lower()}"
    if policy.then.queue
    else "no person looks at it"
)
with ui.header(
    words.name(policy.title, 140),
    f"Owner {words.name(words.team(policy.owner), 60)} · {words.VERB[policy.then.action].lower()}, {ends}",
    badges,
):
    st.page_link("views/policies.py", label="All policies", icon=":material/policy:")
    for one in touching[:1]:
        ui.onward("change", f"Set {one.id} changes it", id=one.id)
session.told()

missing = policy_figures.unavailable(policy, absent)
if missing:
    with st.container(border=True, gap="xxsmall"):
        st.markdown(
            f":orange[:material/error:] **{words.detector(missing[0])} does not work here.** "
            f"What it cannot examine {words.ON_ERROR[policy.on_error]}."
        )
        gone = absent[missing[0]]
        st.caption(f"Since {words.moment(session.local(gone.absent_since or gone.since), now)}")
        st.text(words.failure(gone.last_failure))
if policy.description:
    st.text(policy.description.strip())

budget = policy.budget
hit = words.ago(session.local(live.last_at), now) if live.last_at else ""
with st.grid(6, min_column_width=138, border=True, row_height=112):
    st.metric(
        "Flagged, 7 d",
        f"{live.week:,}",
        f"{live.flagged:,} in {policy_figures.DAYS} d",
        delta_color="off",
        delta_arrow="off",
    )
    agreed = f"agreed {percent(budget.max_alert_rate)}" if budget.max_alert_rate < 1 else "no limit agreed"
    over = live.calls > 0 and live.rate > budget.max_alert_rate
    st.metric(
        "Share of calls",
        f"{live.rate:.1%}" if live.calls else "No calls",
        agreed,
        delta_color="orange" if over else "off",
        delta_arrow="off",
    )
    below = live.cases >= LEAST_VERDICTS and live.right / live.cases < budget.min_precision
    st.metric(
        "Right when it flags",
        f"{live.right / live.cases:.0%}" if live.cases else "Unknown",
        f"{words.interval(live.right, live.cases).partition(' ')[2]} of {words.count(live.cases, 'case')}"
        if live.cases
        else "no verdict yet",
        delta_color="orange" if below else "off",
        delta_arrow="off",
    )
    st.metric(
        "Could not judge",
        words.share(live.errors, live.calls) if live.errors else "None",
        words.count(live.errors, "call"),
        delta_color="orange" if live.errors else "off",
        delta_arrow="off",
    )
    st.metric(
        "Last hit",
        hit.removesuffix(" ago").capitalize() or "None",
        "ago" if hit.endswith(" ago") else f"in {policy_figures.DAYS} days",
        delta_color="off",
        delta_arrow="off",
    )
    st.metric(
        "Reviewer hours",
        policy_figures.hours(live.hours_a_week) if live.cases else "None",
        f"a week, {words.count(live.cases, 'case')}",
        delta_color="off",
        delta_arrow="off",
    )

left, right = ui.split()
with left:
    views: dict[str, str] = {}
    if file:
        views["File"] = f"{file} · {policy_files.counted(wrong)}"
    if ruling is not None:
        views["In force"] = f"set {standing[0].id}" if standing else ""
    differing = ruling is not None and written is not None and ruling.document() != written.document()
    if differing:
        views["What differs"] = "the file against what is in force"
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            chosen = choice("Show", list(views), key=f"source-{policy.id}", segmented=True)
            st.caption(words.name(views[chosen], 120), width="content")
        if chosen == "File":
            source(policy_files.source(file, wrong), key=f"file-{policy.id}")
        elif chosen == "In force":
            lines = policy_text.spelled(ruling).splitlines()
            source([Line(text=text, n=str(number)) for number, text in enumerate(lines, 1)], key=f"force-{policy.id}")
            st.caption("As it was promoted: comments and defaults are left out.")
        else:
            source(policy_text.differing(ruling, written), key=f"differs-{policy.id}")

    base = files.set if written is not None and files.set is not None else current
    assert base is not None, "the policy is in one of them"
    results = policy_tests.trials_of(base, policy.id)
    good = sum(trial.passed for trial in results)
    seen = policy_tests.seen_by_tests(base, policy.id)
    said = f"{good} of {len(results)} pass" if results else ""
    if seen is not None:
        said += f" · {seen.seen} of {seen.wanted} outcomes of the condition's parts seen"
    with ui.panel("Tests", said):
        if not results:
            st.caption("It has no test: write one call that it flags and one that it leaves alone.")
        else:
            ui.table(
                [
                    {
                        "Test": words.name(trial.name, 90),
                        "Expected": ui.whole(words.verdict(trial.expected))
                        + (" :gray-badge[to do]" if trial.todo else ""),
                        "Got": (
                            ":green[:material/check:] "
                            if trial.met
                            else ":gray[:material/pending:] "
                            if trial.passed
                            else ":red[:material/close:] "
                        )
                        + ui.whole(words.verdict(trial.got)),
                    }
                    for trial in results[:20]
                ]
            )
            for trial in results:
                if not trial.passed and trial.reason:
                    st.caption(f"{words.name(trial.name, 90)}:")
                    st.text(trial.reason)
            unseen = [one for one in seen.parts if one.missing] if seen is not None else []
            for part in unseen[:5]:
                st.caption(f"No test has seen this part of the condition {' or '.join(part.missing)}:")
                st.text(" ".join(part.part.text.split()))
            if len(unseen) > 5:
                st.caption(f"{words.count(len(unseen) - 5, 'further part')}: governance policy test --coverage")

    if files.set is not None:
        suggested.panel(files.set, policy.id, file)

    with ui.panel("Versions", "sets in which it changed"):
        versions = policy_sets.versions(history, policy.id)
        if not versions:
            st.caption("Each set that changes it appears here once it was in force.")
        else:
            ui.table(
                [
                    {
                        "Set": str(one.rollout.id),
                        "In force": ui.whole(rollouts.when_in_force(one.rollout)),
                        "What changed": words.name(one.what, 110),
                        "Approved by": ui.whole(words.name(one.approved_by, 60)) if one.approved_by else "",
                    }
                    for one in versions[:8]
                ]
            )
            earlier = {f"set {one.rollout.id}": one for one in versions if one.before is not None}
            if earlier:
                picked = st.selectbox(
                    "What a set changed",
                    list(earlier),
                    index=None,
                    placeholder="Show what a set changed",
                    label_visibility="collapsed",
                    key=f"version-{policy.id}",
                )
                if picked:
                    version = earlier[picked]
                    source(policy_text.differing(version.before, version.policy), key=f"version-{policy.id}-{picked}")


@st.cache_data(show_spinner=False, max_entries=100)
def days_spec(days: tuple[int, ...], last: int, theme: str) -> dict[str, Any]:
    t = ui.tones()
    data = pd.DataFrame(
        {
            "Day": [pd.Timestamp(last - len(days) + 1 + place, unit="D") for place in range(len(days))],
            "Flagged": list(days),
        }
    )
    bars = (
        alt.Chart(data)
        .mark_bar(color=t["gray"], width=12)
        .encode(
            x=alt.X("Day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=3, labelFlush=True)),
            y=alt.Y(
                "Flagged:Q",
                title=None,
                axis=alt.Axis(tickCount=3, format="d", tickMinStep=1, grid=True, gridColor=t["soft"]),
            ),
            tooltip=[alt.Tooltip("Day:T", format="%-d %b"), "Flagged:Q"],
        )
    )
    return ui.spec(bars, 120)


with right:
    with ui.panel("Calls flagged each day", f"{len(live.days)} days"):
        if live.flagged:
            today = int(session.application().clock().timestamp() // 86_400)
            ui.chart(
                days_spec(live.days, today, ui.theme()),
                f"Calls flagged on each of the last {len(live.days)} days, {sum(live.days):,} together",
            )
        else:
            st.caption(f"It flagged nothing in {policy_figures.DAYS} days.")
        if live.excepted:
            st.caption(f"{words.count(live.excepted, 'call')} fell under an exception.")
    with ui.panel("What it reads", "as in force" if ruling is not None else "as in the file"):
        scope = policy.applies_to
        reads = {
            "Systems": "All" if scope.systems == ["*"] else ", ".join(scope.systems),
            "Parts": ", ".join(words.PART[part] for part in scope.parts) or "All",
        }
        if scope.kinds:
            reads["Kinds"] = ", ".join(words.CALL_KIND[kind] for kind in scope.kinds)
        if scope.roles != ["*"]:
            reads["Roles"] = ", ".join(scope.roles)
        if scope.releases != ["*"]:
            reads["Releases"] = ", ".join(scope.releases)
        for detect in policy.detectors.values():
            options = detect.requested.options
            chosen_packs = options.get("packs")
            asked_for = ", ".join(map(str, chosen_packs)) if isinstance(chosen_packs, list | tuple) else ""
            state = "unavailable" if detect.use in absent else "works"
            reads[words.detector(detect.use)] = " · ".join(filter(None, (asked_for, state)))
        for name, value in policy.params.items():
            reads[words.condition(f"params.{name}")] = (
                ", ".join(str(one).replace("_", " ") for one in value) if isinstance(value, list) else str(value)
            )
        reads["On failure"] = words.ON_ERROR[policy.on_error].capitalize()
        pairs(reads, key=f"reads-{policy.id}")
    if policy.exceptions:
        with ui.panel("Exceptions", str(len(policy.exceptions))):
            for exception in policy.exceptions[:6]:
                end = datetime.combine(exception.expires, datetime.max.time(), now.tzinfo)
                tone = "orange" if end < now + policy_figures.ENDS_SOON else "gray"
                said = "ended" if end < now else "ends"
                with st.container(gap="xxsmall"):
                    approver = words.name(exception.approved_by, 60)
                    st.markdown(f":{tone}-badge[{said} {words.day(end, now)}] :gray[approved by {approver}]")
                    st.text(exception.reason)
                    st.code(exception.when, language=None, wrap_lines=True)
    with ui.panel("Cases it opened", "the latest"):
        opened = session.application().read_policies.latest_cases(session.actor(), policy.id)
        for case in opened:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                outcome = words.OUTCOME.get(case.outcome, words.CASE_STATE[case.state])
                st.caption(f"{outcome} · {words.ago(case.opened_at, now)}", width="content")
                st.page_link("views/case.py", label=f"Case {case.id}", query_params={"id": str(case.id)})
        if not opened:
            st.caption(
                "A call that it sends to a person opens a case here." if policy.then.queue else "It opens no cases."
            )
    if policy.controls:
        with ui.panel("What it is mapped to"):
            known = catalogue()
            served = {}
            for framework, numbers in policy.controls.items():
                titles = known[framework].controls if framework in known else {}
                for number in numbers:
                    title = titles[number].title if number in titles else ""
                    served[f"{words.CONTROL.get(framework, words.plain(framework))} {number}"] = title
            pairs(served, key=f"serves-{policy.id}")
