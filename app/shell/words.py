"""What people read instead of enum names, numbers of seconds and references: plain words, in one place.

Free text from calls never passes through here into a label. Names that come with calls (system, model, role) may,
through `name`, which leaves nothing that Markdown could act on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from governance.detectors.runner import UNAVAILABLE
from governance.services.policies.share import share as share_of

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
    "senior_reviewer": "also decides escalations, approves severe verdicts and policy changes",
    "compliance_officer": "oversees: approvals, policy changes, audit trail, evidence, original text",
    "auditor": "reads everything redacted and the audit trail, exports evidence",
    "engineer": "reads redacted calls and cases, proposes policy changes and puts approved ones into force",
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
# What an action does, as a policy's way to answer.
VERB = {
    "allow": "Lets it pass",
    "redact": "Redacts",
    "retry": "Asks the model again",
    "fallback": "Asks another model",
    "safe_default": "Gives a safe answer",
    "block": "Blocks",
}
# What becomes of a call that a policy could not judge, after "What it cannot examine".
ON_ERROR = {
    "review": "goes to a person",
    "redact": "is redacted, and goes to a person",
    "retry": "is asked again, and goes to a person",
    "fallback": "goes to another model, and to a person",
    "safe_default": "gets a safe answer, and goes to a person",
    "block": "is blocked, and goes to a person",
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
# Where a finding lies, after "In".
PLACE = {
    "Instructions": "the system's instructions",
    "User": "the user's message",
    "Earlier answer": "an earlier answer",
    "Answer": "the answer",
    "Document": "a document",
    "Tool call": "a tool call",
    "Tool result": "a tool's result",
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
    "dangerous_command": "Dangerous command",
    "repetition": "Repeats itself",
    "truncated": "Cut short",
    "contradiction": "Against its sources",
    "ungrounded": "Not in its sources",
    "grounded": "In its sources",
    "toxicity": "Abusive language",
}
DETECTOR = {
    "patterns": "Text patterns",
    "pii": "Personal data",
    "presidio": "Names and places",
    "secrets": "Passwords and keys",
    "structure": "Shape of the answer",
    "behaviour": "Errors and speed",
    "access": "Data access",
    "grounding": "Answer against its sources",
    "llm_guard": "LLM Guard",
    "transformers": "Models of your own",
    "judge": "A model as judge",
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
    "owasp_llm": "OWASP",  # the numbers say which list: LLM02, ASI01
    "owasp_asi": "OWASP",
    "atlas": "MITRE ATLAS",
    "eu_ai_act": "EU AI Act article",
    "iso42001": "ISO/IEC 42001",
    "nist_ai_rmf": "NIST AI RMF",
    "nist_ai_600_1": "NIST AI 600-1",
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


# Families of rules: what one looks for, where its identifier does not say it in words.
_RULE = {
    "override": "orders to ignore instructions",
    "my-commands": "orders to follow another's commands",
    "new-instructions": "new instructions",
    "only-follow": "orders to follow nothing else",
    "role-reassignment": "a new role for the model",
    "prompt-leak": "asks for the instructions",
    "prompt-leak-directive": "asks for the instructions",
    "de-steuer-id": "German tax number",
    "fr-nir": "French social security number",
    "es-dni-nie": "Spanish identity number",
    "it-codice-fiscale": "Italian tax number",
    "pl-pesel": "Polish identity number",
    "nl-bsn": "Dutch citizen number",
    "br-cpf": "Brazilian tax number",
    "us-ssn": "US social security number",
    "us-ssn-context": "US social security number",
    "addressed-to-assistant": "speaks to the assistant",
    "assistant-must": "says what the assistant must do",
    "tell-nobody": "asks for secrecy",
    "skip-checks": "asks to skip checks",
    "call-tool": "asks for a tool",
    "send-secrets": "asks to send secrets",
    "pretend-system": "poses as the system",
    "tag-characters": "invisible tag characters",
    "dan": "a persona without rules",
    "persona": "a persona without rules",
    "no-limits": "a model without limits",
    "pretend-unlimited": "a model without limits",
    "split-payload": "an order in pieces",
    "post-file": "sends a file out",
    "remove-root": "deletes the whole disk",
    "pipe-to-shell": "runs a script from the net",
    "markdown-image-data": "data in an image's address",
    "html-image-data": "data in an image's address",
    "link-long-data": "data in a link",
    "dns-data": "data in a host's name",
    "url-password": "password in an address",
    "not-json": "not JSON",
    "no-answer": "no answer",
    "not-permitted": "no rule permits it",
    "finish-reason-length": "cut short by the model",
    "finish-reason-filter": "stopped by the provider's filter",
}
_LANGUAGE = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "sv": "Nordic",
    "ro": "Romanian, Czech or Hungarian",
    "tr": "Turkish, Indonesian or Vietnamese",
    "ru": "Russian or Ukrainian",
    "zh": "Chinese",
    "ja": "Japanese",
    "ko": "Korean",
    "ar": "Arabic, Persian or Hebrew",
    "hi": "Hindi or Bengali",
    "many": "several languages",
}
_SPELLED = {
    **{word.lower(): word for word in ("API", "AWS", "GCP", "HR", "IBAN", "IP", "JSON", "JWT", "SQL", "UK", "US")},
    **{word.lower(): word for word in ("DNS", "HTML", "IMEI", "ITIN", "MAC", "MRZ", "NHS")},
    **{word.lower(): word for word in ("NINO", "NPM", "SAS", "URL", "AI")},
    **{
        word.lower(): word
        for word in ("GitHub", "GitLab", "OpenAI", "Anthropic", "Azure", "Slack", "Stripe", "Discord")
    },
}
_FAMILY = re.compile(rf"(.+?)-({'|'.join(_LANGUAGE)})(?:-[a-z-]+)?")
_ASIDE = re.compile(r" ?\(([^()]*)\)")

_CONDITION = {
    "params.min_score": "Threshold",
    "params.not_these": "Other than",
    "params.ordinary": "Not counted",
    "params.labels": "Looked for",
    "params.least": "At least",
    "params.least_length": "At least (characters)",
    "params.least_share": "At least (share)",
    "params.most_ms": "At most (ms)",
    "params.most_tokens": "At most (tokens)",
    "params.repeats": "Repeats",
    "call.user.role": "Person's role",
    "call.system": "System",
    "call.model": "Model",
    "call.name": "Step",
}


def rule(value: str) -> str:
    """What a rule looks for, in words that can stand within a sentence: 'github-token' is 'GitHub token', 'override-en'
    'orders to ignore instructions (English)'. A rule of a customer's own pack is spelled out."""
    if value in _RULE:
        return _RULE[value]
    family = _FAMILY.fullmatch(value)
    if family and (family[1] in _RULE or family[2] == "en" or value.endswith("-many")):
        return f"{_RULE.get(family[1]) or _spelled(family[1])} ({_LANGUAGE[family[2]]})"
    return _spelled(value)


def team(value: str) -> str:
    """A team's name: 'ai-security' is 'AI security'."""
    said = _spelled(value)
    return said[:1].upper() + said[1:]


def _spelled(value: str) -> str:
    found = [_SPELLED.get(word, word) for word in re.split(r"[-_. ]+", value) if word]
    return " ".join(found)


def explanation(text: str, rules: Iterable[str]) -> str:
    """A policy's sentence without identifiers: what it says in brackets about one of `rules` is put in words.

    'The answer holds a secret (token, rule github-token).' becomes 'The answer holds a secret (GitHub token).'
    """
    known = set(rules)

    def aside(match: re.Match[str]) -> str:
        terms = [term.strip() for term in match[1].split(",")]
        named = [term.removeprefix("rule ") for term in terms]
        if not known.intersection(named):
            return match[0]
        said = ", ".join(dict.fromkeys(rule(term) for term in named if term in known))
        return (
            f": {said}" if "(" in said and text[match.end() :] == "." else f" ({said.replace(' (', ', ').rstrip(')')})"
        )

    return _ASIDE.sub(aside, text)


_NOT_RUN = re.compile(r"the detector (\w+) did not run( on another step)? \([^;]*\)(?=;|\.$)")


def undecided(text: str) -> str:
    """Why a policy could not be judged, without identifiers and causes: 'Not decided: LLM Guard did not answer.'"""
    return _NOT_RUN.sub(lambda match: f"{within(detector(match[1]))} did not answer{match[2] or ''}", text)


def failure(reason: str) -> str:
    """Why a detector did not answer, as it said it."""
    return reason.removeprefix(UNAVAILABLE)


def condition(path: str) -> str:
    """The label of a value that a policy's condition read: 'params.min_score' is 'Threshold'."""
    return _CONDITION.get(path) or plain(path.partition(".")[2] or path)


def read(path: str, value: str) -> str:
    """Such a value: identifiers of a policy's parameters spelled out, what came with a call as it came."""
    return (value.replace("_", " ") if path.startswith("params.") else value) or "not sent"


def category(value: str) -> str:
    return CATEGORY.get(value, plain(value))


def detector(value: str) -> str:
    return DETECTOR.get(value, plain(value))


def result(action: str, queue: str) -> str:
    """What became of a call: 'Allowed', 'Sent to review', 'Blocked, sent to review'."""
    said = ACTION.get(action, action)
    return said if not queue else "Sent to review" if action == "allow" else f"{said}, sent to review"


def within(name: str) -> str:
    """A name of ours within a sentence: 'Text patterns' is 'text patterns', 'LLM Guard' stays."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def verdict(value: str) -> str:
    """What a policy's test expects or got: an action, or one of the words of tests."""
    return {"fire": "Fires", "error": "Could not judge", "no call": "No call", "allow": "Leaves it alone"}.get(
        value, ACTION.get(value, plain(value))
    )


def queue(value: str) -> str:
    return plain(value) if value else "None"


def controls(values: Mapping[str, Iterable[str]]) -> str:
    """'EU AI Act article 15, OWASP LLM01': what a policy serves."""
    served: dict[str, list[str]] = {}
    for framework, numbers in values.items():
        served.setdefault(CONTROL.get(framework, plain(framework)), []).extend(numbers)
    return ", ".join(f"{framework} {', '.join(numbers)}" for framework, numbers in served.items() if numbers)


def count(number: int, one: str, many: str = "") -> str:
    """'1 case', '3 cases', '1,204 calls'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    """'2.4%', or 'no calls' where there is nothing to divide by."""
    return f"{part / whole:.1%}" if whole else "no calls"


def interval(part: int, whole: int) -> str:
    """'96% (88 to 99)': a share and its 95% interval, as people read it."""
    found = share_of(part, whole)
    if found.value is None or found.low is None or found.high is None:
        return "not measured"
    return f"{found.value:.0%} ({found.low * 100:.0f} to {found.high * 100:.0f})"


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


def size(length: int) -> str:
    """'14 kB', '2.4 MB' for a number of bytes."""
    return f"{length / 1e6:.1f} MB" if length >= 1e6 else f"{max(1, round(length / 1e3))} kB"


def tokens(given: int | None, got: int | None) -> str:
    """'3,412 in, 212 out', or 'not sent'."""
    if given is None and got is None:
        return "not sent"
    return f"{given or 0:,} in, {got or 0:,} out"


MASKED = {
    False: "Patterns only: names and addresses are not masked.",
    True: "Names and places are masked where the language model looked; addresses only where patterns find them.",
}
"""What the redaction of a text stands on, by whether a model for names is at work."""
