"""Text-classification models of Hugging Face's transformers, in the scanner host (see `program`)."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Items = list[tuple[str, str]]
Scan = Callable[[Items], list[dict[str, Any]]]

WINDOWS_AT_ONCE = 16
MOST_WINDOWS = 512
"""Of one text; a longer text is an error, not half examined."""


def load(specifications: dict[str, dict[str, Any]]) -> tuple[dict[str, Scan], dict[str, str], dict[str, str]]:
    """Classifiers by key, why each of the others is not there, and the versions of what runs here."""
    scanners: dict[str, Scan] = {}
    missing: dict[str, str] = {}
    for key, specification in specifications.items():
        try:
            scanners[key] = _classifier(**specification)
        except Exception as error:
            missing[key] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return scanners, missing, {name: importlib.metadata.version(name) for name in ("torch", "transformers")}


def _classifier(
    *, path: str, labels: list[str], min_score: float, window: int, revision: str = "", onnx: bool = False
) -> Scan:
    import torch
    import transformers

    folder = Path(path)
    if (folder.is_absolute() or path.startswith((".", "~"))) and not (folder / "config.json").is_file():
        raise ValueError(f"{path} is not a model directory: it has no config.json")
    where: dict[str, Any] = {
        "revision": revision or None,
        "local_files_only": folder.is_dir() or os.environ.get("HF_HUB_OFFLINE") == "1",
        "trust_remote_code": False,
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, use_fast=True, **where)
    if not tokenizer.is_fast:
        raise ValueError("its tokenizer gives no places in the text (tokenizer.json is missing)")
    if onnx:
        from optimum.onnxruntime import ORTModelForSequenceClassification

        below = "onnx" if (folder / "onnx").is_dir() else ""
        model: Any = ORTModelForSequenceClassification.from_pretrained(path, subfolder=below, **where)
    else:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(path, **where)
        model.eval()
    names = [str(model.config.id2label[number]) for number in sorted(model.config.id2label)]
    unknown = [label for label in labels if label not in names]
    if unknown:
        raise ValueError(f"the model has no label {', '.join(unknown)}; there are: {', '.join(names)}")
    several = getattr(model.config, "problem_type", None) == "multi_label_classification"
    takes = set(tokenizer.model_input_names)
    longest = min(int(window), int(tokenizer.model_max_length))
    wanted = [(names.index(label), label) for label in labels]

    def scan(items: Items) -> list[dict[str, Any]]:
        best: list[dict[str, tuple[float, int, int]]] = [{} for _ in items]
        errors: dict[int, str] = {}
        windows: list[tuple[int, int, int, dict[str, list[int]]]] = []
        for number, (text, _) in enumerate(items):
            encoded = tokenizer(
                text,
                truncation=True,
                max_length=longest,
                stride=min(64, longest // 4),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            if len(encoded["input_ids"]) > MOST_WINDOWS:
                errors[number] = "TooLong"
                continue
            for at, places in enumerate(encoded["offset_mapping"]):
                inside = [place for place in places if place[1] > place[0]]
                start, end = (inside[0][0], inside[-1][1]) if inside else (0, len(text))
                windows.append((number, start, end, {name: encoded[name][at] for name in takes if name in encoded}))
        windows.sort(key=lambda one: len(one[3]["input_ids"]))  # little padding
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            some = windows[first : first + WINDOWS_AT_ONCE]
            batch = tokenizer.pad([one[3] for one in some], padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = model(**batch).logits
            scores = (torch.sigmoid(logits) if several else torch.softmax(logits, dim=-1)).tolist()
            for (number, start, end, _), row in zip(some, scores, strict=True):
                for place, label in wanted:
                    if row[place] > best[number].get(label, (-1.0, 0, 0))[0]:
                        best[number][label] = (row[place], start, end)
        return [
            {"error": errors[number]}
            if number in errors
            else {
                "found": [
                    {"score": round(score, 4), "start": start, "end": end, "label": label, "data": {}}
                    for label, (score, start, end) in sorted(found.items())
                    if score >= min_score
                ]
            }
            for number, found in enumerate(best)
        ]

    return scan
