"""One of several views, as pills or as a segmented control, kept in the page's address.

Streamlit writes the chosen option in the primary colour, and white on the same colour in primary buttons. On a dark
page no colour gives both texts a contrast of 4.5 : 1, so the chosen option's label takes the theme's blue for text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st


def choice(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: str = "",
    address: str = "",
    counts: Mapping[str, int] | None = None,
    segmented: bool = False,
    shown_label: bool = False,
    on_change: Callable[[], None] | None = None,
) -> str:
    """Draws the options and returns the chosen one; where no `default` is named, the first is it.

    `key` is where the session keeps the choice. `address` names the query parameter that keeps it too: the choice
    follows the address when that changes (a link, Back), and the default is left out of it. `counts` are shown behind
    the options. The words are our own.
    """
    state, seen, default = st.session_state, f"{key} in the address", default or options[0]
    asked = st.query_params.get(address, default) if address else default
    if asked not in options:
        asked = default
    if state.get(key) not in options or (address and state.get(seen, asked) != asked):
        state[key] = asked
    chosen: str = state[key]
    if address:
        state[seen] = chosen
        if chosen == default:
            st.query_params.pop(address, None)
        elif chosen != st.query_params.get(address):
            st.query_params[address] = chosen

    def labelled(option: str) -> str:
        text = f":blue[{option}]" if option == chosen else option
        return text if counts is None else f"{text} :gray[{counts[option]}]"

    draw = st.segmented_control if segmented else st.pills
    draw(
        label,
        options,
        required=True,
        key=key,
        on_change=on_change,
        label_visibility="visible" if shown_label else "collapsed",
        wrap=True,
        format_func=labelled,
    )
    return chosen
