"""What an address asks for and a page cannot give: said on the page, so that a list is not taken for what was asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import streamlit as st

from governance.services.named import nearest

_KEPT = "_address"
_LONGEST = 80
_MOST = 5

Known: TypeAlias = Collection[str] | Callable[[str], bool] | None
"""The values of a parameter, or what tells whether one is sound; None is any text."""


def check(page: str, known: Mapping[str, Known]) -> None:
    """Notes what of the address this page does not know. To be called before the page's fields are drawn: those bound
    to the address take what they know out of it, and forget the rest."""
    found = [
        sentence
        for name in st.query_params
        for value in st.query_params.get_all(name)
        if (sentence := _wrong(name, value, known))
    ]
    kept = st.session_state.get(_KEPT)
    if found:
        st.session_state[_KEPT] = (page, found)
    elif kept is not None and kept[0] != page:
        forget()


def _wrong(name: str, value: str, known: Mapping[str, Known]) -> str:
    shown = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    if name not in known:
        near = nearest(name, known)
        return f"The address names “{name[:_LONGEST]}”, which this page does not know. {near}".strip()
    values = known[name]
    if values is None or not value:
        return ""
    if callable(values):
        return "" if values(value) else f"The address asks for {name} “{shown}”, which cannot be read."
    if value in values:
        return ""
    near = nearest(value, values)
    return f"The address asks for {name} “{shown}”, which is not among what this page shows. {near}".strip()


def forget() -> None:
    """What the address asked for counts no more: a field was changed."""
    st.session_state.pop(_KEPT, None)


def say() -> None:
    """Shows what was noted, below the page's title."""
    if kept := st.session_state.get(_KEPT):
        with st.container(border=True, gap="xxsmall"):
            st.markdown(":orange[:material/link_off:] **Not all that the address asks for is shown here**")
            st.text("\n".join(kept[1][:_MOST]))
