"""`structure`: facts about the form of an answer: refused, empty, cut short, no JSON, too long, repetitive."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import re2

from governance.detectors.interface import (
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    merged,
    version_of,
)
from governance.detectors.patterns.packs import Pack, read_pack
from governance.detectors.patterns.views import encodable, folded
from governance.domain.calls import Call, CallKind
from governance.domain.content import Content, ContentKind, Part, PartKind
from governance.domain.findings import Finding

NAME = "structure"
VERSION = "1"

_ANSWERS = frozenset({"assistant", "model", "ai"})
_OPENING = 600
"""Code points at the beginning of an answer in which a refusal is a refusal, not a quotation."""

STRUCTURE = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="Answers that refuse (12 languages), are empty, cut off by the length limit, no JSON where it was asked for, "
    "longer than a limit, or repeat themselves.",
    categories=("empty", "invalid_json", "length", "refusal", "repetition", "truncated"),
    scope="content and call",
    options=(
        OptionDescription(
            name="max_characters",
            kind="integer",
            description="State answers that are longer (category length).",
            default=20_000,
        ),
        OptionDescription(
            name="max_repetition",
            kind="number",
            description="State answers of which a larger share repeats (category repetition), 0 to 1.",
            default=0.5,
        ),
    ),
)


@functools.cache
def refusals() -> Pack:
    """The rules for refusals, as a rule pack."""
    return read_pack("refusals", (Path(__file__).parent / "refusals.yaml").read_bytes())


class StructureDetector:
    """Facts about answers: refusal, length and repetition of the content, the rest of the call."""

    name = NAME

    def __init__(self, options: Options | None = None) -> None:
        options = options or {}
        self._max_characters = _number(options, "max_characters", 20_000)
        self._max_repetition = _number(options, "max_repetition", 0.5)
        self.version = version_of(VERSION, self._max_characters, self._max_repetition, refusals().digest)
        self._refusals = [(rule.id, re2.compile(rule.regex)) for rule in refusals().rules]
        self._any_refusal = re2.Set.SearchSet()
        for _, pattern in self._refusals:
            self._any_refusal.Add(pattern.pattern.encode())
        # Matches every text: when it is not reported, the set ran out of memory and says nothing about the others.
        self._answered = self._any_refusal.Add(rb"\A")
        self._any_refusal.Compile()

    def examine(self, content: Content) -> Sequence[Finding]:
        """Facts about an answer's text that are true wherever it stands; nothing about texts that are not answers."""
        if content.kind is not ContentKind.MESSAGE or content.role.lower() not in _ANSWERS:
            return ()
        findings: list[Finding] = []
        opening = folded(encodable(content.text[:_OPENING])).text
        for rule, pattern in self._refusals if self._may_refuse(opening) else ():
            match = pattern.search(opening)
            if match is not None:
                findings.append(
                    Finding(
                        detector=NAME,
                        category="refusal",
                        rule=rule,
                        label="refusal",
                        # Near the beginning it is the answer; further on it may be a caveat.
                        score=0.9 if match.start() < 120 else 0.6,
                        start=match.start(),
                        end=match.end(),
                    )
                )
                break
        if content.type == "refusal" and not findings:
            findings.append(
                Finding(
                    detector=NAME,
                    category="refusal",
                    rule="refusal-part",
                    label="refusal",
                    score=1.0,
                    end=len(content.text),
                )
            )
        if len(content.text) > self._max_characters:
            findings.append(
                Finding(
                    detector=NAME,
                    category="length",
                    rule="too-long",
                    score=1.0,
                    end=len(content.text),
                    data={"characters": float(len(content.text)), "limit": float(self._max_characters)},
                )
            )
        share = repetition(content.text, over=self._max_repetition)
        if share > self._max_repetition:
            findings.append(
                Finding(
                    detector=NAME,
                    category="repetition",
                    rule="repeats-itself",
                    score=min(1.0, share),
                    end=len(content.text),
                    data={"share": round(share, 3)},
                )
            )
        return findings

    def _may_refuse(self, opening: str) -> bool:
        hits = self._any_refusal.Match(opening.encode()) or ()
        return len(hits) > 1 or self._answered not in hits

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        """Empty, truncated and malformed answers; nothing for a call without content, or that failed."""
        findings: list[Finding] = []
        outputs = [part for part in parts if part.kind is PartKind.OUTPUT]
        if call.kind is not CallKind.LLM:
            return findings
        if any(reason.lower() in ("length", "max_tokens", "max_output_tokens") for reason in call.finish_reasons):
            findings.append(_of_call("truncated", "finish-reason-length"))
        if any(reason.lower() in ("content_filter", "safety", "refusal") for reason in call.finish_reasons):
            findings.append(_of_call("refusal", "finish-reason-filter", label="provider_filter"))
        if not call.content_captured or call.error:
            return findings
        calls_tools = any(part.kind is PartKind.TOOL_CALL for part in parts)
        if not calls_tools and not any(part.content.text.strip() for part in outputs):
            findings.append(_of_call("empty", "no-answer"))
        if wants_json(call):
            for part in outputs:
                text = part.content.text.strip()
                if part.content.type != "text" or not text:
                    continue
                problem = json_problem(text)
                if problem:
                    findings.append(
                        Finding(
                            detector=NAME,
                            category="invalid_json",
                            rule=problem,
                            score=1.0,
                            part=PartKind.OUTPUT,
                            index=part.index,
                            end=len(part.content.text),
                        )
                    )
        return findings


def _number(options: Options, name: str, default: float) -> float:
    value = options.get(name)
    return float(value) if isinstance(value, int | float) else default


def _of_call(category: str, rule: str, label: str = "") -> Finding:
    return Finding(detector=NAME, category=category, rule=rule, label=label, score=1.0)


_JSON_ATTRIBUTES = ("gen_ai.output.type", "gen_ai.request.response_format", "gen_ai.openai.request.response_format")


def wants_json(call: Call) -> bool:
    """Whether the call asked for JSON: `gen_ai.output.type` (OpenTelemetry), a `response_format`, or OpenInference's
    invocation parameters."""
    for name in _JSON_ATTRIBUTES:
        if str(call.attributes.get(name, "")).lower() in ("json", "json_object", "json_schema"):
            return True
    parameters = call.attributes.get("llm.invocation_parameters") or call.attributes.get("response_format")
    if isinstance(parameters, str):
        try:
            parameters = json.loads(parameters)
        except ValueError:
            return False
    if not isinstance(parameters, Mapping):
        return False
    asked = parameters.get("response_format", parameters)
    return isinstance(asked, Mapping) and asked.get("type") in ("json_object", "json_schema")


def json_problem(text: str) -> str:
    """The rule of JSON (RFC 8259) that the text breaks, or "".

    JSON in a code fence has a rule of its own, since it is easily repaired.
    """
    try:
        json.loads(text)
    except RecursionError:
        return "too-deep"
    except ValueError:
        if text.startswith("```"):
            inner = text.strip("`").removeprefix("json")
            try:
                json.loads(inner)
            except (ValueError, RecursionError):
                return "not-json"
            return "fenced-json"
        return "not-json"
    return ""


def repetition(text: str, *, over: float = 0.0, size: int = 6, most: int = 4_000) -> float:
    """The share of word 6-grams that were said before, 0 to 1; over the first `most` words; 0 for short texts, and
    where it is seen to be no more than `over`."""
    words = text[: most * 12].split()[:most]
    if len(words) < 4 * size:
        return 0.0
    total = len(words) - size + 1
    # A 6-gram that was said before begins with a pair of words that was.
    if total - len(set(pairwise(words[: total + 1]))) <= over * total:
        return 0.0
    different = len(set(zip(*(words[shift:] for shift in range(size)), strict=False)))
    return (total - different) / total


KIND = DetectorKind(describe=lambda: STRUCTURE, build=lambda requests, _: StructureDetector(merged(requests)))
