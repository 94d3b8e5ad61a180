"""Compares claims of the answer with the retrieved documents and tools' results of the same call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from governance.detectors.grounding import citations, names, quantities, quotations, statements
from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.sources import Sources
from governance.detectors.interface import (
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    merged,
    version_of,
    words,
)
from governance.domain.calls import Call
from governance.domain.content import Part, PartKind
from governance.domain.findings import Finding

NAME = "grounding"
VERSION = "2"

_CATEGORIES = {
    Status.SUPPORTED: "grounded",
    Status.CONTRADICTED: "contradiction",
    Status.NOT_IN_CONTEXT: "ungrounded",
}
_SOURCES = ("document", "tool_result")
_CONVERSATION = (PartKind.SYSTEM, PartKind.INPUT, PartKind.HISTORY, PartKind.TOOL_CALL)
"""What stands in them the answer did not invent, though no source says it. Tools' arguments count, because agents
report what they did."""

GROUNDING = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="Claims of an answer (numbers, dates, names, quotations, citations, sentences) that the retrieved documents "
    "and tools' results do not contain, or contradict. Literal: it does not understand paraphrase.",
    categories=("contradiction", "grounded", "ungrounded"),
    scope="call",
    options=(
        OptionDescription(
            name="sources",
            kind="strings",
            description="Parts of a call that an answer must keep to; add input where documents are pasted into the "
            "prompt. Of several policies' lists the union is used.",
            default=list(_SOURCES),
            choices=("document", "tool_result", "input", "system"),
        ),
        OptionDescription(
            name="state_supported",
            kind="boolean",
            description="State claims that a source supports, too (category grounded).",
            default=False,
        ),
    ),
)


class GroundingDetector:
    """States of each claim of an answer that its sources contradict it, or do not hold it.

    `category` is contradiction, ungrounded or (option `state_supported`) grounded; `label` number, date, name,
    quotation, citation or sentence; the place is the claim's in the answer. `data`: `status` (supported, contradicted,
    not_in_context) and, where a source speaks of it, `source` (document, tool_result, input, system), `source_index`,
    `source_start`, `source_end` (code points of that part). A call without sources or without an answer has no
    findings: that is no statement that it is grounded.
    """

    name = NAME

    def __init__(self, options: Options | None = None) -> None:
        options = options or {}
        self._sources = frozenset(PartKind(kind) for kind in words(options, "sources") or _SOURCES)
        self._states_supported = options.get("state_supported") is True
        self.version = version_of(VERSION, sorted(self._sources), self._states_supported)

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        held = [part for part in parts if part.kind in self._sources and part.content.text.strip()]
        answers = [part for part in parts if part.kind is PartKind.OUTPUT and _speaks(part)]
        if not held or not answers:
            return ()
        sources = Sources(held)

        @cache
        def given() -> Sources:
            return Sources([part for part in parts if part.kind in _CONVERSATION and part.kind not in self._sources])

        documents = sum(part.kind is PartKind.DOCUMENT for part in parts)
        findings: list[Finding] = []
        for part in answers:
            answer = Answer(part.content.text, documents=documents, states_supported=self._states_supported)
            for claim in claims(answer, sources, given):
                if claim.status is not Status.SUPPORTED or self._states_supported:
                    findings.append(_finding(claim, part, sources))
        return findings


def _speaks(part: Part) -> bool:
    return part.content.type == "text" and bool(part.content.text.strip())


def claims(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """Every claim of the answer, with what the sources say about it. Linear in answer and sources."""
    yield from quantities.judged(answer, sources, given)
    if answer.text.lstrip()[:1] in ("{", "["):
        return  # JSON: its figures are claims, its words are keys
    yield from quotations.judged(answer, sources, given)
    yield from citations.judged(answer, sources, given)
    yield from names.judged(answer, sources, given)
    yield from statements.judged(answer, sources, given)


def _finding(claim: Claim, part: Part, sources: Sources) -> Finding:
    data: dict[str, str | float | bool] = {"status": claim.status.value}
    if claim.place is not None:
        source = sources.parts[claim.place.source]
        data["source"] = source.kind.value
        data["source_index"] = float(source.index)
        data["source_start"] = float(claim.place.start)
        data["source_end"] = float(claim.place.end)
        if source.content.name:
            data["document" if source.kind is PartKind.DOCUMENT else "tool"] = source.content.name[:200]
    return Finding(
        detector=NAME,
        category=_CATEGORIES[claim.status],
        rule=claim.rule,
        label=claim.label,
        score=claim.score,
        part=PartKind.OUTPUT,
        index=part.index,
        start=claim.start,
        end=claim.end,
        data=data,
    )


KIND = DetectorKind(describe=lambda: GROUNDING, build=lambda requests, _: GroundingDetector(merged(requests)))
