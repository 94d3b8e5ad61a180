"""What verifications of the log found wrong: alarms on the Audit page, and who acknowledges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.components import ui
from app.shell import session, words
from governance.domain.people import Permission
from governance.services.evidence.ports import Finding

TITLE = {
    "sequence": "Entries are missing",
    "leaves": "Entries were altered",
    "rows": "What is searched is not what was signed",
    "tiles": "The proof tree does not follow from the entries",
    "checkpoints": "Signed statements are of another log",
    "streams": "Entries of a system are missing or counted wrong",
    "state": "Tables say otherwise than the log",
    "texts": "Texts are not those that were committed to",
    "policies": "Policies that decided are not those that were in force",
    "continuity": "The log does not continue a checkpoint that was kept elsewhere",
}


def draw(findings: Sequence[Finding], names: Mapping[int, str]) -> None:
    """A box for each finding that alarms; those that somebody answers for stand below, in short."""
    allowed = session.may(Permission.ACKNOWLEDGE_FINDING, "")
    for one in findings:
        if not one.open:
            continue
        with st.container(border=True, gap="xsmall"):
            title = TITLE.get(one.kind, words.plain(one.kind))
            st.markdown(f"**:red[:material/gpp_bad:] {title}** &ensp;:gray[Finding {one.id}]")
            st.text(one.detail)
            again = f", found {one.times:,} times" if one.times > 1 else ""
            st.caption(
                f"Found {words.moment(session.local(one.at), session.now())}{again}. It stands until the log meets a "
                "checkpoint that was kept elsewhere (governance audit verify --checkpoint FILE), or somebody "
                "answers for it. Secure the database file and the kept checkpoints first."
            )
            if st.button(
                "Acknowledge",
                key=f"finding-{one.id}",
                icon=":material/how_to_reg:",
                disabled=not allowed,
                help=None if allowed else "A compliance officer acknowledges findings",
            ):
                ask(one)
    answered = [one for one in findings if not one.open]
    if answered:
        with ui.panel("Findings that somebody answers for"):
            for one in answered:
                st.markdown(
                    f"{TITLE.get(one.kind, words.plain(one.kind))} :gray[Finding {one.id}, "
                    f"{words.moment(session.local(one.at), session.now())}]"
                )
                st.text(f"{by(one, names)}: {one.note}")


@st.dialog("Answer for this finding")
def ask(finding: Finding) -> None:
    st.text(finding.detail)
    st.markdown("Your name and your note are recorded. The alarm ends; the finding stays on record.")
    note = st.text_area("Note", placeholder="What happened, and what was done about it", key="finding-note")
    if st.button(
        "Acknowledge",
        type="primary",
        key="acknowledge",
        disabled=not note.strip(),
        help=None if note.strip() else "Write a note first",
    ):
        done = session.attempt(lambda: session.application().findings.acknowledge(session.begin(), finding.id, note))
        if done is not None:
            session.tell(f"Finding {finding.id} is acknowledged.")
        st.rerun()


def by(finding: Finding, names: Mapping[int, str]) -> str:
    """Who answers for a finding: a person's name, or the operating system's account."""
    kind, _, who = (finding.acknowledged_by or "").partition(":")
    if kind == "person":
        return names.get(int(who), "Somebody")
    return f"{words.name(who, 60)} at the command line"
