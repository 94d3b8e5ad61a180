"""`python -m benchmarks.train_injection FOLDER [--write] [--fast]`: trains the two heads for injection.

FOLDER holds labelled sets, `task.source.jsonl.gz` (`text`, `label`, `meta`); they are not in this repository. First
every source is left out in turn, and measured with models that never saw it; those figures are printed, and they set
what a score means. Then both heads are trained on everything. `--write` puts weights and figures into the package.
The same data gives the same weights.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.training import examples, sources
from benchmarks.training.calibration import Scores, calibrated, table
from benchmarks.training.logistic import fit
from benchmarks.training.rows import SIZE, Rows
from benchmarks.training.seen import Seen, head_of
from benchmarks.training.sources import Text
from governance.detectors.linear.head import Head
from governance.detectors.linear.weights import packaged, save

STRENGTH, INDIRECT_STRENGTH = 0.3, 0.15
"""How much the data counts against small weights (C): of documents less, since their sources differ more."""
DIRECT_HANDICAPS, INDIRECT_HANDICAPS = (0.0, 1.0), (50.0, 0.0)
"""Of the whole text and of a stretch: the best stretch of a prompt must be surer than the whole; of a document with
more than one stretch the whole does not count."""
ROUNDS = 2
ASSISTANTS = ("slabs", "neuralchemy", "alpaca_seed")
"""Sources of what people ask of assistants; questions of others are about what documents say."""
DIRECT, INDIRECT = "direct", "indirect"
SHARES = {DIRECT: (0.01, 0.001), INDIRECT: (0.05, 0.005)}
"""What shares of ordinary texts of unseen sources reach 0.5 and 0.9."""

ORDINARY_PROMPTS = ("slabs", "neuralchemy", "banking77", "truthfulqa", "halueval_questions", "alpaca_seed")
"""Sources whose harmless prompts say how often ordinary ones are flagged."""
ORDINARY_DOCUMENTS = ("bipia_train", "halueval_qa", "presidio_synth_v2", "python", "packages")
TOGETHER = {
    "prompt": (
        ("slabs",),
        ("neuralchemy",),
        ("yanismiraoui",),
        ("bastioncorpus", "piguard_valid", "jailbreak_corpus_mini"),
        ("banking77", "alpaca_seed", "notinject_one"),
        ("truthfulqa", "halueval_questions", "xstest", "hatecheck", "presidio_synth_v2"),
    ),
    "document": (
        ("bipia_train",),
        ("bastioncorpus",),
        ("halueval_qa", "summedits"),
        ("presidio_synth_v2", "python"),
        ("packages",),
    ),
}
"""Sources that are left out at once: alone where they are large, else with others of their kind, which is harder."""
EACH, COUNT, ITERATIONS = 32, 3000, 40
"""Examples of a template, planted documents, rounds of the optimiser."""


def direct(
    texts: Sequence[Text], seen: Seen, *, without: Sequence[str] = (), each: int = EACH, iterations: int = ITERATIONS
) -> Head:
    """The head for prompts, trained without a source."""
    own = [*examples.attacks(1, each=each), *examples.ordinary(2, each=each)]
    prompts = [one.text for one in own if not one.label and len(one.text) < 300]
    mixed = list(examples.mixed(3, prompts, each * 40))
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for one in (*(text for text in texts if text.place == "prompt" and text.source not in without), *own):
        groups[one.source, one.label].append(one.text)
    groups["own_mixed", 1] = [one.text for one in mixed]
    for one in texts:
        # People paste documents into prompts; long ones have many stretches, and none may look hostile.
        if one.place == "document" and not one.label and one.source not in without:
            groups["pasted_" + one.source, 0].append(one.text)
    rows = Rows()
    for (source, label), group in groups.items():
        weight = len(group) ** -0.5 * (1.5 if source.startswith("own") else 1.0)
        for text in group:
            read = seen[text]
            if not read.words:
                continue
            rows.add(read.features, read.windows, 0, label, weight)
            if not label:
                for number in _some(read.count, text, 3):
                    rows.add(read.features, read.windows, number, 0, weight / 3)
    return head_of(
        DIRECT, fit(rows.evened(), SIZE, strength=STRENGTH, iterations=iterations), handicaps=DIRECT_HANDICAPS
    )


def indirect(
    texts: Sequence[Text], seen: Seen, *, without: Sequence[str] = (), count: int = COUNT, iterations: int = ITERATIONS
) -> Head:
    """The head for documents, trained without a source: stretches that were planted against all others.

    Labelled documents do not say what was planted: in each round the model chooses the likeliest stretch, and the next
    one learns from it; likewise from the stretches of harmless documents that it was most wrong about.
    """
    kept = [one for one in texts if one.source not in without]
    clean = [one for one in kept if one.place == "document" and not one.label]
    attacked = [one for one in kept if one.place == "document" and one.label]
    foreign = [one for one in kept if one.place == "prompt" and _foreign(one)]
    prompts = [[(one.source, one.text) for one in foreign if one.label == label] for label in (1, 0)]
    planted = list(examples.planted(4, [(one.source, one.text) for one in clean], prompts, count))
    chance = random.Random(5)
    own = [examples.document(chance) for _ in range(count)]
    rows = Rows()
    for one in planted:
        _planted_rows(rows, seen, one, 60 * len(planted) ** -0.5)
    groups: dict[str, list[str]] = defaultdict(list)
    for text in clean:
        groups[text.source].append(text.text)
    groups[examples.ORDINARY] = own
    documents = [(text, 25 * len(group) ** -0.5) for group in groups.values() for text in group]
    for document, weight in documents:
        _clean_rows(rows, seen, document, weight)
    fitted = fit(rows.evened(), SIZE, strength=INDIRECT_STRENGTH, iterations=iterations)
    for _ in range(ROUNDS):
        head = head_of(INDIRECT, fitted, handicaps=INDIRECT_HANDICAPS)
        for document, weight in documents:
            _likeliest(rows, seen, head, document, 0, weight / 4, 2)
        for text in attacked:
            _likeliest(rows, seen, head, text.text, 1, 10 * len(attacked) ** -0.5, 1)
        fitted = fit(rows.evened(), SIZE, strength=INDIRECT_STRENGTH, iterations=iterations // 2, start=fitted)
    return head_of(INDIRECT, fitted, handicaps=INDIRECT_HANDICAPS)


def _likeliest(rows: Rows, seen: Seen, head: Head, document: str, label: int, weight: float, most: int) -> None:
    """The stretches that the head thinks likeliest to be planted, as rows with the document's label."""
    one = seen[document]
    if not one.words:
        return
    odds = head.odds(one.features, one.windows)
    if len(odds) > 1:
        odds[0] = -np.inf
    for number in np.argsort(-odds)[:most]:
        rows.add(one.features, one.windows, int(number), label, weight)


_TASK = re.compile(
    r"(please |can you |could you )?(what|how|why|who|when|where|which|write|create|generate|explain|describe|give|"
    r"tell|list|compare|translate|summari[sz]e|suggest|recommend|make|help|show|find|calculate|design|draft|compose|"
    r"plan|discuss|identify|classify|come up|rank|rewrite|name|provide|convert|analy[sz]e|should|is|are|do|does|can|"
    r"teach)\b",
    re.IGNORECASE,
)
"""How questions and tasks begin; the sets have statements among their prompts."""


def _foreign(one: Text) -> bool:
    """A prompt that would be out of place in a document: an attack, or a task for an assistant."""
    if len(one.text) > 250:
        return False
    return bool(one.label) or (one.source in ASSISTANTS and _TASK.match(one.text) is not None)


def within(seen: Seen, one: examples.Planted) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Numbers of stretches that are mostly what was planted and hold most of it, and of those that have none of it."""
    text = seen[one.text]
    start, end = text.places()
    common = np.maximum(0, np.minimum(end, one.end) - np.maximum(start, one.start))
    outside = np.flatnonzero(common[1:] == 0) + 1
    if text.count > 1:
        common[0] = 0
    # Of a long letter no stretch holds half; how it begins says most.
    enough = (common >= min(0.5 * (one.end - one.start), 0.8 * common.max())) | (start <= one.start + 2)
    return np.flatnonzero((common > 0) & enough & (common >= 0.6 * (end - start))), outside


def _planted_rows(rows: Rows, seen: Seen, one: examples.Planted, weight: float) -> None:
    """What was planted against what was not."""
    text = seen[one.text]
    inside, outside = within(seen, one)
    for number in inside[:4]:
        rows.add(text.features, text.windows, int(number), 1, weight / min(4, len(inside)))
    chance = random.Random(one.start * 31 + one.end)
    for number in sorted(chance.sample(outside.tolist(), min(3, len(outside)))):
        rows.add(text.features, text.windows, number, 0, weight / 6)


def _clean_rows(rows: Rows, seen: Seen, document: str, weight: float) -> None:
    text = seen[document]
    if not text.words:
        return
    rows.add(text.features, text.windows, 0, 0, weight / 8)
    for number in _some(text.count, document, 8):
        rows.add(text.features, text.windows, number, 0, weight / 8)


def _some(count: int, text: str, most: int) -> list[int]:
    """Some of the stretches 1 ... count - 1, the same each time."""
    return sorted(random.Random(len(text)).sample(range(1, count), min(most, count - 1))) if count > 1 else []


def left_out(texts: Sequence[Text], seen: Seen, *, fast: bool) -> tuple[Scores, Scores]:
    """Log odds of every text by models that saw nothing of its source: of prompts, and of documents."""
    prompts, documents = Scores(), Scores()
    for place, scores in (("prompt", prompts), ("document", documents)):
        known = {one.source for one in texts if one.place == place}
        grouped = [group for group in TOGETHER[place] if known & set(group)]
        for group in (*grouped, *((one,) for one in sorted(known - {name for names in grouped for name in names}))):
            if place == "prompt":
                head = direct(texts, seen, without=group, each=_each(fast), iterations=_iterations(fast))
            else:
                head = indirect(texts, seen, without=group, count=_count(fast), iterations=_iterations(fast))
            for one in texts:
                if one.place == place and one.source in group:
                    scores.add(one, seen.value(head, one.text))
            print(f"  left out: {', '.join(group)} ({place})", file=sys.stderr, flush=True)
    return prompts, documents


def _each(fast: bool) -> int:
    return 6 if fast else EACH


def _count(fast: bool) -> int:
    return 1000 if fast else COUNT


def _iterations(fast: bool) -> int:
    return 25 if fast else ITERATIONS


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_injection", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of task.source.jsonl.gz")
    parser.add_argument("--write", action="store_true", help="write weights and figures into the package")
    parser.add_argument("--fast", action="store_true", help="few examples and rounds: for trying things")
    stated = parser.parse_args(None if arguments is None else list(arguments))
    texts = sources.injection(stated.folder)
    if not texts:
        parser.error(f"no labelled texts in {stated.folder}")
    seen = Seen()
    prompts, documents = left_out(texts, seen, fast=stated.fast)
    heads = []
    report = []
    for head, scores, ordinary in (
        (direct(texts, seen, each=_each(stated.fast), iterations=_iterations(stated.fast)), prompts, ORDINARY_PROMPTS),
        (
            indirect(texts, seen, count=_count(stated.fast), iterations=_iterations(stated.fast)),
            documents,
            ORDINARY_DOCUMENTS,
        ),
    ):
        flag, sure = SHARES[head.name]
        fitted = calibrated(head, scores, ordinary, flag=flag, sure=sure)
        heads.append(fitted)
        report.append(f"{head.name}: {flag:.1%} of ordinary texts reach 0.5, {sure:.1%} reach 0.9")
        report.append(table(fitted, scores))
    print("\n\n".join(report))
    if stated.write:
        save(packaged("injection"), heads, {"figures": "\n\n".join(report)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
