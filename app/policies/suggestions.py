"""What reviewers' verdicts suggest for a policy, as a difference of its file that an engineer can take or leave."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components import ui
from app.components.marked import source
from app.policies import files as policy_files
from app.policies import spelled as policy_text
from app.shell import session, words, work
from governance.domain.people import Permission
from governance.policy.policy import PolicySet
from governance.services.policies.backtest.run import Progress
from governance.services.policies.suggest import History, Suggestion

MOST = 3


def panel(files: PolicySet, policy_id: str, file: str) -> None:
    """A button for those who may propose a change, and what it came to: kept for an hour, or until a file changes."""
    policy = files.get(policy_id)
    if policy is None or not file or not session.may(Permission.PROPOSE_POLICY):
        return
    text = policy_files.text_of(file)
    key = ("suggest", files.digest, text)
    why_not = (
        "" if session.may(Permission.PROPOSE_POLICY, "") else "It reads the cases of all systems, and you see only some"
    )
    with ui.panel("What verdicts suggest", "nothing is changed here"):
        looked = None if why_not else work.works().of(*key)
        if looked is not None and not looked.ended.is_set():
            work.watch(looked, "suggest", why_not=why_not)
            return
        work.trouble(looked)
        if looked is not None and not looked.trouble:
            _show(looked.result, text, f"suggested-{policy_id}")
            return
        st.caption(
            "Reviewers' verdicts may show a threshold or an exception that keeps every violation. "
            "Each is tried on the calls of the last 30 days."
        )
        if st.button("Look at the verdicts", icon=":material/lightbulb:", disabled=bool(why_not), help=why_not or None):
            service, who = session.application().suggest, session.begin()

            def job(heard: Progress) -> Sequence[Suggestion]:
                return service.suggest(
                    who,
                    files,
                    policy,
                    text,
                    file=file,
                    most=MOST,
                    processes=work.PROCESSES,
                    progress=heard,
                )

            work.works().start(job, *key)
            st.rerun()


def _show(found: Sequence[Suggestion], text: str, key: str) -> None:
    if not found:
        st.caption("No change of the file would stop a false alarm and keep every violation.")
        return
    for number, one in enumerate(found):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{headline(one)}**")
            st.caption(effect(one))
            if one.history is not None:
                st.caption(on_history(one.history))
            source(policy_text.differing_text(text, one.text, 1), key=f"{key}-{number}")
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
    if one.shared:
        said += f" Another policy raises {one.shared} of them too."
    if one.undecided:
        said += f" Of {words.count(one.undecided, 'undecided case')} it would not fire on {one.undecided_stopped}."
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
