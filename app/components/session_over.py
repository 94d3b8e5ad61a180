"""Says on an open page that its session is over, with the way to sign in again.

A page that was left open overnight cannot connect again: a websocket without a session is refused, and Streamlit would
only say "Connection error". What was typed stays on the page until the person follows the link.
"""

from __future__ import annotations

import streamlit as st

_JS = """
const ID = "governance-session-over"
const say = () => {
  if (document.getElementById(ID)) return
  const bar = document.createElement("div"), link = document.createElement("a")
  bar.id = ID
  bar.setAttribute("role", "alert")
  Object.assign(bar.style, { position: "fixed", inset: "12px 12px auto", margin: "0 auto", width: "fit-content",
    maxWidth: "calc(100vw - 24px)", boxSizing: "border-box", zIndex: "2147483647", padding: "10px 16px",
    borderRadius: "8px", background: "#161a22", color: "#fff", font: "14px/1.5 Inter, system-ui, sans-serif",
    boxShadow: "0 0 0 1px #a0a9b9" })
  Object.assign(link.style, { color: "#fff", fontWeight: "600", textDecoration: "underline" })
  link.href = "/signin?next=" + encodeURIComponent(location.pathname + location.search)
  link.textContent = "Sign in again"
  bar.append("Your session is over. Copy what you have typed and still need. ", link)
  document.body.append(bar) }
const check = async () => {
  if (document.visibilityState !== "visible") return
  try {
    const answer = await fetch("/signin/open", { cache: "no-store" })
    if (answer.status === 401) say()
    else if (answer.status === 204) document.getElementById(ID)?.remove()
  } catch { /* The server is away: the page says that itself. */ } }
export default function () {
  if (window.governanceSessionWatch) return
  window.governanceSessionWatch = setInterval(check, 60000)
  window.addEventListener("focus", check)
  document.addEventListener("visibilitychange", check) }
"""
_view = st.components.v2.component("governance_session_over", html="<span hidden></span>", js=_JS)


def watch() -> None:
    """Looks, while the page is visible, whether its session is still open. Draws nothing by itself."""
    _view(key="session-over")
