"""Who may do what, and who read what in a month? The access review, and an officer's signature under it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from app.components import address, ui
from app.shell import session, words
from governance.domain.events import EventKind
from governance.domain.people import Permission

WHAT: dict[str, str] = {
    EventKind.ACCESS_OPENED: "Opened calls, decisions and cases",
    EventKind.ACCESS_SEARCHED: "Looked through lists",
    EventKind.AUDIT_READ: "Read the audit trail",
    EventKind.CONTENT_REVEALED: "Revealed original text",
    EventKind.EXPORT_MADE: "Exported evidence",
}

session.need(Permission.READ_AUDIT)
if not session.may(Permission.READ_AUDIT, ""):
    with ui.notice("This page is about all systems", "You read the audit trail of some.", "lock", whole_page=True):
        pass
    st.stop()
me, now = session.actor(), session.now()
service = session.application().access_reviews
people = session.application().read_people.everybody(me)
months = service.months(me)
due = service.due(me)


def spoken(month: str) -> str:
    """'October 2026'."""
    return f"{datetime.strptime(month, '%Y-%m'):%B %Y}"  # noqa: DTZ007


def reader(reference: str) -> str:
    """A person's name, a key's number, or the command line."""
    kind, _, number = reference.partition(":")
    if kind == "person":
        return words.name(people.get(int(number), "Somebody"))
    return f"API key {number}" if kind == "key" else "The command line"


def roles(one: Mapping[str, Any]) -> str:
    parts = [str(role).partition("@") for role in one["roles"]]
    return ", ".join(
        words.ROLE.get(role, role) + (f" ({words.name(system)})" if system else "") for role, _, system in parts
    )


def sign(month: str, digest: str) -> None:
    note = str(st.session_state.get(f"note-{month}") or "")
    if session.attempt(lambda: service.sign(session.begin(), month, digest, note)) is not None:
        session.tell(f"The review of {spoken(month)} is signed.")


address.check("access", {"month": list(months)})
default = due[0] if due and due[0] in months else months[min(1, len(months) - 1)]
asked = str(st.query_params.get("month") or default)
title = f"{words.count(len(due), 'access review')} to be signed" if due else "No access review waits to be signed"
with ui.header(title, f"who may do what, and who read what · times: {session.zone_words()}"):
    month = st.selectbox(
        "Month",
        list(months),
        index=list(months).index(asked) if asked in months else 0,
        key="month",
        bind="query-params",
    )
session.told()
address.say()
found = service.show(me, month)
document = found.document

left, right = ui.split()
with left:
    with ui.panel("People and their roles", words.count(len(document["people"]), "person", "people")):
        ui.table(
            [
                {
                    "Person": reader(one["person"]),
                    "Roles": roles(one) or "None",
                    "Account": "Disabled" if one["disabled"] else "Open",
                }
                for one in document["people"]
            ]
        )
    with ui.panel("API keys", words.count(len(document["keys"]), "key")):
        if document["keys"]:
            ui.table(
                [
                    {
                        "Key": f"{one['key'].partition(':')[2]} ({words.name(one['prefix'])})",
                        "May": ", ".join(words.SCOPE.get(scope, scope) for scope in one["scopes"]),
                        "System": words.name(one["system"]) if one["system"] else "Any",
                        "State": "Revoked" if one["revoked"] else "Open",
                    }
                    for one in document["keys"]
                ]
            )
        else:
            st.caption("There is none.")
    with ui.panel("Who read what", f"in {spoken(month)}"):
        if document["reading"]:
            ui.table(
                [
                    {
                        "Reader": reader(one["reader"]),
                        "What": WHAT.get(one["what"], words.plain(one["what"])),
                        "System": words.name(one["system"]) if one["system"] else "",
                        "Entries": f"{one['events']:,}",
                    }
                    for one in document["reading"]
                ]
            )
            st.caption("An entry is one object that somebody opened in one hour, however often.")
        else:
            st.caption("Nobody read anything.")

with right, ui.panel("Signature", spoken(month)):
    if found.signed is not None and found.signed.signed_at is not None:
        kind, _, who = (found.signed.signed_by or "").partition(":")
        name = reader(f"person:{who}") if kind == "person" else f"{words.name(who, 60)} at the command line"
        st.markdown(f"**:green[:material/verified_user:] Signed by {name}**")
        st.caption(words.moment(session.local(found.signed.signed_at), now).capitalize())
        if found.signed.note:
            st.text(found.signed.note)
    elif not found.ended:
        st.markdown("**The month is not over**")
        st.caption("It can be signed when it is.")
    else:
        allowed = session.may(Permission.REVIEW_ACCESS, "")
        st.caption(
            "By signing you say that you have looked at these roles, keys and reading, and that they are as they "
            "should be, or will be changed as your note says."
        )
        st.text_area("Note", placeholder="What you found, and what will be changed", key=f"note-{month}")
        # A callback with the digest of what was drawn: a run of its own would sign what it finds then.
        st.button(
            "Sign the review",
            type="primary",
            icon=":material/how_to_reg:",
            width="stretch",
            disabled=not allowed,
            help=None if allowed else "A compliance officer signs access reviews",
            on_click=sign,
            args=(month, found.digest),
        )
    st.caption("SHA-256 of what is shown")
    st.code(found.digest, language=None, wrap_lines=True)
