"""Fills a policy's explanation with what was found. What came with the call is untrusted: it is shortened, control and
bidirectional characters are replaced, and a value is never read as a template again. Texts of a call never enter, only
their circumstances, and of an error its sort: an explanation is stored and shown unredacted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping

from governance.domain.calls import Call, kind_of_error
from governance.domain.findings import Finding
from governance.policy.policy import Policy

LONGEST_VALUE = 80
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

FINDING: Mapping[str, Callable[[Finding, str], object]] = {
    "rule": lambda finding, _: finding.rule,
    "category": lambda finding, _: finding.category,
    "detector": lambda finding, _: finding.detector,
    "pack": lambda finding, _: finding.pack,
    "label": lambda finding, _: finding.label or finding.category,
    "score": lambda finding, _: round(finding.score, 2),
    "part": lambda finding, _: finding.part.value.replace("_", " ") if finding.part else "call",
    "document": lambda _, name: name or "without id",
    "tool": lambda _, name: name or "without name",
    "count": lambda finding, _: int(finding.data.get("count", 1)),
}

CALL: Mapping[str, Callable[[Call], object]] = {
    "system": lambda call: call.system,
    "kind": lambda call: call.kind.value,
    "name": lambda call: call.name,
    "model": lambda call: call.model or "unknown",
    "provider": lambda call: call.provider or "unknown",
    "user.role": lambda call: call.user.role or "none",
    "release.name": lambda call: call.release.name or "unnamed",
    "error": lambda call: kind_of_error(call.error),
    "duration_ms": lambda call: "unknown" if call.duration_ms is None else round(call.duration_ms),
    "usage.input_tokens": lambda call: "unknown" if call.usage.input_tokens is None else call.usage.input_tokens,
    "usage.output_tokens": lambda call: "unknown" if call.usage.output_tokens is None else call.usage.output_tokens,
    "finish_reasons": lambda call: ", ".join(call.finish_reasons),
    "tools": lambda call: ", ".join(dict.fromkeys(tool.name for tool in call.tool_calls)) or "no tool",
}


def placeholders(template: str) -> Iterator[tuple[int, str]]:
    """Each placeholder of a template, with its offset."""
    for match in _PLACEHOLDER.finditer(template):
        yield match.start(), match.group(1)


def known(policy: Policy) -> list[str]:
    """All placeholders that this policy's explanation may use."""
    return [
        *(f"finding.{name}" for name in FINDING),
        *(f"params.{name}" for name in policy.params),
        *(f"call.{name}" for name in CALL),
    ]


def fill(policy: Policy, call: Call, finding: Finding | None, *, name: str = "") -> str:
    """The policy's sentence. `name` is that of the part the finding lies in."""

    def value(match: re.Match[str]) -> str:
        scope, _, field = match.group(1).partition(".")
        if scope == "finding" and field in FINDING:
            return clean(str(FINDING[field](finding, name))) if finding else "nothing in particular"
        if scope == "params" and field in policy.params:
            return clean(str(policy.params[field]))
        if scope == "call" and field in CALL:
            return clean(str(CALL[field](call)))
        return match.group(0)

    return _PLACEHOLDER.sub(value, policy.then.explain)


def clean(text: str) -> str:
    """One line of bounded length without characters that could disturb a page, a terminal or a log."""
    shortened = text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
    if shortened.isascii() and shortened.isprintable():
        return shortened
    return "".join(
        " " if character.isspace() else "�" if unicodedata.category(character)[0] == "C" else character
        for character in shortened
    )
