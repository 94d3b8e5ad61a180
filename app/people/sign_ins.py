"""The Admin page's view of sign-in: what the identity provider said of roles, and which roles followed."""

from __future__ import annotations

import streamlit as st

from app.components import ui
from app.shell import session, words
from governance.domain.people import ProviderSignIn

_SHOWN = 20


def panel() -> None:
    """The latest sign-ins through the provider. Group names are the provider's words, so they are shown as text."""
    application = session.application()
    if application.provider is None:
        with ui.panel("Sign-in"):
            st.markdown("**Local accounts**, on this machine only. Other people need an identity provider.")
        return
    latest = application.people.sign_ins(session.actor(), _SHOWN)
    with ui.panel("Sign-in through the identity provider", f"the last {len(latest)}" if latest else ""):
        if not latest:
            st.markdown("**Nobody has signed in yet.** What came in the roles claim appears here.")
        for one in latest:
            _row(one)
        st.caption("To try the provider, its keys and the redirect address: governance doctor --sign-in")
    with ui.panel("Which group gives which role"):
        mapped = application.settings.role_map
        for group, role in mapped.items():
            st.text(f"{group} gives {words.ROLE[role]}")
        st.caption("A group that is named exactly as a role gives that role: " + ", ".join(words.ROLE))


def _row(one: ProviderSignIn) -> None:
    held = ", ".join(words.ROLE[role] for role in one.roles) or "No role"
    tag = " :gray-badge[Disabled]" if one.outcome == "disabled" else ""
    tag += " :orange-badge[Claim not read]" if one.problem else " :orange-badge[No role]" if not one.roles else ""
    with st.container(gap="xxsmall"):
        st.markdown(f"**{words.name(one.person)}**{tag}")
        seen = words.ago(session.local(one.at), session.now())
        st.caption(f"{held} · claim {words.name(one.claim)} came as {one.shape} · {seen}")
        more = f"\nand {one.count - len(one.names):,} more" if one.count > len(one.names) else ""
        if one.problem:
            st.text(f"It could not be read: {one.problem}.")
        elif one.names:
            st.code("\n".join(one.names) + more, language=None, wrap_lines=True)
