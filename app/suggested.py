"""What reviewers' verdicts suggest for a policy, as a difference of its file that an engineer can take or leave."""

from __future__ import annotations

import streamlit as st

from app import policies, session, words
from app.components import ui
from app.components.marked import source
from governance.domain.people import Permission
from governance.errors import GovernanceError
from governance.policy.policy import PolicySet
from governance.services.suggest import Suggestion

MOST = 3


def panel(files: PolicySet, policy_id: str, file: str) -> None:
    """A button for those who may propose a change, and what it asks for once pressed."""
    policy = files.get(policy_id)
    if policy is None or not file or not session.may(Permission.PROPOSE_POLICY):
        return
    key = f"suggested-{policy_id}"
    with ui.panel("What verdicts suggest", "nothing is changed here"):
        if not st.session_state.get(key):
            st.caption("Reviewers' verdicts may show a threshold or an exception that keeps every violation.")
            st.button(
                "Look at the verdicts",
                icon=":material/lightbulb:",
                on_click=lambda: st.session_state.update({key: True}),
            )
            return
        path = session.application().policies_dir / file
        try:
            found = session.application().suggest.suggest(
                session.actor(), policy, path.read_text("utf-8"), file=file, access=files.access
            )
        except (GovernanceError, OSError) as error:
            st.caption(words.name(getattr(error, "message", "The policy's file cannot be read."), 200))
            return
        if not found:
            st.caption("No change of the file would stop a false alarm and keep every violation.")
        for number, one in enumerate(found[:MOST]):
            with st.container(gap="xxsmall"):
                st.markdown(f"**{headline(one)}**")
                st.caption(effect(one))
                before = path.read_text("utf-8")
                source(policies.differing_text(before, one.text, 1), key=f"{key}-{number}")
        if found:
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
