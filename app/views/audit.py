"""What happened, who did it, and can it be proven? The audit trail, its verification, and evidence to take away."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, cast

import streamlit as st

from app.components import address, ui
from app.components.choice import choice
from app.components.rows import Column, choose, quiet
from app.evidence import copies as copies_panel
from app.evidence import exports, trail
from app.evidence import findings as findings_panel
from app.shell import session, words
from governance.audit.verify import Outcome
from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission, Systems
from governance.services.evidence.export import EvidenceFilter
from governance.services.evidence.read import EventFilter, EventRow

PAGE = 50
INTACT = "Nothing was altered, removed, reordered or added later"
PERIODS = {"7 days": 7, "Month": 30, "Quarter": 91, "Year": 365}
CHECKS = {
    "sequence": "No entry is missing or twice",
    "leaves": "No entry was altered",
    "rows": "What is searched is what was signed",
    "tiles": "The proof tree follows from the entries",
    "checkpoints": "Every signed statement is of this log",
    "continuity": "Kept elsewhere",
}

session.need(Permission.READ_AUDIT)
me, now = session.actor(), session.now()
read = session.application().read_audit
everybody = session.application().read_people.everybody(me)
week_ago = session.application().clock() - timedelta(days=7)
state = read.log(me, week_ago)


def verify() -> None:
    """Verifies the whole log; what came of it stays on the page until the next visit."""
    with st.spinner("Checking every entry …"):
        began = datetime.now()  # noqa: DTZ005
        found = session.attempt(lambda: session.application().verify.verify(session.begin()))
    if found is not None:
        st.session_state["verification"] = (found, (datetime.now() - began).total_seconds())  # noqa: DTZ005


# Seldom on the page, so looked up seldom: when the log began.
@st.cache_data(ttl=3600, show_spinner=False, max_entries=64)
def began_at(source: str, scope: Systems, _who: Actor) -> datetime | None:
    return session.application().read_audit.began(_who)


first = began_at(session.source(), session.scope(Permission.READ_AUDIT), me)
since_note = f" since {words.day(session.local(first), now)}" if first else ""
findings = session.application().findings.standing(me)
broken = state.verified is False
title = (
    "The log does not verify"
    if broken
    else f"{words.count(state.findings, 'finding')} about the log that nobody answers for"
    if state.findings
    else "Every action is recorded and sealed"
    if state.verified
    else "Every action is recorded; the log waits to be verified"
)
with ui.header(title, f"{words.count(state.size, 'entry', 'entries')}{since_note} · times: {session.zone_words()}"):
    run_verify = st.button("Verify now", icon=":material/verified_user:", type="primary")
if run_verify:
    verify()
    st.rerun()  # the title says what came of it
session.told()
findings_panel.draw(findings, everybody)

with st.container(border=True):
    result = st.session_state.get("verification")
    with st.container(gap="xxsmall"):
        if result is not None:
            found, seconds = result
            if found.ok:
                st.markdown(
                    "**:orange[:material/verified_user:] The log is whole in itself; what was found before stands**"
                    if state.findings
                    else f"**:green[:material/verified_user:] {INTACT}**"
                )
                st.caption(
                    f"{words.count(found.events, 'entry', 'entries')} checked in {seconds:.1f} s, just now, by you."
                )
            else:
                st.markdown("**:red[:material/gpp_bad:] The log was tampered with, or is damaged**")
                st.caption("Secure the database file and the checkpoints kept elsewhere before anything else.")
                for check in found.checks:
                    if check.outcome is Outcome.FAILED:
                        st.markdown(f":red-badge[:material/error: {CHECKS.get(check.name, words.plain(check.name))}]")
                        st.text("\n".join([check.detail, *check.places]))
        elif broken:
            st.markdown("**:red[:material/gpp_bad:] The last verification found the log altered or damaged**")
            st.caption("Verify again to see where.")
        elif state.verified_at is not None:
            st.markdown(
                "**:orange[:material/verified_user:] The log is whole in itself; what was found before stands**"
                if state.findings
                else f"**:green[:material/verified_user:] {INTACT}**"
            )
            st.caption(f"Verified {words.moment(session.local(state.verified_at), now)}.")
        else:
            st.markdown("**:orange[:material/verified_user:] Not verified yet**")
            st.caption("Verify now: every entry is checked against its signature. It can run while work goes on.")
    with st.grid(4, min_column_width=170):
        waiting = f"all but {words.count(state.unsealed, 'entry', 'entries')}" if state.unsealed else "every entry"
        figures = [
            (
                "Signed statement",
                words.moment(session.local(state.sealed_at), now).capitalize() if state.sealed_at else "None yet",
                f"covers {waiting}",
            ),
            ("Entries", f"{state.size:,}", "append-only"),
            (
                "Verified",
                words.ago(state.verified_at, now).capitalize() if state.verified_at else "Not yet",
                "whole log" if state.verified_at else "",
            ),
            ("Original text", words.count(state.reveals, "reveal"), "7 days"),
        ]
        for label, value, note in figures:
            with st.container(gap="xxsmall"):
                st.caption(label)
                st.markdown(f"**{value}** :gray[:small[{note}]]", width="content")

left, right = ui.split()


def restart() -> None:
    address.forget()
    st.session_state.pop("audit_before", None)
    st.session_state.pop("audit_chosen", None)


def digits_of_case(text: str) -> str:
    """The digits of a case number as people write it; "" where it is none."""
    digits = text.lower().removeprefix("case").strip()
    return digits if digits.isdecimal() and digits.isascii() and len(digits) < 16 else ""


person_names = ["Anybody", *sorted(set(everybody.values()))]
address.check("audit", {"show": trail.GROUPS, "who": person_names, "about": lambda asked: bool(digits_of_case(asked))})
with left:
    address.say()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        kind = choice("Kind", list(trail.GROUPS), key="show", address="show", on_change=restart)
        with st.popover("Person, subject, time", icon=":material/filter_list:"):
            who = st.selectbox("Person", person_names, key="who", bind="query-params", on_change=restart)
            about = st.text_input(
                "Case number", key="about", bind="query-params", placeholder="for example 214", on_change=restart
            )
            days: Any = st.date_input("From and to", value=cast(Any, ()), key="audit_days", on_change=restart)
    since = until = None
    if isinstance(days, tuple) and len(days) == 2:
        since = datetime.combine(days[0], time(), now.tzinfo)
        until = datetime.combine(days[1], time(), now.tzinfo) + timedelta(days=1)
    number = digits_of_case(about)
    if about and not number:
        st.caption("A case number is digits; the entries of all cases are shown.")
    actors = [number_ for number_, name in everybody.items() if name == who]
    chosen = EventFilter(
        kinds=tuple(kind_.value for kind_ in trail.GROUPS[kind]),
        actor=f"person:{actors[0]}" if actors else "",
        subject=f"case:{number}" if number else "",
        since=since,
        until=until,
    )
    before = st.session_state.get("audit_before")
    rows = read.events(me, chosen, before=before, limit=PAGE + 1)
    more, rows = len(rows) > PAGE, rows[:PAGE]
    reasons = read.reveal_reasons(
        me,
        [int(row.data["reveal"]) for row in rows if row.kind == EventKind.CONTENT_REVEALED and "reveal" in row.data],
    )

    named = {trail.case_number(row.subject, row.data) for row in rows}
    titles = read.case_titles(me, {number for number in named if number})

    def sentence(row: EventRow) -> str:
        reason = reasons.get(int(row.data.get("reveal", 0) or 0), "") if row.kind == EventKind.CONTENT_REVEALED else ""
        return trail.sentence(row.kind, row.actor, row.subject, row.data, everybody, reason=reason, titles=titles)

    if not rows:
        with ui.notice(
            "No entry fits these filters", "Entries outside these filters are in the log all the same.", "search_off"
        ):

            def everything() -> None:
                st.session_state.update(show="Everything", who="Anybody", about="", audit_days=())
                restart()

            st.button("Show everything", on_click=everything)
    else:
        opened = next((n for n, row in enumerate(rows) if row.id == st.session_state.get("audit_chosen")), -1)
        picked = choose(
            [
                {
                    "When": words.clock(session.local(row.at), now),
                    "What happened": sentence(row),
                    "About": trail.about(row.subject, everybody),
                    "Kind": trail.KIND.get(row.kind, words.plain(row.kind)),
                }
                for row in rows
            ],
            {
                "When": Column(width=96, tone=quiet),
                "What happened": Column(least=420),
                "About": Column(width=104, tone=quiet),
                "Kind": Column(width=80, tone=lambda value: "red" if value == "Refused" else ""),
            },
            key="events",
            name="Audit entries, newest first",
            row_height=36,
            height=36 * 14 + 38,
            current=opened,
        )
        if picked is not None:
            st.session_state["audit_chosen"] = rows[picked].id
            st.rerun()
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.caption("Newest first · choose a row to see its signed content and proof", width="content")
            with st.container(horizontal=True, width="content"):
                if before is not None:
                    st.button("Newest", icon=":material/first_page:", type="tertiary", on_click=restart)
                if more:
                    st.button(
                        "Older",
                        icon=":material/arrow_forward:",
                        icon_position="right",
                        type="tertiary",
                        on_click=lambda: st.session_state.update(audit_before=rows[-1].id),
                    )
        if opened >= 0:
            row = rows[opened]
            with ui.panel(
                "Signed content and proof", f"entry {row.seq:,}" if row.seq is not None else "waits to be signed"
            ):
                st.code(row.leaf.decode("utf-8", "replace"), language=None, wrap_lines=True)
                if row.seq is None:
                    st.caption("It is signed within a second; then its proof appears here.")
                else:
                    proof = read.proof(me, row.seq)
                    st.caption(
                        f"{words.count(len(proof.path), 'hash leads', 'hashes lead')} from this entry to the signed "
                        "statement. Anyone can check it offline (RFC 6962)."
                    )
                    st.code(str(proof), language=None)

with right:
    with ui.panel("Export evidence"):
        period = choice("Period", list(PERIODS), key="export_period", default="Month", segmented=True, shown_label=True)
        names = session.systems(Permission.READ_AUDIT)
        system = st.selectbox("System", ["All systems", *names], key="export_system")
        case_number = st.text_input("Case number", placeholder="all cases", key="export_case")
        place = "" if system == "All systems" else system
        allowed = session.may(Permission.EXPORT_EVIDENCE, place)
        exported_case = digits_of_case(case_number)
        wrong = bool(case_number.strip()) and not exported_case
        why_not = exports.NOT_ALLOWED if not allowed else "A case number is digits" if wrong else ""
        asked_for = EvidenceFilter(
            since=session.application().clock() - timedelta(days=PERIODS[period]),
            system=place,
            case=int(exported_case) if exported_case else None,
        )
        exports.offer(asked_for, key="package", why_not=why_not)
        st.caption("Whoever gets it opens index.html inside, in any browser, offline. Making it is itself an entry.")
    copies_panel.draw(me)
    with ui.panel("Who revealed original text", "7 days"):
        revealed = read.revealers(me, week_ago)
        if revealed:
            ui.table(
                [
                    {
                        "Person": words.name(everybody.get(one.principal_id, "Somebody")),
                        "Times": f"{one.times}",
                        "Longest": words.span(one.longest_seconds),
                    }
                    for one in revealed
                ]
            )
        else:
            st.caption("Nobody in 7 days.")
