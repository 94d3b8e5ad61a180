"""Checks whether a value is a secret: by its randomness, by what it is assigned to, and that it is no placeholder.

Each check takes the text and a place (code points, end exclusive).
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter


def entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


_PLACEHOLDER = re.compile(
    r"(?i)^(?:[x*.#_-]+|your[_ -]?.*|my[_ -]?(?:password|secret|token|key)|.*(?:example|placeholder|changeme|"
    r"change[_-]me|redacted|dummy|sample|x{5,}|\*{4,}|\.{3}|"
    r"insert|replace|123456789).*|<.*>|.?\$\(.*|\$.*|#?\{.*|%[a-z({].*|@@?[a-z_]+@?|enc[(\[].*|(?:vault|ref|secret|ssm|"
    r"arn|op|kms|file|env|https?|s3|gs)[:!].*|none|null|nil|true|false|undefined|empty|default|"
    r"(?:password|passwort|passwd|secret|token|key|string|str|test|user|admin|foo|bar|bool(?:ean)?)\d{0,3}|todo|fixme|n/a|"
    r"os\.environ.*|process\.env.*|getenv.*|env\..*|self\..*|this\..*|config\..*|settings\..*|request\..*|"
    r"args\..*|fake.*|mock.*|"
    r"(?:get|load|read|fetch|generate|create|hash|verify|check|set|reset|forgot|show|hide|no|is|has|use)_\w+)$"
)
_NAME_IN_CODE = re.compile(
    r"^(?:[a-z_][a-zA-Z_]*(?:\.[a-zA-Z_]\w*)+|[a-z]{3,}(?:[A-Z][a-z]{2,})+|[A-Z][a-z]{2,}(?:[A-Z][a-z]{2,})+|[A-Za-z]+(?:[_:.-][A-Za-z]+)+|"
    r"[A-Z_]{4,}|/?[\w.@-]+(?:/[\w.@-]+)*/?\.[a-z]{2,4}|~?/[\w./-]*|\.{1,2}/.*|[a-z]+(?:/[a-z_.-]+)+)$"
)
"""An attribute, an identifier, words with hyphens, a path: what stands there instead of a secret."""
_ABOUT_A_SECRET = re.compile(
    r"(?:[_.-]|(?<=[a-z])(?=[A-Z])|(?i:password|passwd|secret|token|key|pwd))"
    r"(?i:ur[il]|endpoint|path|file(?:name)?|dir|folder|name|header|field|type|len(?:gth)?|min|max|policy|"
    r"algorithm|algo|alg|method|expir\w*|ttl|prefix|suffix|format|hint|label|regex|pattern|ref|count|size|limit|rounds|"
    r"timeout|provider|class|column|param|version|status|scope|issuer|kid|arn|placeholder|message|error|title|"
    r"description|manager|service|store|strength|valid\w*)[\"'`\])]{0,3}\s{0,3}(?:=>|:=|={1,3}|!=|:|,|\|)[^\n,]{0,24}$"
)
_HASH_OR_PUBLIC = re.compile(
    r"(?i)(?:public|publishable|primary|foreign|cache|sort|partition|host|object|idempotency|translation|i18n|commit|"
    r"check|index|group|row|column|unique|composite|surrogate|natural|display|style|css|react|map|dict|json|hot|short)"
    r"[_-]?(?:key|token|sum)s?[\"'`\])]{0,3}\s{0,3}(?:=>|:=|={1,3}|!=|:|,|\|)[^\n]{0,24}$"
)


def secret_value(text: str, start: int, end: int) -> bool:
    """The value of an assignment to something called a password or key.

    It is no placeholder, no code, and not too plain; and the name is not that of something about a secret
    (`password_url`).
    """
    value = text[start:end].strip("\"'`")
    # The rules' values end before a bracket: `getpass.getpass()` is code.
    if text[end : end + 1] in ("(", "[") or "(" in value or value.endswith(("[", ";")):
        return False
    if len(value) < 6 or _PLACEHOLDER.match(value) or _NAME_IN_CODE.match(value):
        return False
    if start and _ABOUT_A_SECRET.search(text[max(0, start - 60) : start]):
        return False
    kinds = sum(any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit)) + (not value.isalnum())
    return entropy(value) >= 2.3 and (kinds >= 2 or len(value) >= 12)


def phrase_value(text: str, start: int, end: int) -> bool:
    """Several words as the value of a passphrase, with a digit or a sign: a sentence about passwords has none."""
    value = text[start:end]
    return (
        " " in value
        and any(map(str.isdigit, value))
        and not re.search(r"(?i)password|must|character|enter|your|digit|please|least", value)
    )


def random_assigned(text: str, start: int, end: int) -> bool:
    """The value of something that may be a secret (`token`, `..._key`, `salt`): only what looks like one."""
    value = text[start:end]
    if not secret_value(text, start, end) or _HASH_OR_PUBLIC.search(text[max(0, start - 60) : start]):
        return False
    name = text[max(0, start - 24) : start].lower()
    if "pass" in name or "pw" in name:
        return True
    if not any(map(str.isdigit, value)) and entropy(value) < 3.9:
        return False
    return len(value) >= 14 and entropy(value) >= (3.0 if re.fullmatch(r"[0-9a-fA-F-]+", value) else 3.3)


def option_value(text: str, start: int, end: int) -> bool:
    """The value of a command's option: what is not lower-case letters only, as the next word of a sentence is."""
    value = text[start:end].rstrip(".,:;!?")
    if value[1:].isalpha() and value[1:].islower():
        return False
    return ("/" not in value or (len(value) >= 30 and entropy(value) > 4)) and secret_value(text, start, end)


def random_value(text: str, start: int, end: int) -> bool:
    """High entropy, as keys have: over 3.0 bits for hex, over 3.6 for other letters; no placeholder."""
    value = text[start:end].strip("\"'`")
    if _PLACEHOLDER.match(value) or not any(map(str.isdigit, value)):
        return False
    limit = 3.0 if re.fullmatch(r"[0-9a-fA-F-]+", value) else 3.6
    return entropy(value) >= limit


def token_header(text: str, start: int, end: int) -> bool:
    """A JSON Web Token's first part decodes to a JSON object with an algorithm (RFC 7519)."""
    header = text[start:end].partition(".")[0]
    try:
        stated = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(stated, dict) and "alg" in stated


def no_example(text: str, start: int, end: int) -> bool:
    """A key that does not say that it is an example."""
    return "EXAMPLE" not in text[start:end].upper()


def not_repeated(text: str, start: int, end: int) -> bool:
    """Enough different characters to be no `xxxx` from a manual, and no example that says so."""
    value = text[start:end]
    return len(set(value[-16:])) >= 6 and "EXAMPLE" not in value.upper()


def password_in_url(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    return not _PLACEHOLDER.match(value) and value not in ("password", "pass", "pwd")


_TOLD = re.compile(
    r"(?i)^(?:incorrect|wrong|required|correct|invalid|not|too|the|a|an|my|your|being|never|always|still|"
    r"expired|needed|missing|hidden|stored|"
    r"encrypted|protected|changed|reset|blocked|locked|forgotten|weak|strong|secure|important|different|sent|"
    r"case|accepted|rejected|empty|"
    r"falsch|abgelaufen|nicht|korrekt|richtig|incorrecta?|unique|optional|\w+ed|\w+ing)[.,!?;:]?$"
)


def told_value(text: str, start: int, end: int) -> bool:
    """A password stated in a sentence, not a remark about one."""
    value = text[start:end].rstrip(".,!?;:")
    return not _TOLD.match(value) and secret_value(value, 0, len(value)) and not (value.isalpha() and value.islower())
