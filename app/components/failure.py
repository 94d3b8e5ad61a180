"""What a page shows when it cannot: what happened, that work is safe, what to do, and a number for support."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
import structlog
from streamlit.runtime.scriptrunner import RerunException, StopException

from app.components import ui
from governance.errors import GovernanceError

_LOG = structlog.get_logger("governance.console")
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@contextmanager
def caught() -> Iterator[None]:
    """Turns whatever a page raises into a page; the traceback goes to the server's log under the number shown."""
    try:
        yield
    except (RerunException, StopException):
        raise
    except Exception as error:
        number = (
            "".join(secrets.choice(_ALPHABET) for _ in range(3))
            + "-"
            + "".join(secrets.choice(_ALPHABET) for _ in range(3))
        )
        _LOG.exception("page failed", support_number=number, error=type(error).__name__)
        reason = f"{error.message} {error.advice}" if isinstance(error, GovernanceError) else ""
        show(number, reason)


def show(number: str, reason: str = "") -> None:
    """The page in place of the one that failed. `reason` is shown as plain text."""
    with ui.notice(
        "This page could not be loaded",
        "Nothing you decided is lost: every verdict is saved before the page says so.",
        "cloud_off",
        whole_page=True,
    ):
        st.button("Try again", type="primary", icon=":material/refresh:", key="try-again")
    if reason.strip():
        st.text(reason.strip())
    st.caption(f"If it goes on, give your administrator this number: **{number}**", text_alignment="center")
