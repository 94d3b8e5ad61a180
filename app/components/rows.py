"""A list to choose from: a real table of text alone, for mouse, keys and screen readers.

`st.dataframe` draws on a canvas, cuts words off without a sign, and takes the arrival of the focus for a choice: who
went through the queue with Tab opened its first case. Here the arrows move, Enter or Space chooses, Tab goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st


def quiet(_value: object) -> str:
    """The tone of a column that is read last."""
    return "quiet"


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one field of the rows is shown. `width` is in pixels; columns of width 0 share what is left, at least `least`
    pixels each: a list that is wider than the window is moved sideways. `show` turns a value into words, `tone` into
    "red" or "orange" (both bold), "quiet" or "". `bars` draws a list of numbers. An `optional` column is left out where
    no row has anything in it."""

    label: str = ""
    width: int = 0
    least: int = 260
    right: bool = False
    help: str = ""
    show: Callable[[Any], str] = str
    tone: Callable[[Any], str] = lambda _value: ""
    bars: bool = False
    optional: bool = False


_CSS = """
:host { font-family: var(--st-font); color: var(--st-text-color); font-size: 12.6px; }
#list { overflow: auto; border: 1px solid var(--st-dataframe-border-color); border-radius: var(--st-base-radius); }
table { border-collapse: separate; border-spacing: 0; table-layout: fixed; width: 100%; }
th, td { box-sizing: border-box; height: var(--row); padding: 0 8px; text-align: left; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate;
  border-bottom: 1px solid var(--st-dataframe-border-color); }
th { position: sticky; top: 0; font-weight: 400; color: var(--st-gray-text-color);
  background: var(--st-dataframe-header-background-color); }
th[title] { text-decoration: underline dotted; text-underline-offset: 3px; }
tbody tr:last-child td { border-bottom: 0; }
.right { text-align: right; } .quiet { color: var(--st-gray-text-color); }
.red { color: var(--st-red-text-color); font-weight: 600; }
.orange { color: var(--st-orange-text-color); font-weight: 600; }
tbody tr { cursor: pointer; user-select: none; }
tbody tr:hover td { background: var(--st-secondary-background-color); }
tbody tr[aria-selected=true] td { background: var(--st-blue-background-color); }
tbody tr:focus { outline: 2px solid var(--st-primary-color); outline-offset: -2px; border-radius: 3px; }
svg { display: block; fill: var(--st-gray-color); }
"""
_JS = """
const el = (tag, cls, text) => {
  const e = document.createElement(tag); if (cls) e.className = cls
  if (text !== undefined) e.textContent = text; return e }
const bars = numbers => {
  const at = (tag, values) => { const e = document.createElementNS("http://www.w3.org/2000/svg", tag)
    for (const name in values) e.setAttribute(name, values[name]); return e }
  const top = Math.max(1, ...numbers), wide = 76 / Math.max(1, numbers.length)
  const drawn = at("svg", { width: 76, height: 20, role: "img", "aria-label": numbers.join(", ") })
  numbers.forEach((n, i) => n && drawn.append(at("rect", {
    x: i * wide, y: 20 - 20 * n / top, width: wide - 1.5, height: 20 * n / top })))
  drawn.append(at("rect", { x: 0, y: 19.5, width: 76, height: 0.5 }))
  return drawn }
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#list"), now = JSON.stringify(data)
  root.choose = i => setTriggerValue("chosen", i)
  if (root.drawn === now) return
  root.drawn = now
  root.style.maxHeight = data.height ? data.height + "px" : ""
  root.style.setProperty("--row", data.row_height + "px")
  const table = el("table"), head = el("tr"), body = el("tbody"), kinds = data.columns
  table.setAttribute("role", "grid"); table.setAttribute("aria-label", data.name)
  table.style.minWidth = data.least + "px"
  head.append(...kinds.map(k => {
    const th = el("th", k.right ? "right" : "", k.label); th.scope = "col"; if (k.help) th.title = k.help
    if (k.width) th.style.width = k.width + "px"; return th }))
  const rows = data.rows.map((cells, i) => {
    const row = el("tr"); row.tabIndex = i === Math.max(0, data.current) ? 0 : -1
    if (data.current >= 0) row.setAttribute("aria-selected", i === data.current)
    row.append(...cells.map(([text, tone], c) => {
      const td = el("td", [tone, kinds[c].right ? "right" : ""].join(" "))
      if (kinds[c].bars) td.append(bars(text)); else { td.textContent = text; td.dir = "auto" }
      if (kinds[c].right) td.dir = "ltr"
      td.onmouseenter = () => { td.title = td.scrollWidth > td.clientWidth ? text : "" }
      return td }))
    row.onclick = () => root.choose(i)
    row.onfocus = () => { for (const other of rows) other.tabIndex = other === row ? 0 : -1 }
    row.onkeydown = e => {
      if (e.ctrlKey || e.altKey || e.metaKey) return
      const to = {
        ArrowDown: i + 1, ArrowUp: i - 1, PageDown: i + 10, PageUp: i - 10, Home: 0, End: rows.length }[e.key]
      if (to !== undefined) rows[Math.min(rows.length - 1, Math.max(0, to))].focus()
      else if (e.key === "Enter" || e.key === " ") root.choose(i)
      else return
      e.preventDefault() }
    return row })
  body.append(...rows); table.append(el("thead")); table.tHead.append(head); table.append(body)
  root.replaceChildren(table) }
"""
_view = st.components.v2.component("governance_rows", html='<div id="list"></div>', css=_CSS, js=_JS)


def choose(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Column],
    *,
    key: str,
    name: str,
    row_height: int = 34,
    height: int = 0,
    current: int = -1,
) -> int | None:
    """Draws the rows, a column for each of `columns`; gives the number of the row that was just chosen.

    `name` is the list's name for those who hear it; beyond `height` pixels (0: never) it scrolls within; `current` is
    the row that is open already.
    """
    columns = {
        field: column for field, column in columns.items() if not column.optional or any(row[field] for row in rows)
    }
    least = sum(column.width or column.least for column in columns.values())
    drawn = {
        "name": name,
        "columns": [
            {
                "label": column.label or field,
                "width": column.width,
                "right": column.right,
                "help": column.help,
                "bars": column.bars,
            }
            for field, column in columns.items()
        ],
        "rows": [
            [
                (row[field] if column.bars else column.show(row[field]), column.tone(row[field]))
                for field, column in columns.items()
            ]
            for row in rows
        ],
        "least": least,
        "row_height": row_height,
        "height": height,
        "current": current,
    }
    chosen = _view(data=drawn, key=key, on_chosen_change=lambda: None).chosen
    return int(chosen) if chosen is not None and 0 <= int(chosen) < len(rows) else None
