"""Labelled sets: `task.source.jsonl.gz`, one JSON object a line with `text`, `label` (1: holds what the task is about)
and `meta`. The sets are not in this repository."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.domain.calls import Call
from governance.engine.request import call_from


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A labelled text. `meta`: of personal data `spans` ([type, start, end]), of grounding `claim` and `question`."""

    source: str
    text: str
    bad: bool
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_document(self) -> bool:
        """Whether it would reach a model as a document or a tool's result, not as a prompt."""
        return self.source.startswith("bipia") or self.meta.get("channel") in ("tool_output", "retrieved", "document")


def sources(folder: Path, task: str) -> dict[str, list[Text]]:
    """The texts of a task by source, in the order of the files' names."""
    found: dict[str, list[Text]] = {}
    for path in sorted(folder.glob(f"{task}.*.jsonl.gz")):
        name = path.name.split(".")[1]
        found[name] = [
            Text(source=name, text=row["text"], bad=bool(row["label"]), meta=row.get("meta") or {})
            for row in _rows(path)
        ]
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def call(task: str, one: Text) -> Call:
    """The call in which such a text would be met: asked, retrieved, or answered from its evidence."""
    if task == "grounding":
        return call_from(
            {
                "system": "bench",
                "input": str(one.meta.get("question") or "Please summarise the document."),
                "documents": [one.text],
                "output": str(one.meta["claim"]),
                "user": {"role": "customer"},
            }
        )
    if one.is_document:
        return call_from({"system": "bench", "input": "Please summarise the document.", "documents": [one.text]})
    return call_from({"system": "bench", "input": one.text, "user": {"role": "customer"}})
