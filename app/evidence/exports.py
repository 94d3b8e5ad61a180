"""A button that makes an evidence package, and then the way to download it."""

from __future__ import annotations

import streamlit as st

from app.components import ui
from app.components.marked import pairs
from app.evidence.downloads import packages
from app.shell import session, words
from governance.services.evidence.export import EvidenceFilter

NOT_ALLOWED = "Compliance officers and auditors export evidence"


def offer(wanted: EvidenceFilter, *, key: str, why_not: str = "", primary: bool = True) -> None:
    """Draws both. `why_not` says why the button cannot be pressed, "" where it can; `key` keeps what was made."""
    if st.button(
        "Make the package",
        icon=":material/folder_zip:",
        type="primary" if primary else "secondary",
        width="stretch",
        disabled=bool(why_not),
        help=why_not or None,
        key=f"{key}_make",
    ):
        with st.spinner("Collecting entries and proofs …"):
            made = session.attempt(lambda: packages.make(session.application(), session.begin(), wanted))
            if made is not None and made.empty:
                session.tell("The package holds nothing: no entry fits what was asked for.")
            if made is not None:
                st.session_state[key] = made.token
        st.rerun()
    if token := st.session_state.get(key):
        package = packages.waiting(token, session.actor().id)
        if package is None:
            st.caption("The package was downloaded, or is over. Make it again if you need it.")
            return
        pairs(
            {
                "Entries": f"{package.events:,} with proofs",
                "Size": words.size(package.size),
                "Made": words.moment(session.local(package.made_at), session.now()),
            },
            key=f"{key}-facts",
        )
        ui.download("Download the package", package.address)
        st.caption("It can be downloaded once, within 15 minutes, by you.")
