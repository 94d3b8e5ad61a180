"""Shall this change come into force? A policy set on its way: what differs, tests, figures, and the next step."""

from __future__ import annotations

import streamlit as st

from app.components import ui
from app.components.marked import source
from app.policies import backtests, rollouts
from app.policies import files as policy_files
from app.policies import sets as policy_sets
from app.policies import spelled as policy_text
from app.policies import tests as policy_tests
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.policies import UNDER_WAY, Rollout, RolloutOrigin, RolloutState
from governance.policy.difference import Difference
from governance.policy.policy import PolicySet

MOST = 12
# A longer difference is folded; it can be read whole.
LONG = 60

session.need(Permission.READ_CASES)
now = session.now()
asked = st.query_params.get("id", "")
files = policy_files.files()
rollout: Rollout | None = None
before: PolicySet | None = None
after: PolicySet | None = None
difference: Difference | None = None
if asked == "files":
    standing = policy_sets.in_force()
    before, after = (standing[1] if standing else None), files.set
    difference = policy_sets.drift(before, files)
elif asked.isdecimal() and len(asked) < 10:
    rollout = policy_sets.find(int(asked))
    if rollout is not None:
        before = policy_sets.readable(rollout.against) if rollout.against else None
        after = policy_sets.readable(rollout.digest)
        difference = policy_sets.changes(rollout.against, rollout.digest)

if rollout is None and (asked != "files" or after is None or before is None or difference is None):
    with ui.header("There is no such change" if asked != "files" else "The policy files cannot be compared"):
        pass
    if asked != "files":
        said = "There is nothing at this address"
    elif files.errors or files.set is None:
        said = f"{words.count(max(1, files.errors), 'mistake keeps', 'mistakes keep')} the files from being loaded"
    else:
        said = "Nothing is in force yet, or this version cannot read it"
    with ui.notice(said, "What is wrong, and the changes on their way, are on the page of policies.", "search_off"):
        st.page_link("views/policies.py", label="Open policies", icon=":material/policy:")
    st.stop()


def at(state: RolloutState) -> str:
    """'today 14:05 by Dana Okafor' for a step that was taken."""
    assert rollout is not None
    moment = rollout.when(state)
    if moment is None:
        return ""
    who = policy_sets.by(rollout, state)
    return f"{words.moment(session.local(moment), now)}" + (f" by {words.name(who, 40)}" if who else "")


under_way = [one for one in session.application().rollout.history(limit=30) if one.state in UNDER_WAY]
if rollout is None:
    with ui.header(
        f"The files differ: {difference.words}"
        if difference and difference.count
        else "The files are what is in force",
        "The policy files of this installation against what is in force",
    ):
        rollouts.propose_button(files, difference, under_way)
else:
    STATE_BADGE = {
        RolloutState.PROPOSED: ":orange-badge[:material/hourglass_top: Waits for approval]",
        RolloutState.APPROVED: ":gray-badge[:material/done_all: Approved]",
        RolloutState.SHADOW: ":gray-badge[:material/visibility: In shadow]",
        RolloutState.ENFORCE: ":green-badge[:material/check_circle: In force]",
        RolloutState.REJECTED: ":gray-badge[:material/undo: Returned]",
        RolloutState.RETIRED: ":gray-badge[:material/history: Retired]",
    }
    first = rollout.steps[0] if rollout.steps else None
    proposed = "the product itself, at the first start" if rollout.origin is RolloutOrigin.FIRST else ""
    who = proposed or (words.name(first.by_name, 60) if first else "somebody")
    with ui.header(
        f"Set {rollout.id}: {words.name(rollouts.what(rollout), 120)}",
        f"Proposed by {who}, {words.moment(session.local(rollout.proposed_at), now)}",
        STATE_BADGE[rollout.state],
    ):
        match rollout.state:
            case RolloutState.PROPOSED:
                rollouts.step_button(
                    rollout,
                    RolloutState.REJECTED,
                    "Return with a comment",
                    "reply",
                    note="What should be changed?",
                )
                rollouts.step_button(rollout, RolloutState.APPROVED, "Approve", "verified", primary=True)
            case RolloutState.APPROVED:
                rollouts.step_button(
                    rollout, RolloutState.REJECTED, "Return with a comment", "reply", note="What should be changed?"
                )
                rollouts.step_button(
                    rollout,
                    RolloutState.ENFORCE,
                    "Put into force at once",
                    "bolt",
                    note="Why without a time in shadow?",
                )
                rollouts.step_button(rollout, RolloutState.SHADOW, "Try in shadow", "visibility", primary=True)
            case RolloutState.SHADOW:
                rollouts.step_button(rollout, RolloutState.RETIRED, "Take out of shadow", "visibility_off")
                rollouts.step_button(rollout, RolloutState.ENFORCE, "Put into force", "bolt", primary=True)
            case RolloutState.RETIRED if rollout.when(RolloutState.ENFORCE) is not None:
                why_not = (
                    "" if session.may(Permission.PROPOSE_POLICY, "") else "Engineers and compliance officers go back"
                )
                if st.button(
                    f"Go back to set {rollout.id}", icon=":material/undo:", disabled=bool(why_not), help=why_not or None
                ):
                    rollouts.roll_back(rollout)
            case _:
                pass
session.told()

if rollout is not None:
    with st.container(border=True):
        order = (RolloutState.PROPOSED, RolloutState.APPROVED, RolloutState.SHADOW, RolloutState.ENFORCE)
        reached = max((place for place, state in enumerate(order) if rollout.when(state) is not None), default=0)
        LATER = {
            RolloutState.APPROVED: "by another person",
            RolloutState.SHADOW: "beside what is in force, acts on nothing",
            RolloutState.ENFORCE: "from the next call on, whole and at once",
        }
        if rollout.origin is not RolloutOrigin.FILES:
            st.caption(
                f"In force {at(RolloutState.ENFORCE)}. "
                + (
                    "It was approved when it first came into force."
                    if rollout.origin is RolloutOrigin.ROLLBACK
                    else "The first set of an installation needs no approval."
                )
            )
        else:
            skipped = rollout.when(RolloutState.ENFORCE) is not None and rollout.when(RolloutState.SHADOW) is None
            ui.steps(
                [
                    ("Proposed", at(RolloutState.PROPOSED)),
                    ("Approval", at(RolloutState.APPROVED) or LATER[RolloutState.APPROVED]),
                    ("In shadow", "left out" if skipped else at(RolloutState.SHADOW) or LATER[RolloutState.SHADOW]),
                    ("In force", at(RolloutState.ENFORCE) or LATER[RolloutState.ENFORCE]),
                ],
                # The step that is reached is done; the next one is where it stands.
                len(order) if rollout.when(RolloutState.ENFORCE) is not None else reached + 1,
            )
        for step in rollout.steps:
            if step.note:
                st.caption(f"{words.name(step.by_name, 60)}, {words.moment(session.local(step.at), now)}:")
                st.text(step.note)
        if rollout.state in (RolloutState.REJECTED, RolloutState.RETIRED):
            st.caption(f"{policy_sets.state_words(rollout)} {at(rollout.state)}.")
        if reason := rollout.gate.get("despite"):
            st.markdown(":orange[:material/info:] **It costs more than was agreed.** The proposer's reason:")
            st.text(str(reason))

left, right = ui.split()
with left, ui.panel("What changes", difference.words if difference is not None and difference.count else ""):
    if difference is None:
        st.caption("This version of the product cannot read one of the two sets.")
    elif not difference.count:
        st.caption(
            "Nothing differs."
            if rollout is not None
            else "Change a policy file where the files are kept, and its difference appears here to be proposed."
        )
    else:
        names = policy_sets.touched(difference)
        most = MOST if before is not None else len(names)
        for name in names[:most]:
            old, new = before.get(name) if before else None, after.get(name) if after else None
            shown = new or old
            assert shown is not None, "a difference is about a policy of either set"
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                done = "new" if old is None else "removed" if new is None else ""
                st.markdown(f"**{words.name(shown.title, 120)}**" + (f" :gray-badge[{done}]" if done else ""))
                ui.onward("policy", "Open the policy", id=name)
            if before is None:
                # The first set: all of it is new, and each policy has its page.
                continue
            lines = policy_text.differing(old, new)
            if len(lines) > LONG:
                with st.expander(f"All {words.count(len(lines), 'line')}"):
                    source(lines, key=f"diff-{asked}-{name}")
            else:
                source(lines, key=f"diff-{asked}-{name}")
        if len(names) > most:
            rest = len(names) - most
            st.caption(f"The first {most} are shown; {words.count(rest, 'further policy', 'further policies')} differ.")
        for one in difference.files if before is not None else ():
            st.markdown(f"**Data access: {words.name(one.path, 80)}**")
            source(policy_text.differing_text(str(one.was or ""), str(one.now or "")), key=f"file-{asked}-{one.path}")
with right:
    results = policy_tests.trials_of(after) if after is not None else []
    failed = [trial for trial in results if not trial.passed]
    with ui.panel("Tests", f"{len(results) - len(failed)} of {len(results)} pass" if results else ""):
        if not results:
            st.caption("The set's tests cannot be run by this version.")
        for trial in failed[:8]:
            st.markdown(f":red[:material/close:] {words.name(trial.name, 90)}")
            st.caption(f"Expected {words.verdict(trial.expected)}, got {words.verdict(trial.got)}")
        if results and not failed:
            st.markdown(":green[:material/check:] Each example comes out as its policy says.")
            todo = sum(trial.todo for trial in results)
            if todo:
                st.caption(f"{todo:,} of them {'is' if todo == 1 else 'are'} still to do: known, and not managed yet.")
    if rollout is not None and rollout.when(RolloutState.SHADOW) is not None:
        with ui.panel("Beside what is in force", "in shadow"):
            today = int(session.application().clock().timestamp() // 86_400)
            began = rollout.when(RolloutState.SHADOW)
            day = int(began.timestamp() // 86_400) if began else today
            decided = session.application().read_policies.decided(
                session.actor(), day, policy_set=rollout.policy_set_id
            )
            calls = sum(one.shadow_calls for one in decided)
            flagged = sum(one.shadow_flagged for one in decided)
            if calls:
                ui.facts(
                    {
                        "Decided": words.count(calls, "call"),
                        "Would flag": f"{flagged:,} ({words.share(flagged, calls)})",
                    }
                )
                st.caption("It acted on none of them.")
            else:
                st.caption("No call was decided in shadow yet; the next one will be.")
    if before is not None and after is not None and difference is not None and difference.count:
        backtests.panel(before, after)
    rollouts.effect_panel(rollout, before, after)
