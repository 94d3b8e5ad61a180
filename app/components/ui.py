"""The console's few building blocks. Text passed here is our own wording, or went through `words.name`.

Words from calls go to `st.text`, `st.code`, `components.marked` or `components.rows` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from app.shell import words

SEVERITY = {
    4: ("Critical", "red", "keyboard_double_arrow_up"),
    3: ("High", "orange", "keyboard_arrow_up"),
    2: ("Medium", "gray", "drag_handle"),
    1: ("Low", "gray", "keyboard_arrow_down"),
}
SOON = timedelta(hours=4)


def theme() -> str:
    return "dark" if st.context.theme.type == "dark" else "light"


def tones() -> dict[str, str]:
    """Chart colours for the theme shown now; the same values as config.toml."""
    kind = theme()

    def get(option: str) -> str:
        return str(st.get_option(f"theme.{kind}.{option}") or "#808080")

    return {c: get(c + "Color") for c in ("red", "orange", "green", "gray", "border", "text", "background")} | {
        "soft": get("grayBackgroundColor"),
        "redText": get("redTextColor"),
        "orangeText": get("orangeTextColor"),
        "quiet": get("grayTextColor"),
    }


def severity(rank: int) -> str:
    word, colour, icon = SEVERITY[rank]
    return f":{colour}-badge[:material/{icon}: {word}]"


def due_tone(at: datetime, now: datetime) -> str:
    """ "red" once late, "orange" within four hours, else ""."""
    return "red" if at < now else "orange" if at < now + SOON else ""


def due_badge(at: datetime, now: datetime) -> str:
    text = words.due(at, now)
    text = f"Due {text}" if at >= now else text.capitalize()
    return f":{due_tone(at, now) or 'gray'}-badge[:material/schedule: {text}]"


@contextmanager
def header(title: str, note: str = "", badges: str = "") -> Iterator[None]:
    """The title on the left with one line of context under it; yields the place for actions on the right."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap="xxsmall"):
            st.markdown(f"# {title}" + (f" &ensp;{badges}" if badges else ""), anchors=False, width="content")
            if note:
                st.caption(note, width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center", horizontal_alignment="right"):
            yield


@contextmanager
def panel(title: str, note: str = "", cell: Any = None) -> Iterator[None]:
    """A titled box; pass a cell of a bordered grid to line boxes up at equal height."""
    with cell or st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"##### {title}", anchors=False, width="content")
            if note:
                st.caption(note, width="content")
        yield


def split() -> tuple[Any, Any]:
    """Two thirds for the matter, one third for its context; one above the other on a narrow window."""
    grid = st.grid(3, min_column_width=280)
    return grid.cell(column_span=2), grid.cell()


def facts(rows: Mapping[str, str]) -> None:
    """Label and value pairs, one a line; both of our own words."""
    st.table(
        pd.DataFrame({"": [f":gray[{key}]" for key in rows], " ": list(rows.values())}),
        border="horizontal",
        hide_header=True,
        hide_index=True,
    )


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """A short table of our own words."""
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True)


def whole(text: str) -> str:
    """Keeps a name or a date on one line in a table."""
    return text.replace(" ", "\u00a0")


def tab_labels(*names: str) -> list[str]:
    """Labels of tabs, in grey: on a dark page the primary colour, which the open tab would have, is too dim."""
    return [f":gray[{name}]" for name in names]


def onward(page: str, label: str, **query: object) -> None:
    """A link to another page of the console."""
    st.page_link(
        f"views/{page}.py",
        label=label,
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params={name: str(value) for name, value in query.items()},
    )


def download(label: str, address: str) -> None:
    """A link, drawn as a button, to a file of this console that the browser saves."""
    style = (
        "display:block;text-align:center;text-decoration:none;color:inherit;padding:.42rem .75rem;border-radius:.5rem;"
        "border:1px solid color-mix(in srgb,currentColor 55%,transparent)"
    )
    st.html(f'<a href="{address}" target="_self" download style="{style}">{label}</a>')


@contextmanager
def notice(title: str, text: str, icon: str, *, whole_page: bool = False) -> Iterator[None]:
    """A box in place of what would be here: nothing yet, or an error. Yields the place for buttons.

    Where it is the `whole_page`, its title is the page's.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.space("medium")
        st.markdown(f"{'#' if whole_page else '###'} :material/{icon}: {title}", text_alignment="center", anchors=False)
        st.markdown(text, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
            yield
        st.space("medium")


def steps(names: Sequence[tuple[str, str]], at: int) -> None:
    """Where a process stands: done, now, later; the line above is how far it is."""
    st.progress(min(1.0, (at + 0.5) / len(names)))
    for i, (column, (name, note)) in enumerate(zip(st.columns(len(names), gap="small"), names, strict=True)):
        icon = (
            ":green[:material/check_circle:]"
            if i < at
            else ":blue[:material/radio_button_checked:]"
            if i == at
            else ":gray[:material/radio_button_unchecked:]"
        )
        with column, st.container(gap="xxsmall"):
            st.markdown(f"{icon} **{name}**" if i == at else f"{icon} {name}" if i < at else f"{icon} :gray[{name}]")
            st.caption(note)


def spec(chart: Any, height: int) -> dict[str, Any]:
    """A chart's finished description. Building one costs 10 to 30 ms, showing one 1 ms: cache it by theme and data."""
    t = tones()
    finished: dict[str, Any] = (
        chart.properties(height=height, padding={"left": 0, "top": 4, "right": 2, "bottom": 0})
        .configure(font="Inter")
        .configure_view(stroke=None)
        .configure_axis(
            grid=False,
            domain=False,
            ticks=False,
            labelColor=t["quiet"],
            titleColor=t["quiet"],
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelFontWeight="normal",
        )
    ).to_dict()
    return finished


def chart(finished: dict[str, Any], alt_text: str, **options: Any) -> Any:
    return st.vega_lite_chart(finished, alt=alt_text, **options)


# Waterfall of a trace, shared by Case and Calls.

_ROW = 26
_AXIS = 34  # the height that is asked for holds the time axis too


@st.cache_data(show_spinner=False, max_entries=200)
def waterfall_spec(steps_: tuple[tuple[str, float, float, str], ...], chosen: str, kind: str) -> dict[str, Any]:
    """Steps as (label, offset ms, duration ms, "usual" | "flagged" | "failed"); `kind` is the theme."""
    t = tones()
    end = max((offset + length for _label, offset, length, _kind in steps_), default=1.0) or 1.0
    unit, factor, form = ("s", 1000.0, ".1f") if end >= 2000 else ("ms", 1.0, ".0f")
    data = pd.DataFrame(
        [
            {
                "Step": label,
                "from": offset / factor,
                "to": max(offset + length, offset + end * 0.004) / factor,
                "kind": state,
                "took": words.took(length),
            }
            for label, offset, length, state in steps_
        ]
    )
    y = alt.Y(
        "Step:N",
        sort=None,
        title=None,
        scale=alt.Scale(paddingInner=0.2, paddingOuter=0.2),
        axis=alt.Axis(labelLimit=190, labelPadding=10, labelColor=t["text"], labelFontSize=12.5, labelOverlap=False),
    )
    pick = alt.selection_point(name="picked", fields=["Step"], value=[{"Step": chosen}])
    base = alt.Chart(data)
    bars = (
        base.mark_bar(height=12, cornerRadius=2, cursor="pointer")
        .encode(
            y=y,
            x=alt.X(
                "from:Q",
                title=None,
                scale=alt.Scale(domain=[0, end / factor * 1.16]),
                axis=alt.Axis(
                    tickCount=6, format=form, labelExpr=f"datum.label + ' {unit}'", grid=True, gridColor=t["soft"]
                ),
            ),
            x2="to:Q",
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=["usual", "flagged", "failed"], range=[t["gray"], t["red"], t["orange"]]),
                legend=None,
            ),
            opacity=alt.condition(pick, alt.value(1), alt.value(0.55)),
            tooltip=["Step", "took"],
        )
        .add_params(pick)
    )
    took = base.mark_text(align="left", dx=5, fontSize=11.5, color=t["quiet"]).encode(y=y, x="to:Q", text="took")
    return spec(bars + took, _ROW * len(steps_) + _AXIS)


def waterfall(
    steps_: Sequence[tuple[str, float, float, str]], chosen: str, *, key: str, follow: Callable[[], None]
) -> None:
    """Bars of a trace over time; a click on one calls `follow`."""
    flagged = sum(state == "flagged" for *_rest, state in steps_)
    chart(
        waterfall_spec(tuple(steps_), chosen, theme()),
        f"{words.count(len(steps_), 'step')} of the interaction over time, {flagged} flagged",
        key=key,
        on_select=follow,
        selection_mode="picked",
    )
