"""What the default policy set decides: the figures that users meet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.detection.counts import Counts, markdown, milliseconds, percent, ratio
from benchmarks.detection.ours import PERSONAL
from benchmarks.detection.sets import Text, call, sources
from governance.bootstrap import resource
from governance.detectors import registry
from governance.domain.content import PartKind
from governance.engine.check import Checked, Checker
from governance.engine.decide import DecisionEngine
from governance.policy.load import load
from governance.privacy.redaction import Redactor

FAMILIES = {
    "injection": ("injection",),
    "toxicity": ("safety",),
    "pii": ("data-access",),
    "secrets": ("data-access",),
    "grounding": ("quality",),
}
"""Task of the labelled sets, and the policies that are about it, by the family in their names."""


def checker(folder: Path | None = None) -> Checker:
    """All detectors that the default policies ask for, and these policies."""
    folder = folder or resource("policies")
    policy_set = load(folder)
    runner = registry.build(policy_set.detector_uses(), access_policies=folder / "access")
    return Checker(runner, DecisionEngine(policy_set))


def flags(checked: Checked, task: str) -> bool:
    """Whether an enforced policy of the task's family acted: another action than allow, or a queue."""
    return any(
        outcome.policy.split(".")[0] in FAMILIES[task]
        and outcome.status.value == "enforce"
        and (outcome.action.value != "allow" or outcome.queue)
        for outcome in checked.decision.policies
    )


def of_set(folder: Path, by: Checker | Mapping[str, Checker]) -> str:
    """By source: what is flagged of what should be, and of what should not. `by` may give each source its checker."""
    rows = []
    for task in FAMILIES:
        for name, texts in sources(folder, task).items():
            checks = by if isinstance(by, Checker) else by.get(name, by[""])
            for document in (False, True):
                some = [one for one in texts if one.is_document is document]
                if not some:
                    continue
                counts, any_flag = judged(checks, task, some)
                what = f"{task}: {name}" + (", in documents" if document else "")
                rows.append(
                    (
                        *(what, f"{counts.there:,}", percent(counts.recall)),
                        *(f"{counts.harmless:,}", percent(counts.false_share), percent(any_flag)),
                        milliseconds(counts.milliseconds),
                    )
                )
    head = ("Default policies", "should be flagged", "flagged", "should not", "flagged", "by any family", "ms a call")
    return markdown(head, rows)


def judged(checks: Checker, task: str, texts: list[Text]) -> tuple[Counts, float]:
    """Counts of the task's own policies, and the share of harmless texts that a policy of any family flagged."""
    calls = [call(task, one) for one in texts]
    began = time.process_time()
    checked = [checks.check(one) for one in calls]
    seconds = time.process_time() - began
    counts = Counts.of(
        ((one.bad, flags(done, task)) for one, done in zip(texts, checked, strict=True)), seconds=seconds
    )
    harmless = [done.decision.flagged for one, done in zip(texts, checked, strict=True) if not one.bad]
    return counts, ratio(sum(harmless), len(harmless))


def left_in_redacted(folder: Path, checks: Checker) -> str:
    """What of marked personal data with a form of its own, and of secrets, can still be read after redaction."""
    redactor = Redactor()
    rows = []
    for name, texts in sources(folder, "pii").items():
        there = left = 0
        for one in texts:
            redacted = _redacted(checks, redactor, one)
            for kind, start, end in one.meta["spans"]:
                if kind in PERSONAL:
                    there += 1
                    left += one.text[start:end] in redacted
        rows.append((f"pii: {name}", f"{there:,}", f"{left:,}", percent(ratio(left, there))))
    return markdown(("Redaction", "marked values", "still readable", "share"), rows)


def _redacted(checks: Checker, redactor: Redactor, one: Text) -> str:
    checked = checks.check(call("pii", one))
    found = [finding for finding in checked.findings if finding.part is PartKind.INPUT and finding.index == 0]
    return redactor.redact(one.text, found)
