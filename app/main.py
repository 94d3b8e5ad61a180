"""The console's entry script: who is it, which pages may they see, run the page they asked for."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import session, words
from app.components import failure, ui
from governance.domain.people import Permission

ICON = str(Path(__file__).parent / "static" / "icon.svg")
st.set_page_config(page_title="Governance console", page_icon=ICON, layout="wide", initial_sidebar_state=224)


def page(file: str, title: str, icon: str, *, shown: bool = True, default: bool = False) -> st.Page:
    return st.Page(
        f"views/{file}.py",
        title=title,
        icon=f":material/{icon}:",
        url_path=file,
        default=default,
        visibility="visible" if shown else "hidden",
    )


actor = session.begin()
reads = session.may(Permission.READ_CALLS)
audits = session.may(Permission.READ_AUDIT)
manages = session.may(Permission.MANAGE_ACCESS)

st.logo(ICON, size="medium")
if not (reads or audits or manages):
    with ui.header("You have no role yet"):
        pass
    with ui.notice(
        "Nothing to show yet",
        "Your sign-in worked. An administrator gives you a role under Admin; then reload this page.",
        "badge",
    ):
        session.change_password()
        st.button("Sign out", icon=":material/logout:", on_click=st.logout)
    st.stop()

pages: dict[str, list[st.Page]] = {}
if reads:
    pages[""] = [page("overview", "Overview", "space_dashboard", default=True)]
    pages["Review"] = [
        page("queue", "Queue", "inbox"),
        page("case", "Case", "gavel", shown=False),
        page("reports", "Reports", "report"),
    ]
pages["Look up"] = [page("calls", "Calls", "forum"), page("call", "Call", "forum", shown=False)] if reads else []
govern = []
if audits:
    govern.append(page("audit", "Audit trail", "history_edu", default=not reads))
if manages:
    govern.append(page("admin", "Admin", "manage_accounts", default=not reads and not audits))
pages["Govern"] = govern
here = st.navigation({group: found for group, found in pages.items() if found})

with st.sidebar:
    st.space("small")
    with st.container(gap="xxsmall"):
        st.markdown(f"**{words.name(actor.name)}**")
        st.caption(", ".join(session.roles()) or "No role")
    session.change_password()
    st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=st.logout)

with failure.caught():
    here.run()
