"""What people read instead of enum names, numbers of seconds and references: plain words, in one place.

Free text from calls never passes through here into a label. Names that come with calls (system, model, role) may,
through `name`, which leaves nothing that Markdown could act on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

SEVERITY = {4: "Critical", 3: "High", 2: "Medium", 1: "Low", 0: "None"}

ROLE = {
    "reviewer": "Reviewer",
    "senior_reviewer": "Senior reviewer",
    "compliance_officer": "Compliance officer",
    "auditor": "Auditor",
    "engineer": "Engineer",
    "admin": "Administrator",
}
ROLE_MAY = {
    "reviewer": "sees redacted calls, claims and decides cases",
    "senior_reviewer": "also decides escalations and approves severe verdicts",
    "compliance_officer": "oversees: approvals, audit trail, evidence, original text",
    "auditor": "reads everything redacted and the audit trail, exports evidence",
    "engineer": "reads redacted calls and cases",
    "admin": "manages people, roles and API keys, reads the audit trail",
}

CALL_KIND = {
    "llm": "Model",
    "embedding": "Embedding",
    "retrieval": "Search",
    "tool": "Tool",
    "agent": "Agent",
    "chain": "Chain",
    "guardrail": "Guardrail",
    "other": "Other",
}
ACTION = {
    "": "Not checked yet",
    "allow": "Allowed",
    "redact": "Redacted",
    "retry": "Asked again",
    "fallback": "Other model",
    "safe_default": "Safe answer",
    "block": "Blocked",
}
PART = {
    "system": "Instructions",
    "input": "User",
    "history": "Earlier answer",
    "output": "Answer",
    "document": "Document",
    "tool_call": "Tool call",
    "tool_result": "Tool result",
}
CATEGORY = {
    "injection": "Instructions from outside",
    "jailbreak": "Attempt to lift the rules",
    "secret": "Secret",
    "pii": "Personal data",
    "exfiltration": "Data sent elsewhere",
    "invisible_text": "Invisible characters",
    "encoded_payload": "Hidden in an encoding",
    "refusal": "Refusal",
    "empty": "Empty answer",
    "invalid_json": "Broken JSON",
    "length": "Unusual length",
    "error": "Error",
    "retries": "Many attempts",
    "latency": "Slow answer",
    "tokens": "Many tokens",
    "access": "Data access",
    "harm": "Harmful content",
    "violence": "Violence",
    "self_harm": "Self-harm",
    "toxicity": "Abusive language",
}
DETECTOR = {
    "patterns": "Text patterns",
    "structure": "Shape of the answer",
    "behaviour": "Errors and speed",
    "access": "Data access",
}
CASE_STATE = {
    "open": "Open",
    "claimed": "Held",
    "escalated": "Escalated",
    "approval": "Second person",
    "decided": "Decided",
}
OUTCOME = {"violation": "Violation", "false_alarm": "False alarm"}
REPORT_STATE = {
    "received": "Received",
    "in_review": "In review",
    "confirmed": "Confirmed",
    "not_confirmed": "Not confirmed",
}
SCOPE = {
    "ingest": "send calls",
    "check": "ask for checks",
    "report": "send reports",
    "read": "read redacted calls",
}
CONTROL = {
    "owasp_llm": "OWASP LLM",
    "owasp_asi": "OWASP agents",
    "atlas": "MITRE ATLAS",
    "eu_ai_act": "EU AI Act article",
    "iso42001": "ISO/IEC 42001",
    "nist_ai_rmf": "NIST AI RMF",
    "gdpr": "GDPR article",
}

# Every category whose words may hurt to read: such text stays folded until somebody asks for it.
HARMFUL = frozenset({"harm", "violence", "self_harm", "toxicity", "hate", "sexual", "abuse"})

_KEPT = frozenset(" -_.,'’\"“”()?!%+&;/–—…·€")


def name(text: str, longest: int = 80) -> str:
    """A name that came with a call or from a user, fit for a label: letters, digits and harmless punctuation only.

    Markdown, icons, links, HTML and bidirectional controls need characters that are not kept.
    """
    kept = "".join(c for c in text if c in _KEPT or unicodedata.category(c)[0] in "LMN")
    if "www." in kept.lower():
        kept = kept.replace(".", " ")
    kept = " ".join(kept.split()).lstrip("-+.!_ ")
    if len(kept) > longest:
        kept = kept[: longest - 1].rstrip() + "…"
    return kept.replace("_", "\\_") or "unnamed"


def plain(word: str) -> str:
    """An identifier from a policy or a detector as words: 'data-access' is 'Data access'."""
    words = " ".join(word.replace("_", " ").replace("-", " ").replace(".", " ").split())
    return words[:1].upper() + words[1:]


def category(value: str) -> str:
    return CATEGORY.get(value, plain(value))


def detector(value: str) -> str:
    return DETECTOR.get(value, plain(value))


def queue(value: str) -> str:
    return plain(value) if value else "None"


def controls(values: Mapping[str, Iterable[str]]) -> str:
    """'EU AI Act article 15, OWASP LLM LLM01': what a policy serves."""
    return ", ".join(f"{CONTROL.get(k, plain(k))} {', '.join(v)}" for k, v in values.items() if v)


def count(number: int, one: str, many: str = "") -> str:
    """'1 case', '3 cases', '1,204 calls'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    """'2.4%', or 'no calls' where there is nothing to divide by."""
    return f"{part / whole:.1%}" if whole else "no calls"


def interval(part: int, whole: int) -> str:
    """'96% (88 to 99)': a share and its 95% Wilson score interval (Wilson 1927), as people read it."""
    if not whole:
        return "not measured"
    z = 1.96
    p = part / whole
    centre = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * ((p * (1 - p) + z * z / (4 * whole)) / whole) ** 0.5 / (1 + z * z / whole)
    return f"{p:.0%} ({max(0.0, centre - half) * 100:.0f} to {min(1.0, centre + half) * 100:.0f})"


def span(seconds: float) -> str:
    """A length of time as people say it: '25 min', '5 h', '3 d'."""
    minutes = abs(seconds) / 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes:.0f} min"
    if minutes < 1410:
        return f"{minutes / 60:.0f} h"
    return f"{minutes / 1440:.0f} d"


def day(at: datetime, now: datetime) -> str:
    return f"{at:%-d %b}" if at.year == now.year else f"{at:%-d %b %Y}"


def due(at: datetime, now: datetime) -> str:
    """'in 25 min', 'in 3 d', '14 Dec', 'overdue 2 h'."""
    seconds = (at - now).total_seconds()
    if seconds < 0:
        return "overdue now" if seconds > -60 else f"overdue {span(seconds)}"
    if seconds > timedelta(days=14).total_seconds():
        return day(at, now)
    return "in a moment" if seconds < 60 else f"in {span(seconds)}"


def ago(at: datetime, now: datetime) -> str:
    """'just now', '6 h ago', or the day when more than 14 days passed."""
    seconds = (now - at).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds > timedelta(days=14).total_seconds():
        return day(at, now)
    return f"{span(seconds)} ago"


def clock(at: datetime, now: datetime) -> str:
    """'09:40:12' today, 'Sun 22:15' within the week, '14 Nov 16:05' before; `at` and `now` in the reader's zone."""
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    if now - at < timedelta(days=6):
        return f"{at:%a %H:%M}"
    return f"{day(at, now)} {at:%H:%M}"


def moment(at: datetime, now: datetime) -> str:
    """'today 03:40', 'yesterday 22:15', '14 Nov 16:05'."""
    if at.date() == now.date():
        return f"today {at:%H:%M}"
    if at.date() == (now - timedelta(days=1)).date():
        return f"yesterday {at:%H:%M}"
    return f"{day(at, now)} {at:%H:%M}"


def took(milliseconds: float | None) -> str:
    """'340 ms', '5.1 s', '2 min 5 s'; 'not sent' where the producer did not say."""
    if milliseconds is None:
        return "not sent"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def tokens(given: int | None, got: int | None) -> str:
    """'3,412 in, 212 out', or 'not sent'."""
    if given is None and got is None:
        return "not sent"
    return f"{given or 0:,} in, {got or 0:,} out"
