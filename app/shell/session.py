"""Who is at the page, what they may do and see, and the process's one application.

Nothing of a session is kept in `st.session_state`: it is looked up at each rerun, so that signing out, a disabled
account and a changed role take effect at the next click.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from app.components import ui
from app.shell import words
from governance import bootstrap
from governance.domain.people import Actor, Permission, Systems
from governance.errors import GovernanceError

if TYPE_CHECKING:
    from governance.bootstrap import Application

T = TypeVar("T")


def application() -> Application:
    """The process's application: one engine, shared by all sessions."""
    return bootstrap.running()


class _Run(threading.local):
    actor: Actor | None = None


_run = _Run()


def begin() -> Actor:
    """Looks the person up anew: at the start of each run, of the whole script or of a fragment, and before each act.

    Without a live session it shows the way to sign in (and back to this very page) and stops the script; so it does
    while somebody else knows the person's password, though such a session is let no further than `DoorMiddleware`.
    """
    found = application().sessions.find(str(st.user.get("session") or ""))
    _run.actor = None if found is None or found.must_change_password else found
    if _run.actor is None:
        _to_sign_in(given=found is not None)
        st.stop()
    return _run.actor


def actor() -> Actor:
    """The person as this run began."""
    return _run.actor or begin()


def change_password() -> None:
    """A link to where local accounts change their password, and back to this page; nothing with an issuer."""
    if not application().settings.oidc_issuer:
        _link("Change password", "/signin/password")


def _to_sign_in(*, given: bool) -> None:
    if given:
        with ui.notice(
            "Choose a password first", "Somebody else gave you the one that you have.", "lock", whole_page=True
        ):
            _link("Choose a password", "/signin/password")
    else:
        with ui.notice("Please sign in", "After signing in you come back to this page.", "lock", whole_page=True):
            _link("Sign in", "/signin")


def _link(words_: str, way: str) -> None:
    """A link of the page itself, to a page of `app.door` and back here: Streamlit's own open another tab."""
    where = st.context.url or ""
    path = "/" + where.split("://", 1)[-1].partition("/")[2].partition("?")[0]
    query = urlencode([(key, value) for key in st.query_params for value in st.query_params.get_all(key)])
    # Percent-encoded throughout: no quote of the address ends the attribute. The browser's own blue suits no dark page.
    target = f"{way}?next={quote(path + ('?' + query if query else ''), safe='')}"
    style = "color:inherit;font-size:.93rem"
    st.html(f'<a href="{target}" target="_self" style="{style}">{words_}</a>', width="content")


def now() -> datetime:
    """The time now, in the reader's own zone."""
    return local(application().clock())


def zone() -> ZoneInfo | Any:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        return UTC


def zone_words() -> str:
    """'New York, UTC−05:00': the zone of all times on the pages, and how far it is from UTC now."""
    here = now()
    place = str(here.tzinfo).rpartition("/")[2].replace("_", " ")
    from_utc = f"{here:%z}".replace("-", "\u2212")  # A minus, at which no line ends.
    return place if place == "UTC" else f"{place}, UTC{from_utc[:3]}:{from_utc[3:]}"


def local(at: datetime) -> datetime:
    """A moment in the reader's own zone."""
    return at.astimezone(zone())


def may(permission: Permission, system: str | None = None, **facts: bool) -> bool:
    """Whether the person may; `system` None asks whether they may for any system at all."""
    who, rules = actor(), application().permissions
    if system is not None:
        return rules.allowed(who, permission, system=system, context=facts)
    places = {binding.system for binding in who.bindings}
    return any(rules.allowed(who, permission, system=place, context=facts) for place in places)


def need(permission: Permission) -> None:
    """Stops a page that the person may not see, with a way on. The services check again whatever is done."""
    if not may(permission):
        with ui.notice(
            "This page is not for your role",
            f"You are signed in as {', '.join(roles()).lower()}. An administrator gives roles under Admin.",
            "lock",
            whole_page=True,
        ):
            pass
        st.stop()


def roles() -> list[str]:
    """The person's roles in words, with the system where a role is limited to one."""
    return [
        words.ROLE[binding.role] + (f" ({words.name(binding.system)})" if binding.system else "")
        for binding in sorted(
            actor().bindings, key=lambda binding: (list(words.ROLE).index(binding.role), binding.system)
        )
    ]


def source() -> str:
    """Names the database in cache keys: two applications in one process never share a figure."""
    return application().database_url


def scope(*permissions: Permission) -> Systems:
    """The systems in which the person has one of the permissions. What a page keeps of what a service read for one
    person (`st.cache_data`) it keeps under this: others get it only where they see the same systems."""
    return application().visible.systems(actor(), *permissions)


@st.cache_data(ttl=30, show_spinner=False, max_entries=64)
def _systems(source: str, scope: Systems, permission: Permission, _who: Actor) -> list[str]:
    return list(application().read_systems.names(_who, permission).values())


def systems(permission: Permission = Permission.READ_CALLS) -> list[str]:
    """The names of the systems in which the person has the permission, in order; at most half a minute old."""
    return _systems(source(), scope(permission), permission, actor()) if may(permission) else []


def attempt(act: Callable[[], T]) -> T | None:
    """Does what a button asked for. What is refused or came too late is told on the page, as its own sentence."""
    try:
        return act()
    except GovernanceError as error:
        complain(error)
        return None


def complain(error: GovernanceError) -> None:
    """Keeps an error's own sentence for the next draw."""
    st.session_state["_told"] = (error.message, error.advice)


def tell(message: str) -> None:
    """Says on the next draw that something was done; our own words only."""
    st.session_state["_done"] = message


def told() -> None:
    """Shows what the last act left to say."""
    if message := st.session_state.pop("_done", ""):
        st.toast(message, icon=":material/check:")
    if trouble := st.session_state.pop("_told", None):
        message, advice = trouble
        with st.container(border=True, gap="xxsmall"):
            st.markdown(":orange[:material/info:] **That did not happen**")
            st.text(f"{message} {advice}".strip())
