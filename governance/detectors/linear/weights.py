"""Heads in a file: a line that says what it is, a JSON header with a checksum, int8 weights. Nothing in it runs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from governance.detectors.linear.features import CHARACTERS, PAIRS, WORDS
from governance.detectors.linear.head import Head
from governance.errors import GovernanceError

FORMAT = 1
"""Raised whenever features, hashes or the layout change, so that old weights are refused instead of misread."""
_MAGIC = b"governance linear heads\n"
_HEADER_LIMIT = 1 << 20
_KINDS = (("characters", CHARACTERS), ("words", WORDS), ("classes", PAIRS))


class BadWeights(GovernanceError):
    """A file that contains no weights for this version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Heads by name, and what was written beside them. `digest` is the SHA-256 of the file, in hex."""

    heads: Mapping[str, Head]
    notes: Mapping[str, str]
    digest: str


def packaged(name: str) -> Path:
    """Where the weights of that name are in this installation."""
    return Path(__file__).parent / f"{name}.weights"


def save(path: Path, heads: Sequence[Head], notes: Mapping[str, str]) -> None:
    """Writes heads to a file; the same heads and notes give the same bytes."""
    body = b"".join(getattr(head, kind).tobytes() for head in heads for kind, _ in _KINDS)
    header = {
        "format": FORMAT,
        "sha256": hashlib.sha256(body).hexdigest(),
        "heads": [
            {
                "name": head.name,
                "scales": head.scales,
                "intercept": head.intercept,
                "handicaps": head.handicaps,
                "slope": head.slope,
                "offset": head.offset,
            }
            for head in heads
        ],
        "notes": dict(notes),
    }
    line = json.dumps(header, sort_keys=True, ensure_ascii=True).encode() + b"\n"
    path.write_bytes(_MAGIC + line + body)


def load(path: Path) -> Weights:
    """The heads of a file. Raises `BadWeights`, saying what is wrong, for anything but a whole file of this format."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadWeights(f"The weights {path.name} cannot be read: {error.strerror}.") from None
    if not data.startswith(_MAGIC):
        raise BadWeights(f"{path.name} is not a weights file.")
    end = data.find(b"\n", len(_MAGIC), len(_MAGIC) + _HEADER_LIMIT)
    try:
        header = json.loads(data[len(_MAGIC) : max(end, 0)])
        version = header["format"]
        described = [_described(one) for one in header["heads"]]
        checksum, notes = str(header["sha256"]), {str(name): str(note) for name, note in header["notes"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadWeights(f"{path.name} has a damaged header.") from None
    if version != FORMAT:
        raise BadWeights(f"{path.name} has format {version!r}; this version reads format {FORMAT}.")
    body = data[end + 1 :]
    size = sum(count for _, count in _KINDS)
    if len(body) != size * len(described):
        raise BadWeights(f"{path.name} contains {len(body)} weights; {size * len(described)} are expected.")
    if hashlib.sha256(body).hexdigest() != checksum:
        raise BadWeights(f"{path.name} is damaged: its checksum does not fit.")
    heads = {one.name: _head(one, body[number * size : (number + 1) * size]) for number, one in enumerate(described)}
    return Weights(heads=heads, notes=notes, digest=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Described:
    """A head's numbers in the header."""

    name: str
    scales: tuple[float, float, float]
    handicaps: tuple[float, float]
    intercept: float
    slope: float
    offset: float


def _described(stated: Mapping[str, Any]) -> _Described:
    characters, words, classes = (float(one) for one in stated["scales"])
    whole, stretch = (float(one) for one in stated["handicaps"])
    numbers = [float(stated[name]) for name in ("intercept", "slope", "offset")]
    if not all(map(math.isfinite, (characters, words, classes, whole, stretch, *numbers))):
        raise ValueError("not finite")
    return _Described(
        name=str(stated["name"]),
        scales=(characters, words, classes),
        handicaps=(whole, stretch),
        intercept=numbers[0],
        slope=numbers[1],
        offset=numbers[2],
    )


def _head(described: _Described, body: bytes) -> Head:
    arrays = []
    at = 0
    for _, count in _KINDS:
        arrays.append(np.frombuffer(body, dtype=np.int8, count=count, offset=at))
        at += count
    return Head(
        name=described.name,
        characters=arrays[0],
        words=arrays[1],
        classes=arrays[2],
        scales=described.scales,
        intercept=described.intercept,
        handicaps=described.handicaps,
        slope=described.slope,
        offset=described.offset,
    )
