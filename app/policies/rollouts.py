"""The way of a policy set into force, as the pages show and move it: proposals, approvals, shadow, force, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app.components import ui
from app.policies import files as policy_files
from app.policies import sets as policy_sets
from app.shell import session, words
from governance.domain.people import Permission
from governance.domain.policies import Rollout, RolloutOrigin, RolloutState
from governance.errors import GovernanceError
from governance.policy.difference import Difference
from governance.policy.policy import PolicySet
from governance.services.policies.rollout import GateClosed, owns
from governance.systems import posture
from governance.systems.health import Detector

_NOTE = 500


def absent() -> Mapping[str, Detector]:
    """The detectors that do not work here, by name."""
    checking = session.application().read_calls.checking(session.actor(), session.application().clock())
    return {one.name: one for one in checking.detectors if posture.absent(one)}


def why_not_propose(found: policy_files.Files, differs: Difference | None, under_way: Sequence[Rollout]) -> str:
    """Why the files cannot be proposed now; "" when they can."""
    if not session.may(Permission.PROPOSE_POLICY, ""):
        return "Engineers and compliance officers propose changes"
    if found.errors or found.set is None:
        return "Fix the mistakes in the files first"
    if differs is None:
        return "Nothing is in force yet"
    if not differs.count:
        return "The files are what is in force: change them first"
    if any(one.digest == found.set.digest for one in under_way):
        return "This change is under way already"
    return ""


def propose_button(found: policy_files.Files, differs: Difference | None, under_way: Sequence[Rollout]) -> None:
    """Proposes what the files hold."""
    why_not = why_not_propose(found, differs, under_way)
    if st.button(
        "Propose a change",
        icon=":material/edit_document:",
        type="primary",
        disabled=bool(why_not),
        help=why_not or "What the policy files hold, against what is in force",
        key="propose",
    ):
        _propose(found, differs)


@st.dialog("Propose a change")
def _propose(found: policy_files.Files, differs: Difference | None) -> None:
    assert found.set is not None and differs is not None, "the button asked"  # noqa: PT018
    st.markdown(f"The policy files against what is in force: **{words.name(differs.words, 200)}**.")
    st.caption("Its tests run first, then its budgets on recorded calls. Another person approves it.")
    note = st.text_area("What it is for", key="propose-note", max_chars=_NOTE, placeholder="For whoever approves it")
    broken = st.session_state.get("propose-broken", "")
    despite = ""
    if broken:
        st.markdown(":orange[:material/info:] **It costs more than was agreed**")
        st.text(broken)
        despite = st.text_area("Why that is accepted", key="propose-despite", max_chars=_NOTE)
    if st.button("Propose", type="primary", icon=":material/send:", key="propose-go"):
        bar = st.progress(0.0, "Running the tests …")

        def watch(done: int, of: int) -> None:
            bar.progress(min(1.0, done / of) if of else 0.0, f"{done:,} of {words.count(of, 'recorded call')} …")

        try:
            made = session.application().rollout.propose(
                session.begin(), found.set, note=note, despite=despite, progress=watch
            )
        except GateClosed as closed:
            bar.empty()
            if "budget" in closed.message:
                st.session_state["propose-broken"] = closed.message
                st.rerun(scope="fragment")
            complaint(closed)
        except GovernanceError as error:
            bar.empty()
            complaint(error)
        else:
            st.session_state.pop("propose-broken", None)
            session.tell(f"Set {made.id} waits for the approval of another person.")
            st.switch_page("views/change.py", query_params={"id": str(made.id)})


def complaint(error: GovernanceError) -> None:
    """What was refused, as its own sentence, where it was asked for."""
    st.markdown(":orange[:material/info:] **That did not happen**")
    st.text(f"{error.message} {error.advice}".strip())


def when_in_force(found: Rollout) -> str:
    """'since Sat 21 Nov 16:05', '9 to 21 Nov', or how far it came."""
    now = session.now()
    began = found.when(RolloutState.ENFORCE)
    if began is None:
        return policy_sets.state_words(found)
    first = session.local(began)
    if found.state is RolloutState.ENFORCE:
        return f"since {words.moment(first, now)}"
    ended = found.when(RolloutState.RETIRED)
    last = session.local(ended) if ended else now
    if first.date() == last.date():
        return f"{words.day(first, now)}, {first:%H:%M} to {last:%H:%M}"
    return f"{words.day(first, now)} to {words.day(last, now)}"


def what(found: Rollout) -> str:
    """What a set changed, in a few words."""
    if found.origin is RolloutOrigin.FIRST:
        return "The first set"
    said = policy_sets.sentence(found.against, found.digest)
    return f"Back to an earlier set: {said}" if found.origin is RolloutOrigin.ROLLBACK else said[:1].upper() + said[1:]


def history_table(history: Sequence[Rollout]) -> None:
    """What was in force, newest first, and the way back."""
    enforced = [one for one in history if one.when(RolloutState.ENFORCE) is not None]
    if not enforced:
        st.caption("What comes into force appears here, with who proposed and who approved it.")
        return
    ui.table(
        [
            {
                "Set": str(one.id),
                "In force": ui.whole(when_in_force(one)),
                "Change": words.name(what(one), 90),
                "Proposed by": ui.whole(_person(policy_sets.by(one, one.steps[0].state) if one.steps else "")),
                "Approved by": ui.whole(_person(policy_sets.by(one, RolloutState.APPROVED)) if _approved(one) else ""),
            }
            for one in enforced[:6]
        ]
    )
    before = next((one for one in enforced if one.state is RolloutState.RETIRED), None)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption("Going back takes effect at the next call. Decisions already made keep their set.", width="content")
        why_not = (
            "Engineers and compliance officers go back"
            if not session.may(Permission.PROPOSE_POLICY, "")
            else "No other set was in force before"
            if before is None
            else ""
        )
        if st.button(
            f"Go back to set {before.id}" if before else "Go back",
            icon=":material/undo:",
            disabled=bool(why_not),
            help=why_not or None,
            key="go-back",
        ):
            assert before is not None, "the button was enabled"
            roll_back(before)


def _approved(found: Rollout) -> bool:
    return found.when(RolloutState.APPROVED) is not None


def _person(name: str) -> str:
    return words.name(name, 60) if name else ""


@st.dialog("Go back to an earlier set")
def roll_back(to: Rollout) -> None:
    """Asks why, and restores a whole set that was in force before."""
    st.markdown(f"Set {to.id} comes back whole, and takes effect at the next call.")
    current = policy_sets.in_force()
    if current is not None:
        said = words.name(policy_sets.sentence(current[0].digest, to.digest), 160)
        st.caption(f"Against what is in force: {said}.")
    reason = st.text_area(
        "What went wrong", key="back-why", max_chars=_NOTE, placeholder="For the audit trail's readers"
    )
    if st.button(
        f"Go back to set {to.id}",
        type="primary",
        icon=":material/undo:",
        disabled=not reason.strip(),
        help=None if reason.strip() else "Say what went wrong first",
        key="back-go",
    ):
        _do(
            lambda: session.application().rollout.rollback(session.begin(), reason=reason, to=str(to.id)),
            f"Set {to.id} is in force again.",
        )


def _do(act: Callable[[], Rollout], said: str) -> None:
    """One step, from a dialog: done and told, or refused with the reason where it was asked for."""
    try:
        act()
    except GovernanceError as error:
        complaint(error)
    else:
        session.tell(said)
        st.rerun()


def changes_panel(under_way: Sequence[Rollout], differs: Difference | None, found: policy_files.Files) -> None:
    """What is on its way, and what the files hold beyond."""
    now = session.now()
    for one in under_way:
        with st.container(gap="xxsmall"):
            st.markdown(f"**Set {one.id}: {words.name(what(one), 90)}**")
            begun = one.when(one.state)
            ago = f", {words.ago(session.local(begun), now)}" if begun else ""
            st.caption(
                f"{policy_sets.state_words(one)}{ago} · proposed by "
                f"{_person(policy_sets.by(one, RolloutState.PROPOSED))}"
            )
            ui.onward("change", "Look at the change", id=one.id)
    known = found.set is not None and any(one.digest == found.set.digest for one in under_way)
    if differs is not None and differs.count and not known:
        with st.container(gap="xxsmall"):
            st.markdown(f"**The files differ: {words.name(differs.words, 120)}**")
            st.caption("Not in force until it is proposed and another person approves it.")
            ui.onward("change", "Look at the difference", id="files")
    if not under_way and not (differs and differs.count):
        st.markdown(":gray[Nothing is under way.]")
        st.caption("Change a policy file, and it appears here to be proposed.")


# One rollout's steps


def refusal(found: Rollout, state: RolloutState) -> str:
    """Why this person may not make `found` so; "" when they may."""
    me = session.actor()
    own = owns(me, found)
    current = session.application().rollout.standing().enforce
    stale = found.against and (current is None or current.digest != found.against)
    if state in (RolloutState.APPROVED, RolloutState.REJECTED) and not (state is RolloutState.REJECTED and own):
        if own:
            return "Somebody else must approve your change"
        if not session.may(Permission.APPROVE_POLICY, "", own_work=False):
            return "A senior reviewer or compliance officer approves it"
    elif not session.may(Permission.PROPOSE_POLICY, ""):
        return "Engineers and compliance officers bring it into force"
    if stale and state is not RolloutState.REJECTED and state is not RolloutState.RETIRED:
        return "Another set came into force since: propose the files again"
    return ""


def step_button(
    found: Rollout, state: RolloutState, label: str, icon: str, *, primary: bool = False, note: str = ""
) -> None:
    """A button that makes a rollout so; `note` asks for a note first ("" for none needed)."""
    why_not = refusal(found, state)
    if st.button(
        label,
        icon=f":material/{icon}:",
        type="primary" if primary else "secondary",
        disabled=bool(why_not),
        help=why_not or None,
        key=f"step-{state}",
    ):
        _ask_step(found, state, label, icon, note)


_EFFECT = {
    RolloutState.APPROVED: "It may then decide beside what is in force, or come into force. Your name stands by it.",
    RolloutState.REJECTED: "It goes no further. Whoever proposed it changes the files and proposes again.",
    RolloutState.SHADOW: "It decides every call beside what is in force, is recorded, and acts on nothing.",
    RolloutState.ENFORCE: "It decides from the next call on, whole and at once; what is in force now is retired.",
    RolloutState.RETIRED: "It stops deciding beside what is in force.",
}
_SAID = {
    RolloutState.APPROVED: "is approved",
    RolloutState.REJECTED: "was returned",
    RolloutState.SHADOW: "decides in shadow now",
    RolloutState.ENFORCE: "is in force",
    RolloutState.RETIRED: "is out of shadow",
}


@st.dialog("A policy change")
def _ask_step(found: Rollout, state: RolloutState, label: str, icon: str, note: str) -> None:
    st.markdown(f"**{label}: set {found.id}**")
    st.caption(_EFFECT[state])
    broken = found.gate.get("despite") if state is RolloutState.APPROVED else ""
    if broken:
        st.markdown(":orange[:material/info:] **It costs more than was agreed.** The proposer's reason:")
        st.text(str(broken))
    said = st.text_area(note or "Note", key=f"note-{state}-{found.id}", max_chars=_NOTE)
    missing = bool(note) and not said.strip()
    if st.button(
        label,
        icon=f":material/{icon}:",
        type="primary",
        disabled=missing,
        help="Write it first" if missing else None,
        key=f"go-{state}",
    ):
        service = session.application().rollout
        act = {
            RolloutState.APPROVED: service.approve,
            RolloutState.REJECTED: service.reject,
            RolloutState.SHADOW: service.shadow,
            RolloutState.ENFORCE: service.enforce,
            RolloutState.RETIRED: service.retire,
        }[state]
        _do(lambda: act(session.begin(), found.id, note=said), f"Set {found.id} {_SAID[state]}.")


def effect_panel(found: Rollout | None, before: PolicySet | None, after: PolicySet | None) -> None:
    """What was found when it was proposed."""
    if found is None or not found.gate:
        return
    with ui.panel("When it was proposed"):
        tests, budgets = found.gate.get("tests", 0), found.gate.get("budgets") or ()
        st.markdown(f":green[:material/check:] {words.count(int(tests), 'test')} passed")
        for budget in list(budgets)[:6]:
            st.markdown(":orange[:material/error:] A budget is broken")
            if session.may(Permission.READ_CALLS, ""):  # it counts the calls of all systems
                st.text(str(budget))
