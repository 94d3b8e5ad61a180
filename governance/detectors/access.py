"""`access`: which data and tools a call's end user may reach, answered by Cedar (https://docs.cedarpolicy.com).

Three questions, asked of `policies/access/data.cedar`: may this role *read* a document with these labels, *write*
through this tool, have this class of data *surfaced* in an answer. What Cedar denies is a finding of category access.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from governance.detectors.interface import Detector, DetectorDescription, DetectorKind, Options, Surroundings
from governance.domain.calls import Call
from governance.domain.content import Content, Part, PartKind
from governance.domain.findings import Finding
from governance.errors import Misconfigured

NAME = "access"
VERSION = "1"
POLICIES_FILE, SCHEMA_FILE = "data.cedar", "data.cedarschema"
NOBODY = "unknown"
"""The role of an end user of whom the application said none."""

_SURFACED = frozenset({"pii", "secret"})
_QUOTED_WORDS = 8
"""An answer that repeats this many words of a document in a row has surfaced it."""

ACCESS = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="Documents, tools and data classes that the end user's role may not read, write through or be shown (Cedar).",
    categories=("access",),
    scope="call",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Cedar's answer. `reasons` are the @id annotations of the policies that decided; empty when nothing permitted."""

    allowed: bool
    reasons: tuple[str, ...]
    errors: int = 0


class AccessDetector:
    """Denials of the data-access policies. `classify` names the data classes in an answer (usually `patterns`)."""

    name = NAME

    def __init__(self, policies: str, schema: str, *, classify: Detector | None = None) -> None:
        try:
            parsed_schema = cedarpy.Schema.from_str(schema)
        except ValueError as error:
            raise Misconfigured(f"{SCHEMA_FILE} is no Cedar schema: {error}.") from None
        try:
            self._policies: Any = cedarpy.PolicySet.from_str(policies)
        except ValueError as error:
            raise Misconfigured(f"{POLICIES_FILE} cannot be read: {error}.") from None
        checked = cedarpy.validate_policies(policies, schema)
        if not checked.validation_passed:
            raise Misconfigured(f"{POLICIES_FILE} does not fit {SCHEMA_FILE}: {checked.errors[0]}.")
        self._schema: Any = parsed_schema
        self._entities = cedarpy.Entities.from_json_str("[]")
        self._classify = classify
        stated = "\0".join([policies, schema, classify.version if classify else ""])
        self.version = f"{VERSION}+{hashlib.sha256(stated.encode()).hexdigest()[:12]}"
        self._ask = functools.lru_cache(maxsize=4096)(self._ask_cedar)

    @classmethod
    def load(cls, folder: Path | None, *, classify: Detector | None = None) -> AccessDetector:
        """From `data.cedar` and `data.cedarschema` in a folder; `Misconfigured` says what is wrong with them."""
        if folder is None:
            raise Misconfigured(
                "There are no data-access policies.", advice=f"Put {POLICIES_FILE} under policies/access."
            )
        try:
            policies = (folder / POLICIES_FILE).read_text("utf-8")
            schema = (folder / SCHEMA_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise Misconfigured(
                f"The data-access policies in {folder} cannot be read: {reason}.",
                advice=f"It must hold {POLICIES_FILE} and {SCHEMA_FILE}.",
            ) from None
        return cls(policies, schema, classify=classify)

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        """A finding for each document, tool call and surfaced data class that is denied, at its part.

        `rule` is the id of the forbidding policy, or "not-permitted"; `label` the action. Documents without labels are
        not asked about: a firm that labels nothing has said nothing.
        """
        role = call.user.role.strip().lower() or NOBODY
        findings: list[Finding] = []
        outputs = [part for part in parts if part.kind is PartKind.OUTPUT and part.content.text]
        for part in parts:
            if part.kind is PartKind.DOCUMENT and part.content.labels:
                labels = tuple(sorted({label.strip().lower() for label in part.content.labels}))
                verdict = self._ask(role, "read", "Document", "", labels)
                if not verdict.allowed:
                    findings.append(_denied(verdict, "read", part, labels=", ".join(labels)))
                findings.extend(self._surfaced_document(role, labels, part, outputs))
            elif part.kind is PartKind.TOOL_CALL:
                verdict = self._ask(role, "write", "Tool", part.content.name, ())
                if not verdict.allowed:
                    findings.append(_denied(verdict, "write", part, tool=part.content.name))
        for part in outputs:
            findings.extend(self._surfaced_classes(role, part))
        return findings

    def _surfaced_document(
        self, role: str, labels: tuple[str, ...], document: Part, outputs: Sequence[Part]
    ) -> Iterator[Finding]:
        verdict = self._ask(role, "surface", "Document", "", labels)
        if verdict.allowed:
            return
        for output in outputs:
            if quotes(output.content.text, document.content.text):
                yield _denied(verdict, "surface", output, labels=", ".join(labels), document=document.content.name)

    def _surfaced_classes(self, role: str, output: Part) -> Iterator[Finding]:
        if self._classify is None:
            return
        answer = Content(kind=output.content.kind, text=output.content.text, role="assistant")
        seen: set[tuple[str, str]] = set()
        for finding in self._classify.examine(answer):
            if finding.category not in _SURFACED or (finding.category, finding.label) in seen:
                continue
            seen.add((finding.category, finding.label))
            verdict = self._ask(role, "surface", "DataClass", finding.label, (finding.category,))
            if not verdict.allowed:
                yield _denied(verdict, "surface", output, (finding.start, finding.end), data_class=finding.label)

    def _ask_cedar(self, role: str, action: str, kind: str, name: str, labels: tuple[str, ...]) -> Verdict:
        request = {
            "principal": {"type": "Role", "id": role},
            "action": {"type": "Action", "id": action},
            "resource": {"type": kind, "id": name},
            "context": {"name": name, "labels": list(labels), "role": role},
        }
        answer = cedarpy.is_authorized(request, self._policies, self._entities, self._schema)
        diagnostics = answer.diagnostics
        named: Mapping[str, str] = diagnostics.id_annotations_by_reason
        reasons = tuple(sorted(named.get(reason, reason) for reason in diagnostics.reasons))
        errors = [*diagnostics.errors]
        if answer.decision is cedarpy.Decision.NoDecision or errors:
            # Cedar skips a policy that errs; a forbid that was skipped would be an open door.
            raise Misconfigured(
                f"{POLICIES_FILE} gives an error for action {action!r}.", advice="See docs/detectors.md, access."
            )
        return Verdict(allowed=answer.allowed, reasons=reasons)


def _denied(verdict: Verdict, action: str, part: Part, place: tuple[int, int] | None = None, **about: str) -> Finding:
    start, end = place or (0, len(part.content.text))
    data: dict[str, str | float | bool] = {"action": action, **{name: value[:200] for name, value in about.items()}}
    if verdict.reasons:
        data["policies"] = ", ".join(verdict.reasons)
    return Finding(
        detector=NAME,
        category="access",
        rule=verdict.reasons[0] if verdict.reasons else "not-permitted",
        label=action,
        score=1.0,
        part=part.kind,
        index=part.index,
        start=start,
        end=end,
        data=data,
    )


def quotes(answer: str, document: str, *, words: int = _QUOTED_WORDS, most: int = 20_000) -> bool:
    """Whether the answer repeats so many words of the document in a row; letters' case and spacing do not matter."""
    said, source = answer.lower().split()[:most], document.lower().split()[:most]
    if len(said) < words or len(source) < words:
        return False
    shingles = {hash(tuple(source[at : at + words])) for at in range(len(source) - words + 1)}
    return any(hash(tuple(said[at : at + words])) in shingles for at in range(len(said) - words + 1))


def _build(requests: Sequence[Options], surroundings: Surroundings) -> AccessDetector:
    classify = surroundings.built.get("patterns")
    return AccessDetector.load(
        surroundings.access_policies, classify=classify if isinstance(classify, Detector) else None
    )


KIND = DetectorKind(describe=lambda: ACCESS, build=_build)
