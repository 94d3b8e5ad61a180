"""Each detector by itself, by source."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.detection.counts import Counts, figure, markdown, milliseconds, percent
from benchmarks.detection.sets import Text, call, sources
from governance.detectors import classifier as classifiers
from governance.detectors import grounding
from governance.detectors.classifier import ClassifierDetector
from governance.detectors.interface import CallDetector, Surroundings
from governance.detectors.patterns import PatternDetector
from governance.domain.content import Content, ContentKind, PartKind, parts_of

FLAG, SURE = 0.5, 0.8
"""Scores to count from: a finding worth a look, and one that most default policies act on (`min_score`)."""
CLASSIFIER_SURE = 0.9
"""Where default policies act on what the classifier says."""

PERSONAL = {
    "CREDIT_CARD": "payment_card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "PHONE_NUMBER": "phone",
    "US_DRIVER_LICENSE": "driver_license",
    "US_SSN": "ssn",
}
"""Marked types that have a form of their own, and our label of each."""

Span = tuple[str, int, int]
"""Label, start, end; code points, end exclusive."""


def patterns(folder: Path, task: str, packs: Sequence[str], *, title: str, there: str) -> str:
    """Texts in which the packs find something of at least a score, by source."""
    detector = PatternDetector.of(packs)
    rows = []
    for name, texts in sources(folder, task).items():
        low, high = scored(texts, lambda text: highest(detector, text), (FLAG, SURE))
        rows.append(
            (
                *(name, f"{low.there:,}", percent(low.recall), percent(high.recall), f"{low.harmless:,}"),
                *(percent(low.false_share), percent(high.false_share), milliseconds(low.milliseconds)),
            )
        )
    head = (title, there, f"found at {FLAG}", f"at {SURE}", "harmless", f"wrongly at {FLAG}", f"at {SURE}", "ms a text")
    return markdown(head, rows)


def classifier(folder: Path, head: str) -> str:
    """Texts that a head of the classifier gives at least a score, by source; asked are those that it is for."""
    detector = ClassifierDetector.of([head])
    rows = []
    for name, texts in sources(folder, classifiers.HEADS[head]).items():
        asked = [one for one in texts if one.is_document is (head == "indirect")]
        if not asked:
            continue
        low, high = scored(asked, lambda text: _probability(detector, head, text), (FLAG, CLASSIFIER_SURE))
        rows.append(
            (
                *(name, f"{low.there:,}", percent(low.recall), percent(high.recall), f"{low.harmless:,}"),
                *(percent(low.false_share), percent(high.false_share), milliseconds(low.milliseconds)),
            )
        )
    least = (f"found at {FLAG}", f"at {CLASSIFIER_SURE}", f"wrongly at {FLAG}", f"at {CLASSIFIER_SURE}")
    title, there = _HEADS[head]
    return markdown((title, there, *least[:2], "harmless", *least[2:], "ms a text"), rows)


_HEADS = {
    "direct": ("Prompts, `direct`", "attacks"),
    "indirect": ("Documents and results, `indirect`", "planted"),
    "toxicity": ("Messages, `toxicity`", "toxic"),
}


def _probability(detector: ClassifierDetector, head: str, text: str) -> float:
    kind = ContentKind.DOCUMENT if head == "indirect" else ContentKind.MESSAGE
    findings = detector.examine(Content(kind=kind, text=text, role="" if head == "indirect" else "user"))
    return max((finding.score for finding in findings if finding.pack == head), default=0.0)


def scored(texts: Sequence[Text], score: Callable[[str], float], least: Iterable[float]) -> list[Counts]:
    """Each text counts once at each of the scores: it has so much, or it has not."""
    began = time.process_time()
    scores = [score(one.text) for one in texts]
    seconds = time.process_time() - began
    return [
        Counts.of(((one.bad, got >= at) for one, got in zip(texts, scores, strict=True)), seconds=seconds)
        for at in least
    ]


_number = itertools.count()


def _new(text: str) -> Content:
    """A prompt that the detector has never seen: it remembers a few, which would be measured as no work at all."""
    return Content(kind=ContentKind.MESSAGE, text=text, role="user", name=str(next(_number)))


def highest(detector: PatternDetector, text: str) -> float:
    findings = detector.examine(_new(text))
    return max((finding.score for finding in findings), default=0.0)


def personal_data(texts: Sequence[Text], find: Callable[[Text], Iterable[Span]]) -> dict[str, Counts]:
    """Each marked place counts once, by label: found when a place of that label covers at least half of it. A place is
    wrong when it lies on no marked place of its label."""
    hit: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for one in texts:
        found = list(find(one))
        marked = [(PERSONAL[kind], start, end) for kind, start, end in one.meta["spans"] if kind in PERSONAL]
        for label, start, end in marked:
            covered = max((_common(span, start, end) for span in found if span[0] == label), default=0)
            (hit if 2 * covered >= end - start else missed)[label] += 1
        dates = [(start, end) for kind, start, end in one.meta["spans"] if kind == "DATE_TIME"]
        for span in found:
            if span[0] == "date_of_birth" and any(_common(span, start, end) for start, end in dates):
                continue
            if not any(label == span[0] and _common(span, start, end) for label, start, end in marked):
                false[span[0]] += 1
    labels = sorted(hit.keys() | missed.keys() | false.keys())
    return {label: Counts(hit=hit[label], missed=missed[label], false=false[label]) for label in labels}


def _common(span: Span, start: int, end: int) -> int:
    return max(0, min(span[2], end) - max(span[1], start))


def our_personal_data(detector: PatternDetector, one: Text) -> list[Span]:
    findings = detector.examine(_new(one.text))
    return [(finding.label, finding.start, finding.end) for finding in findings if finding.score >= FLAG]


def personal(by_source: Mapping[str, Mapping[str, Counts]]) -> str:
    rows = []
    for source, by_label in by_source.items():
        for label, one in by_label.items():
            rows.append((f"{source}: {label}", f"{one.there:,}", figure(one.recall), figure(one.precision)))
        whole = sum(by_label.values(), start=Counts())
        rows.append((f"{source}: all", f"{whole.there:,}", figure(whole.recall), figure(whole.precision)))
    return markdown(("Personal data", "marked", "recall", "precision"), rows)


def of_answers(folder: Path) -> str:
    """The grounding detector: what it states of answers that their evidence supports, and of others."""
    detector = grounding.KIND.build([{}], Surroundings())
    assert isinstance(detector, CallDetector)
    rows = []
    for name, texts in sources(folder, "grounding").items():
        calls = [call("grounding", one) for one in texts]
        began = time.process_time()
        found = [detector.examine_call(one, list(parts_of(one))) for one in calls]
        seconds = time.process_time() - began
        for what, test in _STATED.items():
            for at in (FLAG, 0.7):
                answers = (
                    (one.bad, any(test(finding) and finding.score >= at for finding in findings))
                    for one, findings in zip(texts, found, strict=True)
                )
                counts = Counts.of(answers, seconds=seconds)
                rows.append(
                    (
                        *(f"{name}: {what}, {at}", f"{counts.there:,}", percent(counts.recall)),
                        *(percent(counts.precision), f"{counts.harmless:,}", percent(counts.false_share)),
                        milliseconds(counts.milliseconds),
                    )
                )
    head = ("Grounding", "unsupported", "found", "precision", "supported", "wrongly", "ms a text")
    return markdown(head, rows)


_STATED: dict[str, Callable[[Any], bool]] = {
    "contradiction": lambda finding: finding.category == "contradiction",
    "figures": lambda finding: finding.label in ("number", "date"),
    "names": lambda finding: finding.label == "name",
    "anything": lambda finding: finding.part is PartKind.OUTPUT,
}
