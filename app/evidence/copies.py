"""Where checkpoints of the log are kept outside, and how old the last copies are."""

from __future__ import annotations

import streamlit as st

from app.components import ui
from app.shell import session, words
from governance.domain.people import Actor

TITLE = {"file": "Folder", "http": "Address", "s3": "Bucket", "mail": "Mailbox"}


def draw(who: Actor) -> None:
    """A line for each place; a sentence where there is none."""
    state = session.application().checkpoint_copies.standing(who)
    now = session.now()
    with ui.panel("Kept elsewhere", words.count(len(state), "place") if state else "nowhere"):
        for one in state:
            with st.container(gap="xxsmall"):
                tag = (
                    " :red-badge[:material/error: Too old]"
                    if one.late
                    else " :orange-badge[:material/warning: Last attempt failed]"
                    if one.error
                    else ""
                )
                st.markdown(f"**{TITLE.get(one.name, words.plain(one.name))}**{tag}")
                when = (
                    f"{one.size:,} entries, {words.ago(session.local(one.copied_at), now)}"
                    if one.copied_at is not None and one.size is not None
                    else "nothing yet"
                )
                st.caption(when)
                st.text(one.where)
                if one.error:
                    st.text(one.error)
        st.caption(
            "A signed statement that nobody here can change shows if the log is ever cut or written anew."
            if state
            else "No signed statement is kept outside. If the log is cut or written anew, nobody can show it. An "
            "operator sets a place: docs/operations.md, Checkpoint copies."
        )
