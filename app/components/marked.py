"""Untrusted text with marks: a conversation, signed bytes, a file's source, what differs. Text reaches the page only
through `textContent`.

The component's data is JSON; no part of it is ever parsed as HTML or Markdown. Offsets count code points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import streamlit as st

Level = Literal["critical", "high", "note", "hidden", "shown"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One speaker's text. `kind` is "document" (retrieved or handed over), "tool", "folded" (not shown yet) or ""."""

    who: str
    note: str = ""
    text: str
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """`start` and `end` are code points of turn number `turn`. `n` is the number shown beside the mark, 0 for none;
    `also` are those of what lies within it."""

    turn: int
    start: int
    end: int
    level: Level
    label: str = ""
    id: str = ""
    n: int = 0
    also: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What is said about a place of a line; `label` stands under the line. `start` and `end` are code points."""

    start: int
    end: int
    level: Level
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a file or of a difference. `kind` is "add", "del", "gap" (`text` says how many are left out) or ""."""

    text: str
    n: str = ""
    kind: Literal["", "add", "del", "gap"] = ""
    remarks: tuple[Remark, ...] = ()


_CSS = """
:host { font-family: var(--st-font); color: var(--st-text-color); font-size: 14px; }
.turn { display: grid; grid-template-columns: 112px 1fr; gap: 14px; padding: 12px 0;
  border-top: 1px solid var(--st-border-color); }
.turn:first-child { border-top: 0; padding-top: 2px; }
.who { font-size: 12.5px; font-weight: 600; overflow-wrap: anywhere; unicode-bidi: isolate; }
.who small { display: block; font-weight: 400; font-size: 12px; color: var(--st-gray-text-color); margin-top: 2px; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.6; max-width: 72ch; unicode-bidi: isolate; }
.turn.document .said { border-left: 3px solid var(--st-border-color); padding-left: 12px; font-size: 13.5px; }
.turn.tool .said { font-family: var(--st-code-font); font-variant-ligatures: none; font-size: 12.5px; }
.turn.folded .said { color: var(--st-gray-text-color); }
mark { color: inherit; border-radius: 3px; padding: 1px 2px; background: color-mix(in srgb, var(--c) 15%, transparent);
  box-shadow: inset 0 -2px 0 var(--c); }
mark[role=button] { cursor: pointer; }
mark[data-n]::after { content: attr(data-n); font-size: 10px; font-weight: 650; vertical-align: super;
  margin-left: 2px; color: var(--c); }
mark[role=button]:hover, mark[aria-current=true] { background: color-mix(in srgb, var(--c) 32%, transparent); }
mark:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.critical { --c: var(--st-red-color); } .high { --c: var(--st-orange-color); } .note { --c: var(--st-gray-color); }
.hidden { background: var(--st-gray-background-color); color: var(--st-gray-text-color); border-radius: 3px;
  padding: 1px 5px; font-size: .92em; }
.shown { border-bottom: 1px dashed var(--st-orange-color); }
.pair { display: grid; grid-template-columns: minmax(84px, 34%) 1fr; gap: 10px; padding: 5px 4px; font-size: 12.5px;
  border-top: 1px solid var(--st-border-color); } .pair:first-child { border-top: 0; }
.pair > :first-child { color: var(--st-gray-text-color); } .pair > * { overflow-wrap: anywhere; unicode-bidi: isolate; }
.src { font-family: var(--st-code-font); font-variant-ligatures: none; font-size: 12.5px; line-height: 1.62; }
.line { display: grid; grid-template-columns: 36px 14px 1fr; white-space: pre-wrap; overflow-wrap: anywhere; }
.line > :first-child { color: var(--st-gray-text-color); text-align: right; padding-right: 10px; user-select: none; }
.line.add { background: var(--st-green-background-color); } .line.del { background: var(--st-red-background-color); }
.line.gap { color: var(--st-gray-text-color); font-family: var(--st-font); font-size: 12px; }
.src mark { background: none; box-shadow: none; padding: 0; text-decoration: underline wavy var(--c);
  text-underline-offset: 4px; }
.remark { font-family: var(--st-font); line-height: 1.45; margin: 2px 0 6px 50px; padding: 5px 10px;
  white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--c);
  background: color-mix(in srgb, var(--c) 9%, transparent); border-radius: 0 4px 4px 0; }
@media (max-width: 520px) { .turn { grid-template-columns: 1fr; gap: 4px; } }
"""
_JS = """
const el = (tag, cls, text) => {
  const e = document.createElement(tag); if (cls) e.className = cls
  if (text !== undefined) e.textContent = text; return e }
const pieces = (into, text, spans, pick, current) => {
  const chars = Array.from(text); let at = 0                         // code points, as Python counts them
  for (const s of [...spans].sort((a, b) => a.start - b.start)) {
    if (s.start < at) continue
    into.append(chars.slice(at, s.start).join(""))
    let from = s.start, to = s.end                                    // no mark of blanks at either end
    while (from < to && !chars[from].trim()) from++
    while (to > from && !chars[to - 1].trim()) to--
    if (from === to) [from, to] = [s.start, s.end]
    into.append(chars.slice(s.start, from).join(""))
    const inner = chars.slice(from, to).join("")
    if (s.level === "hidden" || s.level === "shown") into.append(el("span", s.level, inner))
    else {
      const m = el("mark", ["critical", "high"].includes(s.level) ? s.level : "note", inner); m.title = s.label || ""
      if (s.n) m.dataset.n = [s.n, ...(s.also || [])].join(", ")
      if (pick && s.id) {
        m.tabIndex = 0; m.setAttribute("role", "button"); m.setAttribute("aria-current", s.id === current)
        m.onclick = () => pick(s.id)
        m.onkeydown = e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); pick(s.id) } } }
      into.append(m) }
    into.append(chars.slice(to, s.end).join(""))
    at = s.end }
  into.append(chars.slice(at).join("")) }
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#t"), pick = id => setTriggerValue("picked", id)
  if (data.pairs) {
    root.replaceChildren(...data.pairs.map(([what, value]) => {
      const row = el("div", "pair"); row.append(el("span", "", what), el("span", "", value)); return row }))
    return }
  if (data.lines) {
    root.className = "src"
    root.replaceChildren(...data.lines.flatMap(l => {
      const kind = ["add", "del", "gap"].includes(l.kind) ? l.kind : ""
      const row = el("div", "line " + kind), body = el("span")
      pieces(body, l.text, l.remarks)
      row.append(el("span", "", l.n), el("span", "", { add: "+", del: "\u2212" }[kind] || ""), body)
      const said = m => el("div", "remark " + (m.level === "critical" ? "critical" : "high"), m.label)
      return [row, ...l.remarks.map(said)] }))
    return }
  // The window stays where the conversation before was left: another one begins at its top.
  if (data.top && !root.hasChildNodes()) document.querySelector("[data-testid=stMain]")?.scrollTo(0, 0)
  root.replaceChildren(...data.turns.map((t, i) => {
    const kind = ["document", "tool", "folded"].includes(t.kind) ? " " + t.kind : ""
    const row = el("div", "turn" + kind), who = el("div", "who", t.who), said = el("div", "said")
    who.append(el("small", "", t.note)); said.dir = "auto"
    pieces(said, t.text, data.marks.filter(s => s.turn === i), pick, data.current)
    row.append(who, said); return row })) }
"""
_view = st.components.v2.component("governance_marked", html='<div id="t"></div>', css=_CSS, js=_JS)


def pairs(rows: Mapping[str, str], *, key: str) -> None:
    """Label and value, one a line, like `ui.facts`, for values that came with calls."""
    _view(data={"pairs": list(rows.items())}, key=key, on_picked_change=lambda: None)


def source(lines: Sequence[Line], *, key: str) -> None:
    """Draws a file's lines with what is said about them, or what differs between two texts."""
    _view(data={"lines": [asdict(line) for line in lines]}, key=key, on_picked_change=lambda: None)


def transcript(
    turns: Sequence[Turn], marks: Sequence[Mark] = (), *, current: str = "", key: str, top: bool = False
) -> str:
    """Draws the turns; returns the id of the mark that was just clicked, or "". With `top` the page is at its top when
    they are drawn first."""
    result = _view(
        data={"turns": [asdict(t) for t in turns], "marks": [asdict(m) for m in marks], "current": current, "top": top},
        key=key,
        on_picked_change=lambda: None,
    )
    return str(result.picked or "")
