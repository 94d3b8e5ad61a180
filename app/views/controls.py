"""Which controls of outside frameworks are policies mapped to, what shows it, and where are the gaps?"""

from __future__ import annotations

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.marked import pairs
from app.components.rows import Column, choose, quiet
from app.policies import controls
from app.policies import sets as policy_sets
from app.shell import session, words
from governance.domain.people import Permission
from governance.policy.controls import Means
from governance.services.policies.controls.coverage import ControlCoverage

session.need(Permission.READ_CASES)
now = session.now()
standing = policy_sets.in_force()
if standing is None:
    with (
        ui.header("No policy is in force yet", "The first start brings one into force"),
        ui.notice("Nothing is mapped yet", "Policies name the controls that they are about.", "checklist"),
    ):
        pass
    st.stop()
policy_set = standing[1]

known = controls.frameworks()
VIEWS = ("For policies", "With a gap", "Not for policies", "All")
MEANS = {Means.PRODUCT: "The product itself", Means.ORGANISATION: "The organisation", Means.POLICIES: "Policies"}
period: str = st.session_state.get("controls_period", "Month")
found = controls.report(policy_set, controls.PERIODS.get(period, 30))
parts = {part.framework.label: part for part in found.frameworks}
expected = sum(part.expected for part in parts.values())
gaps = sum(part.with_gaps for part in parts.values())
mapped = sum(part.mapped for part in parts.values())
title = f"{mapped} of {expected} controls are mapped to a policy"
note = (
    f"{gaps} have a gap in the period · a mapping says which policies are about a control, not that the control is met"
)
with ui.header(title, note):
    choice("Period", list(controls.PERIODS), key="controls_period", default="Month", segmented=True)
session.told()

address.check("controls", {"framework": known, "show": VIEWS, "control": None})
address.say()
label = choice(
    "Framework",
    list(known),
    key="controls_framework",
    address="framework",
    counts={name: part.with_gaps for name, part in parts.items()},
    on_change=address.forget,
)
part = parts[label]
kept = {
    "For policies": tuple(one for one in part.controls if not one.outside),
    "With a gap": tuple(one for one in part.controls if one.gaps),
    "Not for policies": tuple(one for one in part.controls if one.outside),
    "All": part.controls,
}
view = choice(
    "Show",
    VIEWS,
    key="controls_view",
    address="show",
    counts={name: len(ones) for name, ones in kept.items()},
    on_change=address.forget,
)
shown = kept[view]
left, right = ui.split()


def row(one: ControlCoverage) -> dict[str, object]:
    hits = one.hits
    return {
        "Control": one.control.id,
        "Title": one.control.title,
        "Gap": controls.attention(one),
        "Policies": len(one.policies),
        "Tests": one.tests,
        "Hits": hits.fired + hits.shadow_fired,
        "Violations": controls.verdicts(one),
        "For": MEANS[one.control.means] if one.outside else "",
    }


def number(value: int) -> str:
    return f"{value:,}" if value else ""


asked = st.query_params.get("control", "")
opened = next((place for place, one in enumerate(shown) if one.control.id == asked), -1)
with left:
    if not shown:
        with ui.notice("No control fits", "There are controls outside this view.", "search_off"):
            pass
    else:
        picked = choose(
            [row(one) for one in shown],
            {
                "Control": Column(width=120),
                "Title": Column(least=230),
                "Gap": Column(width=130, optional=True, tone=controls.tone),
                "Policies": Column(width=62, right=True, show=number),
                "Tests": Column(width=52, right=True, show=number, help="Tests that must pass, of all its policies"),
                "Hits": Column(width=60, right=True, show=number, help="How often its policies fired, in shadow too"),
                "Violations": Column(
                    width=78,
                    optional=True,
                    right=True,
                    help="Cases that reviewers called a violation, of those decided",
                ),
                "For": Column(width=128, optional=True, tone=quiet, help="Who can serve it, in our judgement"),
            },
            key="controls",
            name=f"Controls of {label}",
            height=36 * 14 + 38,
            current=opened,
        )
        if picked is not None:
            st.query_params["control"] = shown[picked].control.id
            st.rerun()
        st.caption("Choose a row to see its policies, tests and evidence")
    if opened >= 0:
        one = shown[opened]
        with ui.panel(f"{label} {one.control.id}: {one.control.title}"):
            for gap in one.gaps:
                st.markdown(f":orange[:material/info:] {gap.words}")
            if not one.policies:
                st.caption(f"{MEANS[one.control.means]} can serve it; no policy is mapped to it.")
            for policy in one.policies:
                hits = policy.hits
                with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                    st.text(policy.title, width="content")
                    ui.onward("policy", "Policy", id=policy.id)
                failed = f", {policy.failed} failing" if policy.failed else ""
                said = [
                    words.plain(policy.status.value),
                    f"{words.count(policy.promised, 'test')}{failed}",
                    words.count(hits.fired + hits.shadow_fired if hits else 0, "hit"),
                ]
                if hits and hits.verdicts:
                    said.append(f"{hits.violations} of {words.count(hits.verdicts, 'case')} violations")
                if hits and hits.waiting:
                    said.append(f"{words.count(hits.waiting, 'case waits', 'cases wait')}")
                if hits and hits.errors:
                    said.append(f"could not judge {words.count(hits.errors, 'call')}")
                if hits and hits.last_at:
                    said.append(f"last hit {words.ago(session.local(hits.last_at), now)}")
                st.caption(" · ".join(said))
                st.code(policy.evidence, language=None, wrap_lines=True)

with right:
    with ui.panel(label):
        framework = part.framework
        pairs(
            {
                "Version": framework.version,
                "Published by": framework.publisher,
                "Source": framework.source,
                "Listed": words.count(len(part.controls), "control") + ("" if framework.complete else ", a selection"),
                "For policies": f"{part.expected}, {part.mapped} mapped",
                "Policy set": f"{standing[0].id}, {policy_set.digest[:12]}",
            },
            key=f"framework-{framework.name}",
        )
    with ui.panel("Take the report away"):
        form = controls.FORMS[choice("Form", list(controls.FORMS), key="controls_form", segmented=True)]
        everything = st.toggle("All frameworks", value=True, key="controls_all")
        may = session.may(Permission.EXPORT_EVIDENCE)
        name = "controls" if everything else framework.name.replace("_", "-")
        st.download_button(
            "Download",
            controls.file(policy_set, controls.PERIODS[period], form, "" if everything else framework.name),
            file_name=f"{name}-{now:%Y-%m-%d}.{form.ending}",
            mime=form.mime,
            icon=":material/download:",
            width="stretch",
            disabled=not may,
            help=None if may else "Compliance officers and auditors export evidence",
            on_click="ignore",
        )
        st.caption(
            "Tests, hits and verdicts of the period. Taking it is an entry of the audit trail, with its SHA-256."
        )
