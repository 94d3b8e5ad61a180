"""Who may do what? People, their roles, API keys, and whether detectors, checking and background jobs work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import streamlit as st

from app.components import ui
from app.jobs import panel as jobs_panel
from app.people import sign_ins
from app.shell import session, words
from governance.domain.people import Permission, Role, RoleBinding, Scope
from governance.errors import GovernanceError
from governance.services.people.read import KeyRow, PersonRow
from governance.systems import posture

session.need(Permission.MANAGE_ACCESS)
me, now = session.actor(), session.now()
everybody = session.application().read_people.people(me)
keys = session.application().read_people.keys(me)
names = {person.id: person.name for person in everybody}
systems = session.systems(Permission.MANAGE_ACCESS)
active = [person for person in everybody if person.disabled_at is None]
open_keys = [
    key for key in keys if key.revoked_at is None and (key.expires_at is None or session.local(key.expires_at) > now)
]
EVERYWHERE = "All systems"
OPENS = {"7 days": 7, "30 days": 30, "90 days": 90, "1 year": 365, "No end": None}

with ui.header(
    f"{words.count(len(active), 'person', 'people')} may sign in, "
    + (words.count(len(open_keys), "key is open", "keys are open") if open_keys else "no key is open"),
    "Every change here is an entry in the audit trail and takes effect at the next click",
):
    pass
session.told()


def once(what: str, secret: str, note: str) -> None:
    """Keeps a secret for one draw: it is stored nowhere."""
    st.session_state["_once"] = (what, secret, note)


if shown := st.session_state.pop("_once", None):
    what, secret, note = shown
    with st.container(border=True):
        st.markdown(f":green[:material/check_circle:] **{what}**")
        st.caption(f"{note} It is shown this one time and stored nowhere.")
        st.code(secret, language=None)


def chosen_bindings(roles: list[str], system: str) -> list[RoleBinding]:
    place = "" if system == EVERYWHERE else system
    ranks = {word: role for role, word in words.ROLE.items()}
    return [RoleBinding(role=Role(ranks[word]), system=place) for word in roles]


def complaint(error: GovernanceError) -> None:
    st.markdown(":orange[:material/info:] **That did not happen**")
    st.text(str(error))


def attempt(act: Callable[[], object], said: str) -> None:
    """Does what was asked and says so; or says why not, in the dialog that asked."""
    try:
        act()
    except GovernanceError as error:
        complaint(error)
    else:
        session.tell(said)
        st.rerun()


@st.dialog("Add a person")
def add_person() -> None:
    st.caption("A local account, for a trial. With OpenID Connect people appear at their first sign-in.")
    name = st.text_input("Account name", placeholder="for example d.okafor", key="new-name", max_chars=100)
    roles = st.multiselect("Roles", list(words.ROLE.values()), key="new-roles")
    for word in roles:
        role = next(key for key, value in words.ROLE.items() if value == word)
        st.caption(f"{word}: {words.ROLE_MAY[role]}")
    place = st.selectbox("For", [EVERYWHERE, *systems], key="new-place")
    missing = "Give a name" if not name.strip() else "Choose a role" if not roles else ""
    if st.button(
        "Add", type="primary", icon=":material/person_add:", disabled=bool(missing), help=missing or None, key="new-go"
    ):
        try:
            made = session.application().people.add(session.begin(), name.strip(), chosen_bindings(roles, place))
        except GovernanceError as error:
            complaint(error)
        else:
            once(
                f"{words.name(made.person.name)} may sign in",
                made.password,
                "The first password; they choose their own at the first sign-in.",
            )
            st.rerun()


@st.dialog("Roles")
def change_roles(person: PersonRow) -> None:
    st.markdown(f"**{words.name(person.name)}**")
    given = [binding for binding in person.bindings if not binding.from_claim]
    kept = [binding for binding in person.bindings if binding.from_claim]
    if kept:
        st.caption(
            "From the identity provider, changed there: " + ", ".join(words.ROLE[binding.role] for binding in kept)
        )
    everywhere = st.multiselect(
        "Everywhere",
        list(words.ROLE.values()),
        default=[words.ROLE[binding.role] for binding in given if not binding.system],
        key=f"roles-{person.id}",
    )
    limited = [(binding.role, binding.system) for binding in given if binding.system]
    options = [f"{word} for {system}" for word in words.ROLE.values() for system in systems]
    spoken = {f"{words.ROLE[role]} for {system}": (role, system) for role, system in limited}
    options = list(dict.fromkeys([*spoken, *options]))
    only_for = st.multiselect("Only for a system", options, default=list(spoken), key=f"limited-{person.id}")
    ranks = {word: role for role, word in words.ROLE.items()}
    if st.button("Save", type="primary", icon=":material/check:", key=f"save-{person.id}"):
        bindings = chosen_bindings(everywhere, EVERYWHERE)
        for option in only_for:
            word, _, system = option.partition(" for ")
            bindings.append(RoleBinding(role=Role(ranks[word]), system=system))
        attempt(
            lambda: session.application().people.set_roles(session.begin(), person.id, bindings),
            "The roles are changed and hold from the next click.",
        )


@st.dialog("Disable this account?")
def disable(person: PersonRow) -> None:
    st.markdown(f"**{words.name(person.name)}** is signed out everywhere and can't sign in again.")
    st.caption("What they did stays in the record.")
    if st.button("Disable", type="primary", icon=":material/person_off:", key=f"disable-go-{person.id}"):
        attempt(lambda: session.application().people.disable(session.begin(), person.id), "The account is disabled.")


@st.dialog("Give a new password?")
def new_password(person: PersonRow) -> None:
    st.markdown(f"**{words.name(person.name)}** is signed out everywhere and signs in with the new password.")
    if st.button("Give a new password", type="primary", icon=":material/password:", key=f"password-go-{person.id}"):
        try:
            password = session.application().people.reset_password(session.begin(), person.id)
        except GovernanceError as error:
            complaint(error)
        else:
            once(f"New password of {words.name(person.name)}", password, "They choose their own at the next sign-in.")
            st.rerun()


@st.dialog("Make an API key")
def make_key() -> None:
    spoken = {f"{scope.value.capitalize()}: {words.SCOPE[scope]}": scope for scope in Scope}
    scopes = st.multiselect("It may", list(spoken), key="key-scopes")
    place = st.selectbox(
        "For", [EVERYWHERE, *systems], key="key-place", help="A key for one system speaks for that system alone"
    )
    ends = st.selectbox("Open for", list(OPENS), index=2, key="key-ends")
    missing = "" if scopes else "Choose what it may do"
    if st.button(
        "Make the key",
        type="primary",
        icon=":material/key:",
        disabled=bool(missing),
        help=missing or None,
        key="key-go",
    ):
        days = OPENS[ends]
        try:
            made = session.application().keys.create(
                session.begin(),
                [spoken[word] for word in scopes],
                system="" if place == EVERYWHERE else place,
                expires_in=timedelta(days=days) if days else None,
            )
        except GovernanceError as error:
            complaint(error)
        else:
            once(f"API key {made.key.id} is open", made.secret, "Put it into the application's secret store.")
            st.rerun()


@st.dialog("Revoke this key?")
def revoke(key: KeyRow) -> None:
    st.markdown(f"Applications that use key **{key.id}** (gov\\_{words.name(key.prefix)}…) are refused within seconds.")
    st.caption("This can't be taken back.")
    if st.button("Revoke", type="primary", icon=":material/key_off:", key=f"revoke-go-{key.id}"):
        attempt(lambda: session.application().keys.revoke(session.begin(), key.id), f"Key {key.id} is revoked.")


people_tab, sign_in_tab, keys_tab, working_tab, jobs_tab = st.tabs(
    ui.tab_labels("People", "Sign-in", "API keys", "Detectors and checking", "Background jobs")
)

with people_tab:
    with ui.panel("People", f"{len(active)} of {len(everybody)} may sign in"):
        for person in everybody:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                with st.container(gap="xxsmall", width="stretch"):
                    tag = " :blue-badge[You]" if person.id == me.id else ""
                    tag += " :gray-badge[Disabled]" if person.disabled_at else ""
                    tag += (
                        " :gray-badge[First password]" if person.must_change_password and not person.disabled_at else ""
                    )
                    st.markdown(f"**{words.name(person.name)}**{tag}", width="content")
                    held = [
                        words.ROLE[binding.role] + (f" for {words.name(binding.system)}" if binding.system else "")
                        for binding in person.bindings
                    ]
                    seen = (
                        f"last sign-in {words.ago(person.last_seen_at, now)}"
                        if person.last_seen_at
                        else "never signed in"
                    )
                    where = "local account" if person.local else "identity provider"
                    st.caption(f"{', '.join(held) or 'No role'} · {where} · {seen}", width="content")
                with st.container(horizontal=True, width="content"):
                    own = person.id == me.id
                    gone = person.disabled_at is not None
                    why_not = (
                        "Somebody else must change your own access"
                        if own
                        else "This account is disabled"
                        if gone
                        else ""
                    )
                    if st.button(
                        "Roles",
                        icon=":material/badge:",
                        type="tertiary",
                        key=f"roles-of-{person.id}",
                        disabled=bool(why_not),
                        help=why_not or None,
                    ):
                        change_roles(person)
                    if person.local and st.button(
                        "Password",
                        icon=":material/password:",
                        type="tertiary",
                        key=f"password-of-{person.id}",
                        disabled=bool(why_not),
                        help=why_not or None,
                    ):
                        new_password(person)
                    if st.button(
                        "Disable",
                        icon=":material/person_off:",
                        type="tertiary",
                        key=f"disable-{person.id}",
                        disabled=bool(why_not),
                        help=why_not or None,
                    ):
                        disable(person)
        if st.button("Add a person", icon=":material/person_add:", type="primary"):
            add_person()
    with ui.panel("What each role may"):
        ui.table(
            [
                {"Role": ui.whole(words.ROLE[role]), "May": words.ROLE_MAY[role][:1].upper() + words.ROLE_MAY[role][1:]}
                for role in words.ROLE
            ]
        )

with sign_in_tab:
    sign_ins.panel()

with keys_tab, ui.panel("API keys", f"{len(open_keys)} open"):
    if not keys:
        st.markdown("**No key yet.** An application needs one to send calls or reports, or to ask for a check.")
    for key in keys[:100]:
        over = key.expires_at is not None and session.local(key.expires_at) <= now
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(gap="xxsmall", width="content"):
                tag = " :gray-badge[Revoked]" if key.revoked_at else " :orange-badge[Over]" if over else ""
                st.markdown(f"**Key {key.id}** :gray[gov\\_{words.name(key.prefix)}…]{tag}", width="content")
                may = ", ".join(words.SCOPE.get(scope, scope) for scope in key.scopes)
                ends = (
                    f"revoked {words.moment(session.local(key.revoked_at), now)}"
                    if key.revoked_at
                    else f"open until {words.day(session.local(key.expires_at), now)}"
                    if key.expires_at
                    else "no end"
                )
                used = f"used {words.ago(key.last_used_at, now)}" if key.last_used_at else "never used"
                place = words.name(key.system) if key.system else "all systems"
                st.caption(f"May {may} · {place} · {ends} · {used}", width="content")
            if not key.revoked_at and st.button(
                "Revoke", icon=":material/key_off:", type="tertiary", key=f"revoke-{key.id}"
            ):
                revoke(key)
    if st.button("Make an API key", icon=":material/add:", type="primary"):
        make_key()

with working_tab:
    checking = session.application().read_calls.checking(me, session.application().clock())
    detectors, waiting = checking.detectors, checking.backlog.waiting
    alive = [worker for worker in checking.workers if now - worker.seen_at < posture.SILENT]
    with ui.panel("Detectors"):
        if detectors:
            ui.table(
                [
                    {
                        "Detector": words.detector(d.name),
                        "Answered": f"{posture.answered(d):.2%} of {d.answered + d.failed:,}",
                        "State": ":orange-badge[Unavailable]"
                        if posture.absent(d)
                        else ":orange-badge[Fails]"
                        if posture.fails(d)
                        else ":gray[Working]",
                        "Since": words.moment(session.local(d.absent_since or d.since), now),
                    }
                    for d in detectors
                ]
            )
            for d in detectors:
                if d.last_failure and (d.failed or posture.absent(d)):
                    st.caption(f"The last failure of {words.within(words.detector(d.name))}")
                    st.code(words.failure(d.last_failure), language=None, wrap_lines=True)
            st.caption("What a detector can't answer goes to a person; it never counts as passed.")
        else:
            st.caption("Each detector's answers and failures appear here once calls are checked.")
    with ui.panel("Checking", f"{words.count(waiting, 'call waits', 'calls wait')}" if waiting else "nothing waits"):
        if alive:
            ui.table(
                [
                    {
                        "Process": words.name(worker.name),
                        "State": ":gray[Working]",
                        "Started": words.moment(session.local(worker.started_at), now),
                    }
                    for worker in alive
                ]
            )
        else:
            st.markdown(":orange-badge[:material/error: No checking process answers]")
            st.caption("Start one with: governance serve, or governance worker. Calls that wait are not lost.")

with jobs_tab:
    jobs_panel.draw(now)
