"""Files for `governance ingest`: OTLP, our own JSON lines, OpenAI and LiteLLM lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from governance.ingest.batch import Batch

FORMATS = ("auto", "otlp", "jsonl", "openai", "litellm")


def decode_file(source: Path | bytes, format: str = "auto", *, system: str = "", name: str = "") -> Iterator[Batch]:
    """Batches of one file, in order. `name` is what problems call it (default: the path). Problems are
    `file:line: what is wrong`; a bad line does not stop the others. BadInput when nothing of the file can be read."""
    raise NotImplementedError
