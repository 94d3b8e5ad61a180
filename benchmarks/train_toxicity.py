"""`python -m benchmarks.train_toxicity FOLDER [--write] [--fast]`: trains the head for toxic language.

Like `train_injection`: every source is left out in turn, then the head is trained on all. It is a lexical signal and no
judgement: texts of other sources than the one it learned from are told apart only by their coarse words.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.training import examples, sources
from benchmarks.training.calibration import Scores, calibrated, table
from benchmarks.training.grammar import expand, grammar
from benchmarks.training.logistic import fit
from benchmarks.training.rows import SIZE, Rows
from benchmarks.training.seen import Seen, head_of
from benchmarks.training.sources import Text
from governance.detectors.linear.head import Head
from governance.detectors.linear.weights import packaged, save

STRENGTH = 0.3
HANDICAPS = (0.0, 1.0)
TOXICITY = "toxicity"
FLAG, SURE = 0.02, 0.005
"""What shares of ordinary texts of unseen sources reach 0.5 and 0.9."""
_FAST, _FULL = (6, 30), (16, 40)
"""Examples of a template, rounds of the optimiser."""
ORDINARY = ("slabs", "banking77", "truthfulqa", "surge_toxicity", "davidson")
"""Sources whose harmless texts say how often ordinary ones are flagged."""
_UNTRAINED = ("banking77", "truthfulqa")
"""Ordinary prompts that only measure."""


def own(seed: int, each: int) -> Iterator[Text]:
    """Examples of our own: insults and contempt, and harmless texts with the same words."""
    chance = random.Random(seed)
    for family, templates in grammar("toxicity")["families"].items():
        for template in templates:
            for _ in range(each):
                text = expand(template, grammar("toxicity")["slots"], chance)
                yield Text(source=f"own_{family}", text=text, label=int(family == "toxic"))


def texts_of(folder: Path) -> list[Text]:
    """The labelled texts, and ordinary prompts as harmless ones."""
    found = [one for one in sources.rows(folder, "toxicity") if one.text.strip()]
    for one in sources.injection(folder):
        if one.place == "prompt" and not one.label and one.source in ("slabs", "neuralchemy", *_UNTRAINED):
            found.append(one)
    return found


def toxicity(texts: Sequence[Text], seen: Seen, *, without: str = "", each: int, iterations: int) -> Head:
    """The head, trained without a source."""
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    ordinary = list(examples.ordinary(7, each=max(2, each // 4)))
    for one in (*texts, *own(6, each), *ordinary):
        # The same questions about violence are safe or not by what is wanted, which words do not say.
        if one.source not in (without, *_UNTRAINED) and not (one.source == "xstest" and one.label):
            groups[one.source, one.label].append(one.text)
    rows = Rows()
    for (source, label), group in groups.items():
        weight = len(group) ** -0.5 * (0.5 if source in ("slabs", "neuralchemy") else 1.0)
        for text in group:
            read = seen[text]
            if read.words:
                rows.add(read.features, read.windows, 0, label, weight)
    return head_of(TOXICITY, fit(rows.evened(), SIZE, strength=STRENGTH, iterations=iterations), handicaps=HANDICAPS)


def left_out(texts: Sequence[Text], seen: Seen, *, fast: bool) -> Scores:
    """Log odds of every text by a model that saw nothing of its source."""
    scores = Scores()
    each, iterations = _FAST if fast else _FULL
    for source in sorted({one.source for one in texts}):
        head = toxicity(texts, seen, without=source, each=each, iterations=iterations)
        for one in texts:
            if one.source == source:
                scores.add(one, seen.value(head, one.text))
        print(f"  left out: {source}", file=sys.stderr, flush=True)
    return scores


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_toxicity", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of task.source.jsonl.gz")
    parser.add_argument("--write", action="store_true", help="write weights and figures into the package")
    parser.add_argument("--fast", action="store_true", help="few examples and rounds: for trying things")
    stated = parser.parse_args(None if arguments is None else list(arguments))
    texts = texts_of(stated.folder)
    if not texts:
        parser.error(f"no labelled texts in {stated.folder}")
    seen = Seen()
    scores = left_out(texts, seen, fast=stated.fast)
    each, iterations = _FAST if stated.fast else _FULL
    head = calibrated(toxicity(texts, seen, each=each, iterations=iterations), scores, ORDINARY, flag=FLAG, sure=SURE)
    report = f"{head.name}: {FLAG:.1%} of ordinary texts reach 0.5, {SURE:.1%} reach 0.9\n\n" + table(head, scores)
    print(report)
    if stated.write:
        save(packaged("toxicity"), [head], {"figures": report})
    return 0


if __name__ == "__main__":
    sys.exit(main())
