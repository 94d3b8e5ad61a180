"""Which policies are in force, how good are they, and what change waits? The list, and the way of sets into force."""

from __future__ import annotations

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.rows import Column, choose, quiet
from app.policies import files as policy_files
from app.policies import live as policy_figures
from app.policies import rollouts
from app.policies import sets as policy_sets
from app.policies import tests as policy_tests
from app.shell import session, words
from governance.domain.decisions import PolicyStatus
from governance.domain.people import Permission
from governance.domain.policies import UNDER_WAY, Rollout, RolloutState
from governance.policy.policy import Policy

session.need(Permission.READ_CASES)
now = session.now()
found = policy_files.files()
standing = policy_sets.in_force()
current = standing[1] if standing else None
history = session.application().rollout.history(limit=30)
waiting = [one for one in history if one.state is RolloutState.PROPOSED]
under_way = [one for one in history if one.state in UNDER_WAY]
differs = policy_sets.drift(current, found)

STAGE = {
    PolicyStatus.ENFORCE: "Enforced",
    PolicyStatus.SHADOW: "Shadow",
    PolicyStatus.DRAFT: "Draft",
    PolicyStatus.RETIRED: "Retired",
}
NEW = "Only in the files"
UNKNOWN = "Not measured"


def title() -> str:
    if current is None:
        return "No policy is in force yet"
    decide = [one for one in current.policies if one.status is PolicyStatus.ENFORCE]
    said = f"{words.count(len(decide), 'policy', 'policies')} in force"
    if waiting:
        said += f", {words.count(len(waiting), 'change waits', 'changes wait')} for approval"
    elif under_way:
        said += f", {words.count(len(under_way), 'change is', 'changes are')} under way"
    return said


def since(rollout: Rollout) -> str:
    at = rollout.when(RolloutState.ENFORCE)
    return words.moment(session.local(at), now) if at else ""


if standing is None or current is None:
    note = "The first start brings one into force"
else:
    shadowed = sum(one.status is PolicyStatus.SHADOW for one in current.policies)
    note = f"{shadowed} more in shadow · " if shadowed else ""
    note += f"set {standing[0].id}, since {since(standing[0])} · figures of the last {policy_figures.DAYS} days"
with ui.header(title(), note[:1].upper() + note[1:]):
    for one in waiting[:1]:
        ui.onward("change", f"Look at set {one.id}", id=one.id)
    rollouts.propose_button(found, differs, under_way)
session.told()

if current is None and found.set is None:
    with ui.notice(
        "No policy decides here",
        "The policies of this installation come into force when it starts: `governance serve`.",
        "policy",
    ):
        pass
    if found.trouble:
        st.text(found.trouble)
    st.stop()

if found.errors:
    with st.container(border=True, gap="xxsmall"):
        st.markdown(
            f":red[:material/error:] **{words.count(found.errors, 'mistake keeps', 'mistakes keep')} the policy files "
            "from being loaded.** What is in force goes on unchanged."
        )
        for problem in [one for one in found.problems if one.level == "error"][:5]:
            st.text(f"{problem.place}: {problem.message}")
        st.caption("All of them, with hints: governance policy lint")
elif found.trouble:
    with st.container(border=True, gap="xxsmall"):
        st.markdown(":orange[:material/info:] **The policy files cannot be read.** What is in force goes on unchanged.")
        st.text(found.trouble)

listed: dict[str, Policy] = {one.id: one for one in (current.policies if current else ())}
fresh = {one.id for one in (found.set.policies if found.set else ())} - listed.keys()
listed |= {one.id: one for one in (found.set.policies if found.set else ()) if one.id in fresh}
live = policy_figures.figures()
absent = rollouts.absent()
results = policy_tests.trials_of(current) if current else []
changed = dict.fromkeys(policy_sets.touched(differs), "Changed in the files") if differs else {}
changed |= dict.fromkeys(differs.removed if differs else (), "Removed in the files")
for one in under_way:
    difference = policy_sets.changes(one.against, one.digest)
    for name in policy_sets.touched(difference) if difference else ():
        changed[name] = policy_sets.state_words(one)

Row = dict[str, object]
rows: list[tuple[str, str, bool, Row]] = []
for policy in listed.values():
    own = live.of(policy)
    said, odd = policy_figures.attention(
        policy,
        own,
        wrong=[one for one in found.of(policy.id) if one.level == "error"],
        failed=sum(not one.passed for one in results if one.policy == policy.id),
        absent=policy_figures.unavailable(policy, absent),
        changed="New in the files" if policy.id in fresh else changed.get(policy.id, ""),
        today=now,
    )
    stage = NEW if policy.id in fresh else STAGE[policy.status]
    rows.append(
        (
            policy.id,
            stage,
            odd,
            {
                "Policy": policy.title,
                "Attention": said,
                "Severity": policy.severity.rank,
                "Flagged, 7 d": own.week,
                "Right when it flags": words.interval(own.right, own.cases).capitalize() if own.cases else UNKNOWN,
                "Could not judge": words.share(own.errors, own.calls) if own.errors else "",
                "Last hit": words.ago(session.local(own.last_at), now) if own.last_at else "",
                "Each day": list(own.days),
                "Hours a week": own.hours_a_week,
                "Stage": stage,
            },
        )
    )

ATTENTION = "Needs attention"
views = {"All": len(rows), ATTENTION: sum(odd for _id, _stage, odd, _row in rows)}
for stage in (*STAGE.values(), NEW):
    if number := sum(one == stage for _id, one, _odd, _row in rows):
        views[stage] = number

address.check("policies", {"show": views, "find": None})
address.say()
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    view = choice("Stage", list(views), key="policies_view", address="show", counts=views, on_change=address.forget)
    search = st.text_input(
        "Search",
        key="find",
        bind="query-params",
        placeholder="Title, owner or control",
        icon=":material/search:",
        label_visibility="collapsed",
        width=230,
    )


def fits(policy: Policy, wanted: str) -> bool:
    numbers = [number for listed_ in policy.controls.values() for number in listed_]
    text = " ".join([policy.id, policy.title, policy.owner, words.plain(policy.owner), *numbers]).lower()
    return all(word in text for word in wanted.lower().split())


shown = [
    (identifier, row)
    for identifier, stage, odd, row in sorted(rows, key=lambda one: (not one[2], -int(str(one[3]["Severity"])), one[0]))
    if (view == "All" or (view == ATTENTION and odd) or view == stage) and fits(listed[identifier], search)
]


def attention_colour(value: str) -> str:
    if value in ("", "New in the files", *changed.values()):
        return "quiet"
    return "red" if "mistake" in value else "orange"


if not shown:
    with ui.notice("No policy fits", "There are policies outside this view.", "search_off"):

        def show_all() -> None:
            st.session_state.update(policies_view="All", find="")
            st.query_params.pop("show", None)

        st.button(
            f"Show all {words.count(len(rows), 'policy', 'policies')}", icon=":material/policy:", on_click=show_all
        )
else:
    # A column in which nobody has anything to read gives its place to the titles.
    columns = {
        "Policy": Column(least=300),
        "Attention": Column(width=134, optional=True, tone=attention_colour),
        "Severity": Column(width=70, show=lambda rank: words.SEVERITY[rank]),
        "Flagged, 7 d": Column(width=96, right=True, show=lambda number: f"{number:,}" if number else ""),
        "Right when it flags": Column(
            width=134,
            help="Share of its cases that reviewers called a violation, with the 95% interval",
            tone=lambda value: "quiet" if value == UNKNOWN else "",
        ),
        "Could not judge": Column(
            label="Failed",
            width=72,
            optional=True,
            help="Share of calls that it could not judge: they went to a person",
            tone=lambda value: "orange" if value else "",
        ),
        "Last hit": Column(width=84, tone=quiet),
        "Each day": Column(width=96, bars=True, help=f"Calls flagged on each of the last {policy_figures.SHOWN} days"),
        "Hours a week": Column(
            label="Hours",
            width=58,
            optional=True,
            right=True,
            help="Reviewer time a week that its cases took",
            show=lambda hours: policy_figures.hours(hours) if hours else "",
        ),
        "Stage": Column(width=84, tone=quiet),
    }
    chosen = choose(
        [row for _id, row in shown],
        columns,
        key="policies",
        name="Policies with live figures",
        row_height=36,
    )
    if chosen is not None:
        st.switch_page("views/policy.py", query_params={"id": shown[chosen][0]})
    st.caption(
        "Right when it flags: of the cases it opened, how many reviewers called a violation · choose a row to open it"
    )

grid = st.grid(3, min_column_width=280, border=True)
sets_cell, next_cell = grid.cell(column_span=2), grid.cell()
with ui.panel("Policy sets", "what was in force, and when", sets_cell):
    rollouts.history_table(history)
with ui.panel("Changes", str(len(under_way)) if under_way else "", next_cell):
    rollouts.changes_panel(under_way, differs, found)
