"""What reviewers' verdicts suggest for a policy, as a difference of its file that an engineer can take or leave."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import policies, session, words
from app.components import ui
from app.components.marked import source
from governance.domain.people import Permission
from governance.errors import GovernanceError
from governance.policy.policy import PolicySet
from governance.services.suggest import History, Suggestion

MOST = 3


def panel(files: PolicySet, policy_id: str, file: str) -> None:
    """A button for those who may propose a change, and what it asked for: once, until the file changes."""
    policy = files.get(policy_id)
    if policy is None or not file or not session.may(Permission.PROPOSE_POLICY):
        return
    key = f"suggested-{policy_id}"
    text = policies.text_of(file)
    with ui.panel("What verdicts suggest", "nothing is changed here"):
        if st.session_state.get(key, ("",))[0] != text:
            st.caption("Reviewers' verdicts may show a threshold or an exception that keeps every violation.")
            if not st.button("Look at the verdicts", icon=":material/lightbulb:"):
                return
            try:
                with st.spinner("Trying changes on decided cases and on the calls of the last 30 days"):
                    found = session.application().suggest.suggest(
                        session.begin(), policy, text, file=file, access=files.access
                    )
            except GovernanceError as error:
                st.caption(words.name(error.message, 200))
                return
            st.session_state[key] = (text, found)
        _show(st.session_state[key][1], text, key)


def _show(found: Sequence[Suggestion], text: str, key: str) -> None:
    if not found:
        st.caption("No change of the file would stop a false alarm and keep every violation.")
        return
    for number, one in enumerate(found[:MOST]):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{headline(one)}**")
            st.caption(effect(one))
            if one.history is not None:
                st.caption(on_history(one.history))
            source(policies.differing_text(text, one.text, 1), key=f"{key}-{number}")
    st.caption("Take one at the command line (policy suggest), look at it, then propose the change.")


def headline(one: Suggestion) -> str:
    """'Threshold 0.91 instead of 0.8', or 'An exception'; our own words."""
    lesson = one.lesson
    if not lesson.param:
        return "An exception for where the false alarms came from"
    return words.name(f"{words.condition('params.' + lesson.param)} {lesson.to} instead of {lesson.value}", 120)


def effect(one: Suggestion) -> str:
    """What it would have done, in a sentence."""
    lesson = one.lesson
    false = len(lesson.stops) + len(lesson.left)
    said = f"Stops {len(lesson.stops)} of {words.count(false, 'false alarm')}"
    said += f" and keeps {'the violation' if lesson.keeps == 1 else f'all {lesson.keeps} violations'}."
    if not lesson.keeps:
        said = f"Stops {len(lesson.stops)} of {words.count(false, 'false alarm')}. No violation was found yet."
    if one.undecided:
        said += f" Of {words.count(one.undecided, 'undecided case')} it would not have opened {one.undecided_stopped}."
    return said


def on_history(history: History) -> str:
    """What it would have done to the calls of the last 30 days, in a sentence."""
    if not history.calls:
        said = "On the last 30 days: there was no call to try it on."
    else:
        said = f"On the last 30 days: of {words.count(history.calls, 'call')} the policy would fire on "
        said += f"{history.no_longer:,} no longer and on {history.newly:,} for the first time."
    if history.undecided:
        said += f" {words.count(history.undecided, 'call')} could not be decided from what was found then."
    return said
