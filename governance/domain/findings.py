"""Findings are facts: what a detector found in a part of a call. They do not say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from governance.domain.content import PartKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A fact about a content item, or about the call as a whole (`part` is None, `start == end == 0`).

    `start` and `end` are offsets in code points of the original text, end exclusive. `score` is between 0 and 1.
    `detector` is the detector's registered name, `rule` its rule, `pack` the rule's pack (patterns) or "".
    `category` is the field's term: injection, jailbreak, secret, pii, exfiltration, invisible_text, encoded_payload,
    refusal, empty, invalid_json, error, latency, access, ungrounded, contradiction ... `label` narrows it (pii: email,
    iban ...).
    """

    detector: str
    category: str
    rule: str
    score: float
    pack: str = ""
    label: str = ""
    start: int = 0
    end: int = 0
    part: PartKind | None = None
    index: int = 0
    data: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorFailure:
    """A detector that failed, timed out or is unavailable. It never counts as "nothing found"."""

    detector: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What the detectors said of one subject. An empty one says: examined, nothing found.

    `skipped` are the detectors that were not to look at it (`on: flagged`, `sample`): neither failed nor passed.
    """

    findings: tuple[Finding, ...] = ()
    failures: tuple[DetectorFailure, ...] = ()
    skipped: tuple[str, ...] = ()
