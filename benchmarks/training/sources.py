"""Labelled sets: `task.source.jsonl.gz`, one JSON object a line with `text`, `label` and `meta`."""

from __future__ import annotations

import gzip
import json
import sysconfig
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text of a source. `place` says where it would come from: "prompt" or "document"."""

    source: str
    text: str
    label: int
    place: str = "prompt"
    meta: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0


def rows(folder: Path, task: str) -> Iterator[Text]:
    """The texts of a task, source by source, in the order of the files."""
    for path in sorted(folder.glob(f"{task}.*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                one = json.loads(line)
                yield Text(source=path.name.split(".")[1], text=one["text"], label=int(one["label"]), meta=one["meta"])


def chosen(text: str, share: float) -> bool:
    """Whether a text belongs to a fixed share of all texts, by its own bytes: the same on every machine."""
    return zlib.crc32(text.encode("utf-8", "replace")) % 10_000 < share * 10_000


def manuals() -> list[Text]:
    """Technical prose and code that come with Python: its help by topic, and the beginnings of its modules."""
    texts = [text[:4000] for _, text in sorted(topics.items())]
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        texts.extend((text[:2000], text[len(text) // 2 :][:1500]))
    return [Text(source="python", text=text, label=0, place="document") for text in texts]


def packages() -> list[Text]:
    """What the packages that this project is developed with say of themselves: the beginnings of their descriptions."""
    found = {}
    for one in metadata.distributions():
        text = (one.read_text("METADATA") or "").partition("\n\n")[2].strip()
        if len(text) > 300 and not one.name.startswith("governance"):
            found[one.name.lower()] = text[:3000]
    return [Text(source="packages", text=text, label=0, place="document") for _, text in sorted(found.items())]


def injection(folder: Path) -> list[Text]:
    """Prompts and documents of all sources that say something about instructions, with where each would come from."""
    found = []
    seen: set[tuple[str, str]] = set()

    def add(text: Text) -> None:
        key = (text.place, " ".join(text.text.lower().split()))
        if text.text.strip() and key not in seen:
            seen.add(key)
            found.append(text)

    for one in rows(folder, "injection"):
        document = one.source == "bipia_train" or one.meta.get("channel") in ("tool_output", "retrieved", "document")
        add(
            Text(
                source=one.source,
                text=one.text,
                label=one.label,
                meta=one.meta,
                place="document" if document else "prompt",
            )
        )
    for one in rows(folder, "hallucination_noctx"):
        # A question, and an answer to it: questions are ordinary prompts.
        add(Text(source=one.source, text=one.text, label=0))
    for one in rows(folder, "toxicity"):
        # What is asked about violence or hate is no attack on the instructions.
        if one.source == "xstest" or (one.source == "hatecheck" and chosen(one.text, 0.1)):
            add(Text(source=one.source, text=one.text, label=0))
    for one in rows(folder, "grounding"):
        if one.source == "halueval_qa":
            add(Text(source="halueval_questions", text=str(one.meta["question"]), label=0))
        add(Text(source=one.source, text=one.text, label=0, place="document"))
    for one in rows(folder, "pii"):
        if chosen(one.text, 0.5):
            add(Text(source=one.source, text=one.text, label=0, place="document" if len(one.text) > 100 else "prompt"))
    for one in (*manuals(), *packages()):
        add(one)
    return found
