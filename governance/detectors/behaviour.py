"""`behaviour`: how a call went: errors, retries, loops, latency and tokens. Numbers are data; policies compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from governance.detectors.interface import (
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    merged,
    version_of,
)
from governance.domain.calls import Call
from governance.domain.content import Part, PartKind
from governance.domain.findings import Finding

NAME = "behaviour"
VERSION = "1"

BEHAVIOUR = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="Calls that failed, were retried or went in circles, and those slower or larger than a threshold.",
    categories=("error", "latency", "loop", "retry", "tokens"),
    scope="call",
    options=(
        OptionDescription(
            name="duration_ms",
            kind="number",
            description="State calls that took longer (latency), with data.duration_ms.",
            default=30_000,
        ),
        OptionDescription(
            name="total_tokens",
            kind="integer",
            description="State calls with more tokens, input and output together, with data.total_tokens.",
            default=32_000,
        ),
        OptionDescription(
            name="repeats",
            kind="integer",
            description="State a message or a tool call that occurs this often in one call (retry, loop).",
            default=3,
        ),
    ),
)

# Attributes that count attempts: OpenTelemetry HTTP semantic conventions, LiteLLM, LangChain.
_RETRIES = (
    "http.request.resend_count",
    "gen_ai.request.retry_count",
    "retry_count",
    "num_retries",
    "attempted_retries",
)


class BehaviourDetector:
    """Facts about how a call went. Of several policies' thresholds the lowest counts; each compares `data`."""

    name = NAME

    def __init__(self, options: Options | None = None) -> None:
        stated = options or {}
        thresholds = {option.name: option.default for option in BEHAVIOUR.options} | dict(stated)
        self._duration = _float(thresholds["duration_ms"])
        self._tokens = _float(thresholds["total_tokens"])
        self._repeats = max(2.0, _float(thresholds["repeats"]))
        self.version = version_of(VERSION, self._duration, self._tokens, self._repeats)

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        """Findings of the call as a whole, with the numbers in `data`."""
        findings: list[Finding] = []
        if call.error:
            findings.append(_finding("error", "call-failed", {"error": _error_class(call.error)}))
        retries = max((_float(call.attributes.get(name)) for name in _RETRIES), default=0.0)
        if retries >= 1:
            findings.append(_finding("retry", "resent", {"retries": retries}))
        said = Counter(part.content.text for part in parts if part.kind is PartKind.INPUT and part.content.text.strip())
        most = max(said.values(), default=0)
        if most >= self._repeats:
            findings.append(_finding("retry", "same-message", {"repeats": float(most)}))
        tools = Counter((part.content.name, part.content.text) for part in parts if part.kind is PartKind.TOOL_CALL)
        if tools:
            (tool, _), times = tools.most_common(1)[0]
            if times >= self._repeats:
                findings.append(_finding("loop", "same-tool-call", {"repeats": float(times), "tool": tool}))
        if call.duration_ms is not None and call.duration_ms > self._duration:
            findings.append(
                _finding("latency", "slow", {"duration_ms": float(call.duration_ms), "threshold_ms": self._duration})
            )
        used = (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)
        if used > self._tokens:
            findings.append(
                _finding(
                    "tokens",
                    "many-tokens",
                    {
                        "total_tokens": float(used),
                        "input_tokens": float(call.usage.input_tokens or 0),
                        "output_tokens": float(call.usage.output_tokens or 0),
                        "threshold": self._tokens,
                    },
                )
            )
        return findings


def _finding(category: str, rule: str, data: Mapping[str, str | float | bool]) -> Finding:
    return Finding(detector=NAME, category=category, rule=rule, score=1.0, data=data)


def _float(value: object) -> float:
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 16:
        return float(value)
    return 0.0


def _error_class(error: str) -> str:
    """The first word of an error (its class or code): the rest may quote content."""
    first = error.split(maxsplit=1)[0].rstrip(":,.") if error.split() else ""
    return first[:80]


KIND = DetectorKind(describe=lambda: BEHAVIOUR, build=lambda requests, _: BehaviourDetector(merged(requests)))
