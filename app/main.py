"""The console's entry script: who is it, which pages may they see, run the page they asked for."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components import failure, session_over, ui
from app.shell import session, words
from governance.domain.people import Permission

ICON = str(Path(__file__).parent / "static" / "icon.svg")
PRODUCT = "Governance console"
st.set_page_config(page_title=PRODUCT, page_icon=ICON, layout="wide", initial_sidebar_state=224)


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
everywhere = session.may(Permission.READ_AUDIT, "")
erases = session.may(Permission.HOLD_AND_ERASE, "")
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

# A page that is not for this person keeps its address and says so there (`session.need`): a colleague's link is no dead
# end.
pages: dict[str, list[st.Page]] = {
    "": [page("overview", "Overview", "space_dashboard", shown=reads, default=True)],
    "Review": [
        page("queue", "Queue", "inbox", shown=reads),
        page("case", "Case", "gavel", shown=False),
        page("reports", "Reports", "report", shown=reads),
    ],
    "Look up": [page("calls", "Calls", "forum", shown=reads), page("call", "Call", "forum", shown=False)],
    "Govern": [
        page("policies", "Policies", "policy", shown=reads),
        page("policy", "Policy", "policy", shown=False),
        page("change", "Policy change", "policy", shown=False),
        page("controls", "Controls", "checklist", shown=reads),
        page("audit", "Audit trail", "history_edu", shown=audits),
        page("privacy", "Privacy", "shield_person", shown=everywhere or erases),
        page("access", "Access review", "badge", shown=everywhere),
        page("admin", "Admin", "manage_accounts", shown=manages),
    ],
}
here = st.navigation(pages)
if here.url_path == "" and not reads:
    st.switch_page(f"views/{'audit' if audits else 'admin'}.py")
st.set_page_config(page_title=f"{here.title} · {PRODUCT}")

with st.sidebar:
    st.space("small")
    with st.container(gap="xxsmall"):
        st.markdown(f"**{words.name(actor.name)}**")
        st.caption(", ".join(session.roles()) or "No role")
        st.caption(f"Times: {session.zone_words()}")
    session.change_password()
    st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=st.logout)
    session_over.watch()

with failure.caught():
    here.run()
