"""Ours beside the peers, on the same texts in the same run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.detection import peers
from benchmarks.detection.counts import Counts, figure, markdown, milliseconds, percent
from benchmarks.detection.ours import FLAG, PERSONAL, highest, our_personal_data, personal_data
from benchmarks.detection.sets import Text, sources
from governance.detectors.patterns import PatternDetector


def tables(folder: Path) -> str:
    """One table a task that a peer is for; a peer that cannot be had here is named with the reason."""
    missing: list[str] = []
    found = [
        _texts(folder, "secrets", ["secrets"], (peers.DETECT_SECRETS, peers.LLM_GUARD_SECRETS), missing),
        _places(folder, (peers.PRESIDIO, peers.PRESIDIO_NER), missing),
        _texts(folder, "toxicity", ["safety", "harm"], (peers.PROFANITY,), missing),
    ]
    left_out = [f"Left out: {'; '.join(dict.fromkeys(missing))}."] if missing else []
    return "\n\n".join([*filter(None, found), *left_out])


def _texts(folder: Path, task: str, packs: list[str], beside: Sequence[peers.Peer], missing: list[str]) -> str:
    rows = []
    detector = PatternDetector.of(packs)
    for name, texts in sources(folder, task).items():
        began = time.process_time()
        scores = [highest(detector, one.text) for one in texts]
        rows.append(_row(name, "ours", _counted(texts, scores, time.process_time() - began)))
        for peer in beside:
            try:
                said = peers.ask(peer, [one.text for one in texts])
            except peers.Missing as error:
                missing.append(f"{peer.title} ({error})")
                continue
            rows.append(_row(name, f"{peer.title} {said.version}", _counted(texts, said.scores, said.seconds)))
    head = (task.capitalize(), "by", "recall", "precision", "F1", "wrongly", "ms a text")
    return markdown(head, rows) if rows else ""


def _counted(texts: Sequence[Text], scores: Sequence[float], seconds: float) -> Counts:
    answers = ((one.bad, score >= FLAG) for one, score in zip(texts, scores, strict=True))
    return Counts.of(answers, seconds=seconds)


def _row(source: str, by: str, counts: Counts) -> tuple[str, ...]:
    return (
        *(source, by, figure(counts.recall), figure(counts.precision), figure(counts.f1)),
        *(percent(counts.false_share), milliseconds(counts.milliseconds)),
    )


def _places(folder: Path, beside: Sequence[peers.Peer], missing: list[str]) -> str:
    """Personal data with a form of its own, place by place, all labels together."""
    rows = []
    detector = PatternDetector.of(["pii"])
    for name, texts in sources(folder, "pii").items():
        began = time.process_time()
        counts = personal_data(texts, lambda one: our_personal_data(detector, one))
        rows.append(_places_row(name, "ours", counts, (time.process_time() - began) / len(texts)))
        for peer in beside:
            some = texts[:: max(1, len(texts) // peer.most)][: peer.most] if peer.most else texts
            try:
                said = peers.ask(peer, [one.text for one in some])
            except peers.Missing as error:
                missing.append(f"{peer.title} ({error})")
                continue
            spans = {
                id(one): [(PERSONAL[label], start, end) for label, start, end in spans if label in PERSONAL]
                for one, spans in zip(some, said.spans, strict=True)
            }
            counts = personal_data(some, lambda one, spans=spans: spans[id(one)])  # type: ignore[misc]
            what = f"{peer.title} {said.version}" + (f", {len(some)} texts" if len(some) < len(texts) else "")
            rows.append(_places_row(name, what, counts, said.seconds / len(some)))
    return markdown(("Personal data", "by", "marked", "recall", "precision", "F1", "ms a text"), rows) if rows else ""


def _places_row(source: str, by: str, by_label: dict[str, Counts], seconds: float) -> tuple[str, ...]:
    whole = sum(by_label.values(), start=Counts())
    return (
        *(source, by, f"{whole.there:,}", figure(whole.recall), figure(whole.precision), figure(whole.f1)),
        milliseconds(1_000 * seconds),
    )
