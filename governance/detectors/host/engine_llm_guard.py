"""LLM Guard's scanners, in the scanner host (see `program`)."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Items = list[tuple[str, str]]
Scan = Callable[[Items], list[dict[str, Any]]]

_READS = {
    "BanCode": {"CODE"},
    "Bias": {"BIASED"},
    "Gibberish": {"word salad", "noise", "mild gibberish"},
    "MaliciousURLs": {"defacement", "phishing", "malware"},
    "NoRefusal": {"REJECTION"},
    "PromptInjection": {"INJECTION"},
    "Toxicity": {
        "toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit",
    },
}  # fmt: skip
"""Labels of a model that the scanner's code looks for: with a model that has none of them it would never object."""
_CUT = {*_READS, "BanTopics", "Language"}
"""Scanners whose models see the beginning of a text only: they are given it piece by piece."""
_RESERVED = 48
"""Tokens left for what the model's tokenizer, and the sentence of a topic, add."""
_SHARED = 32
"""Tokens that neighbouring pieces share."""


def load(specifications: dict[str, dict[str, Any]]) -> tuple[dict[str, Scan], dict[str, str], dict[str, str]]:
    """Scanners by key, why each of the others is not there, and the versions of what runs here."""
    from llm_guard.util import configure_logger

    # The scanners' messages quote what they found.
    configure_logger("CRITICAL", stream=Path(os.devnull).open("w"))  # noqa: SIM115
    logging.disable(logging.CRITICAL)
    scanners: dict[str, Scan] = {}
    missing: dict[str, str] = {}
    for key, specification in specifications.items():
        try:
            scanners[key] = _scanner(**specification)
        except Exception as error:
            missing[key] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    names = ("llm-guard", "torch", "transformers")
    return scanners, missing, {name: importlib.metadata.version(name) for name in names}


def _scanner(
    *, name: str, direction: str, options: dict[str, Any], model: str = "", revision: str = "", onnx: bool = False
) -> Scan:
    from llm_guard import input_scanners, output_scanners

    kind = getattr(input_scanners if direction == "input" else output_scanners, name)
    accepted = inspect.signature(kind.__init__).parameters
    given = dict(options)
    if "redact" in accepted:
        given.setdefault("redact", True)  # what is redacted tells where it was
    if "vault" in accepted:
        from llm_guard.vault import Vault

        given["vault"] = Vault()
    if onnx:
        from llm_guard.transformers_helpers import is_onnx_supported

        if "use_onnx" not in accepted or not is_onnx_supported():
            raise ValueError("ONNX cannot be used for it here")
        given["use_onnx"] = True
    if model:
        if "model" in accepted:
            given["model"] = _model(_usual_model(kind), model, revision)
        elif "recognizer_conf" in accepted:
            usual = _usual_recognizer(kind)
            given["recognizer_conf"] = {**usual, "DEFAULT_MODEL": _model(usual["DEFAULT_MODEL"], model, revision)}
        else:
            raise ValueError(f"{name} takes no model")
    made = kind(**given)
    _check_labels(name, made)
    threshold = given.get("threshold", accepted["threshold"].default if "threshold" in accepted else None)

    cut = _cutter(made) if name in _CUT else _whole

    def scan(items: Items) -> list[dict[str, Any]]:
        return [_all(made, direction, threshold, cut(text), prompt) for text, prompt in items]

    return scan


def _whole(text: str) -> list[tuple[int, str]]:
    return [(0, text)]


def _all(made: Any, direction: str, threshold: object, pieces: list[tuple[int, str]], prompt: str) -> dict[str, Any]:
    """What is found in the pieces of a text, each with where it begins."""
    found: list[dict[str, Any]] = []
    for begins, piece in pieces:
        said = _one(made, direction, threshold, piece, prompt)
        if "error" in said:
            return said
        for one in said["found"]:
            found.append({**one, "start": begins + one["start"], "end": begins + one["end"]})
    return {"found": found}


def _one(made: Any, direction: str, threshold: object, text: str, prompt: str) -> dict[str, Any]:
    try:
        left, valid, risk = made.scan(text) if direction == "input" else made.scan(prompt, text)
    except Exception as error:
        return {"error": type(error).__name__}
    finally:
        vault = getattr(made, "_vault", None)
        if vault is not None:
            vault.get().clear()  # it would keep every text's personal data for ever
    if valid:
        return {"found": []}
    start, end = _changed(text, left)
    return {"found": [{"score": _score(risk, threshold), "start": start, "end": end, "data": {"risk": float(risk)}}]}


def _score(risk: float, threshold: object) -> float:
    """What the scanner measured: its risk counts from the threshold (0) to certainty (1)."""
    risk = max(0.0, min(1.0, float(risk)))
    if isinstance(threshold, int | float) and 0 < threshold < 1:
        return round(threshold + risk * (1 - threshold), 4)
    return risk or 1.0


def _changed(text: str, left: object) -> tuple[int, int]:
    """From the first to the last character that the scanner would change; the whole text where it changes none."""
    if not isinstance(left, str) or left == text:
        return 0, len(text)
    shortest = min(len(text), len(left))
    start = next((at for at in range(shortest) if text[at] != left[at]), shortest)
    end = next((at for at in range(shortest - start) if text[-1 - at] != left[-1 - at]), shortest - start)
    return (start, len(text) - end) if start < len(text) - end else (0, len(text))


def _model(usual: Any, path: str, revision: str) -> Any:
    """The scanner's own model, its settings kept, with weights from elsewhere: a directory, or a name on the hub."""
    folder = Path(path)
    if not (folder.is_absolute() or path.startswith((".", "~")) or folder.is_dir()):
        return dataclasses.replace(
            usual, path=path, revision=revision or None, onnx_path=path, onnx_revision=revision or None
        )
    if not (folder / "config.json").is_file():
        raise ValueError(f"{path} is not a model directory: it has no config.json")
    below = "onnx" if (folder / "onnx").is_dir() else ""
    pipeline = dict(usual.pipeline_kwargs)
    reads = json.loads((folder / "config.json").read_text()).get("max_position_embeddings")
    if isinstance(reads, int) and isinstance(pipeline.get("max_length"), int):
        pipeline["max_length"] = min(pipeline["max_length"], reads)
    return dataclasses.replace(
        usual,
        path=path,
        subfolder="",
        revision=None,
        onnx_path=path,
        onnx_revision=None,
        onnx_subfolder=below,
        pipeline_kwargs=pipeline,
    )


def _named(kind: type) -> Iterator[Any]:
    """What the constructor names, in its module."""
    known = kind.__init__.__globals__  # type: ignore[misc]
    code = kind.__init__.__code__  # type: ignore[misc]
    return (known[name] for name in code.co_names if name in known)


def _usual_model(kind: type) -> Any:
    """The model that a scanner takes by itself: named by its constructor, or by that of the scanner it wraps."""
    from llm_guard.model import Model

    named = list(_named(kind))
    for value in named:
        if isinstance(value, Model):
            return value
    for value in named:
        if isinstance(value, type) and value is not kind and hasattr(value, "scan"):
            return _usual_model(value)
    raise ValueError("its own model is not known")


def _usual_recognizer(kind: type) -> dict[str, Any]:
    for value in _named(kind):
        if isinstance(value, dict) and "DEFAULT_MODEL" in value:
            return value
    raise ValueError("its own model is not known")


def _check_labels(name: str, made: Any) -> None:
    reads = _READS.get(name)
    for pipeline in _pipelines(made):
        labels = getattr(pipeline.model.config, "id2label", None)
        if reads and labels and not reads.intersection(labels.values()):
            shown = ", ".join(sorted(map(str, labels.values()))[:5])
            known = ", ".join(sorted(reads))
            raise ValueError(f"the model's labels ({shown}) are none that {name} reads ({known})")


def _pipelines(made: Any) -> Iterator[Any]:
    """The models that a scanner holds, or the scanner that it wraps."""
    for holder in (made, *(value for value in vars(made).values() if hasattr(value, "scan"))):
        yield from (one for one in vars(holder).values() if hasattr(one, "model") and hasattr(one, "tokenizer"))


def _cutter(made: Any) -> Callable[[str], list[tuple[int, str]]]:
    """Cuts a text into pieces that the scanner's model reads to their end: by its own tokens, where its tokenizer says
    where they are, else one character a token, which is never too long."""
    pipeline = next(_pipelines(made))
    tokenizer = pipeline.tokenizer
    stated = pipeline._preprocess_params.get("max_length") or tokenizer.model_max_length
    reads = max(8, min(int(stated), int(tokenizer.model_max_length)))
    longest = reads - min(_RESERVED, reads // 4)
    shared = min(_SHARED, longest // 4)

    def cut(text: str) -> list[tuple[int, str]]:
        if len(text) <= longest:
            return [(0, text)]
        if tokenizer.is_fast:
            tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False)
            ends = [place for place in tokens["offset_mapping"] if place[1] > place[0]]
        else:
            ends = [(at, at + 1) for at in range(len(text))]
        if len(ends) <= longest:
            return [(0, text)]
        pieces = []
        for first in range(0, len(ends) - shared, longest - shared):
            some = ends[first : first + longest]
            pieces.append((some[0][0], text[some[0][0] : some[-1][1]]))
        return pieces

    return cut
