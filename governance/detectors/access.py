"""`access`: which data and tools a call's end user may reach, answered by Cedar (https://docs.cedarpolicy.com).

Three questions, asked of `policies/access/data.cedar`: may this role *read* a document with these labels, *write*
through this tool, have this class of data *surfaced* in an answer. What Cedar denies is a finding of category access.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cedarpy

from governance.detectors.interface import Detector, DetectorDescription, DetectorKind, Options, Surroundings
from governance.detectors.patterns.shingles import Overlap, Words, overlap
from governance.domain.calls import Call
from governance.domain.content import Content, Part, PartKind
from governance.domain.findings import Finding
from governance.errors import Misconfigured

NAME = "access"
VERSION = "2"
FOLDER, POLICIES_FILE, SCHEMA_FILE = "access", "data.cedar", "data.cedarschema"
NOBODY = "unknown"
"""The role of an end user of whom the application said none."""

_SURFACED = frozenset({"pii", "secret"})
_RUN = 8
"""An answer that follows a source for this many words, up to two changed at a time, has surfaced it."""
_SHARE, _SHINGLES = 0.4, 8
"""So has one that repeats this share of a source's shingles, and at least so many, in whatever order."""
_SHORT = 4
"""A source of fewer words than a run, but at least so many, is surfaced when the answer has the whole of it."""

LABELS = ("labels", "label", "data_labels", "classification", "sensitivity", "sensitivity_label")
"""Where a tool's result in JSON states its data labels: as a document's metadata does, at the top or in `metadata`."""
_LONGEST_LABELLED = 1_000_000
"""Code points: of longer results no labels are read; RFC 8259 parsing is linear, but not free."""

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
            raise Misconfigured(f"{SCHEMA_FILE} is not a Cedar schema: {error}.") from None
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
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise Misconfigured(
                f"The data-access policies in {folder} cannot be read: {reason}.",
                advice=f"It must contain {POLICIES_FILE} and {SCHEMA_FILE}.",
            ) from None
        return cls(policies, schema, classify=classify)

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]:
        """A finding for each document, tool call and surfaced text or data class that is denied, at its part.

        `rule` is the id of the forbidding policy, or "not-permitted"; `label` the action. Documents without labels are
        not asked about: a firm that labels nothing has said nothing. `data` of what an answer surfaces of a source:
        `source` (document, tool_result), `source_index`, `source_start`, `source_end` (code points of that part),
        `share` of the source's shingles, `run` in words.
        """
        role = call.user.role.strip().lower() or NOBODY
        findings: list[Finding] = []
        for part in parts:
            if part.kind is PartKind.TOOL_CALL:
                verdict = self._ask(role, "write", "Tool", part.content.name, ())
                if not verdict.allowed:
                    findings.append(_denied(verdict, "write", part, tool=part.content.name))
            elif part.kind is PartKind.DOCUMENT and part.content.labels:
                labels = labels_of(part)
                verdict = self._ask(role, "read", "Document", "", labels)
                if not verdict.allowed:
                    findings.append(_denied(verdict, "read", part, labels=", ".join(labels)))
        outputs = [part for part in parts if part.kind is PartKind.OUTPUT and part.content.text]
        if outputs:
            findings.extend(self._surfaced_texts(role, parts, outputs))
        for part in outputs:
            findings.extend(self._surfaced_classes(role, part))
        return findings

    def _surfaced_texts(self, role: str, parts: Sequence[Part], outputs: Sequence[Part]) -> Iterator[Finding]:
        kept: list[tuple[Part, Verdict, tuple[str, ...]]] = []
        allowed: list[Part] = []
        for part in parts:
            if part.kind not in (PartKind.DOCUMENT, PartKind.TOOL_RESULT):
                continue
            labels = labels_of(part)
            verdict = self._ask(role, "surface", "Document", "", labels) if labels else None
            if verdict is None or verdict.allowed:
                allowed.append(part)
            else:
                kept.append((part, verdict, labels))
        return _surfaced(kept, allowed, outputs) if kept else iter(())

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
                f"{POLICIES_FILE} gives an error for action {action!r}.", advice="See docs/detectors/access.md."
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


def _surfaced(
    kept: Sequence[tuple[Part, Verdict, tuple[str, ...]]], allowed: Sequence[Part], outputs: Sequence[Part]
) -> Iterator[Finding]:
    """Finds each answer that repeats a source, unless a source that is allowed says the same."""
    answers = [(part, Words.of(part.content.text)) for part in outputs]
    for source, verdict, labels in kept:
        written = Words.of(source.content.text)
        for output, said in answers:
            found = overlap(said, written)
            if found is None or not surfaces(found, written):
                continue
            repeated = Words(words=said.words[found.first : found.last + 1], view=said.view)
            if any(_covers(one, repeated) for one in allowed):
                continue
            start, end = written.at(found.source_first, found.source_last)
            finding = _denied(
                verdict,
                "surface",
                output,
                said.at(found.first, found.last),
                labels=", ".join(labels),
                **{"document" if source.kind is PartKind.DOCUMENT else "tool": source.content.name},
            )
            place: dict[str, str | float | bool] = {
                "source": source.kind.value,
                "source_index": float(source.index),
                "source_start": float(start),
                "source_end": float(end),
                "share": round(found.share, 3),
                "run": found.run,
            }
            yield replace(finding, data={**finding.data, **place})


def surfaces(found: Overlap, source: Words) -> bool:
    """Whether the overlap counts as showing the source: a long stretch, much of it, or the whole of a short one."""
    if found.run >= _RUN or (found.share >= _SHARE and found.repeated >= _SHINGLES):
        return True
    return _SHORT <= len(source.words) < _RUN and found.run >= source.weight(0, len(source.words) - 1)


def _covers(part: Part, words: Words) -> bool:
    """Whether the part contains nearly all of these words, too."""
    found = overlap(words, Words.of(part.content.text))
    return found is not None and found.run >= 0.9 * words.weight(0, len(words.words) - 1)


def labels_of(part: Part) -> tuple[str, ...]:
    """The data labels of a document, or those in a tool's result; lower case, sorted."""
    if part.kind is PartKind.TOOL_RESULT:
        return stated_labels(part.content.text)
    return tuple(sorted({label.strip().lower() for label in part.content.labels}))


def stated_labels(result: str) -> tuple[str, ...]:
    """The data labels in a tool's result (see `LABELS`), lower case; none when it is not JSON."""
    if len(result) > _LONGEST_LABELLED or not any(f'"{name}"' in result for name in LABELS):
        return ()
    try:
        stated = json.loads(result)
    except (ValueError, RecursionError):
        return ()
    objects = stated if isinstance(stated, list) else [stated]
    labels: set[str] = set()
    for one in objects:
        for holder in (one, one.get("metadata")) if isinstance(one, dict) else ():
            stated_here = holder if isinstance(holder, dict) else {}
            for name in LABELS:
                value = stated_here.get(name)
                values = value if isinstance(value, list) else [value]
                labels.update(text.strip().lower()[:100] for text in values if isinstance(text, str) and text.strip())
    return tuple(sorted(labels))


def _build(requests: Sequence[Options], surroundings: Surroundings) -> AccessDetector:
    classify = surroundings.built.get("patterns")
    by = classify if isinstance(classify, Detector) else None
    own = surroundings.access_texts
    policies, schema = (own.get(f"{FOLDER}/{name}") for name in (POLICIES_FILE, SCHEMA_FILE))
    if policies is not None:
        if schema is None:
            raise Misconfigured(f"The policy set contains {POLICIES_FILE} without {SCHEMA_FILE}.")
        return AccessDetector(policies, schema, classify=by)
    return AccessDetector.load(surroundings.access_policies, classify=by)


KIND = DetectorKind(describe=lambda: ACCESS, build=_build)
