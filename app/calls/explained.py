"""What would have turned a decision: the smallest change of a parameter, policy by policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.components.marked import pairs
from app.shell import session, words
from governance.errors import GovernanceError

MOST_POLICIES = 8


def panel(decision_id: int) -> None:
    """A button, and what it asks for once pressed: deciding again takes a moment, so it is not done unasked."""
    key = f"explained-{decision_id}"
    if not st.session_state.get(key):
        st.button(
            "What would have turned it?",
            icon=":material/alt_route:",
            on_click=lambda: st.session_state.update({key: True}),
            help="Decides again from what was known then, and tries other thresholds.",
        )
        return
    try:
        told = session.application().explain.explain(session.actor(), decision_id).document()
    except GovernanceError as error:
        st.caption(words.name(error.message, 200))
        return
    said = False
    for number, policy in enumerate(told["policies"][:MOST_POLICIES]):
        changes = turns(policy)
        if changes:
            said = True
            would = "would pass" if policy["outcome"] == "fired" else "would be flagged"
            st.caption(f"{words.name(policy['title'], 120)}: {would} if")
            pairs(changes, key=f"{key}-{number}")
    if not said:
        st.caption("No single threshold of a policy would have turned it.")
    if told["replays"]:
        st.caption(":green[:material/check:] Decided again from what was known then, the same comes out.")
    else:
        why = " The call has got further content since." if told["call_changed_since"] else ""
        st.caption(f":orange[:material/warning:] Decided again, something else comes out.{why}")


def turns(policy: Mapping[str, Any]) -> dict[str, str]:
    """'Threshold' to '0.91 instead of 0.8': what would have turned one policy, by the parameter's label."""
    return {
        words.condition(f"params.{flip['param']}"): f"{_value(flip['to'])} instead of {_value(flip['value'])}"
        for flip in policy["flips"]
    }


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(str(item).replace("_", " ") for item in value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
