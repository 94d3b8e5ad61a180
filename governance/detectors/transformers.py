"""`transformers`: text-classification models (Prompt Guard 2, PIGuard, ProtectAI v2 ...) from a local directory, in the
scanners' process and environment.

    detectors:
      guard:
        use: transformers
        models:
          - name: prompt-guard-2
            path: /srv/models/Llama-Prompt-Guard-2-86M
            labels: {LABEL_1: jailbreak}
            min_score: 0.5
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from governance.detectors.host import environment
from governance.detectors.host.process import Limits, release, share
from governance.detectors.host.scanning import READS, RECEIVED, Scanner, hosted
from governance.detectors.host.source import unpinned
from governance.detectors.interface import (
    CallDetector,
    Detector,
    DetectorDescription,
    DetectorKind,
    Fault,
    OptionDescription,
    Options,
    OptionValue,
    Surroundings,
    listed_problems,
    version_of,
)
from governance.detectors.llm_guard import weights_of
from governance.errors import BadInput

NAME = "transformers"
VERSION = "1"
MIN_SCORE = 0.5
TOKENS = 512
"""Of one window, at most: what these models were trained on."""
_KEYS = ("name", "path", "labels", "min_score", "reads", "tokens", "revision", "onnx")

DESCRIPTION = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="What a text-classification model of your own says of a text: injection, jailbreak, toxicity ...",
    categories=("what `labels` maps the model's labels to",),
    scope="content",
    options=(
        OptionDescription(
            name="models",
            kind="mappings",
            description="Models, each {name, path, labels: {label: category} ...}: see the page of the detector.",
            required=True,
        ),
    ),
    cost="high",
    selector="models",
)


def _specified(requests: Sequence[Options]) -> dict[str, dict[str, OptionValue]]:
    """Each model once, by name, with the lowest `min_score` asked for. Raises `BadInput` for two of one name."""
    found: dict[str, dict[str, OptionValue]] = {}
    for request in requests:
        models = request.get("models")
        for one in models if isinstance(models, list | tuple) else ():
            assert isinstance(one, Mapping)
            asked = {"min_score": MIN_SCORE, **one}
            key = str(asked["name"])
            known = found.setdefault(key, asked)
            if _but_score(known) != _but_score(asked):
                raise BadInput(f"The model {key} is configured twice.", advice="Give one of them another name.")
            scores = [value for value in (known["min_score"], asked["min_score"]) if isinstance(value, int | float)]
            found[key] = {**known, "min_score": min(scores)}
    return found


def _but_score(asked: Mapping[str, OptionValue]) -> str:
    rest = {name: value for name, value in asked.items() if name != "min_score"}
    return json.dumps(rest, sort_keys=True, default=list)


def problems(options: Options) -> list[Fault]:
    """What is wrong with the models of one request."""
    return listed_problems(options, "models", _wrong, _specified)


def _wrong(asked: Mapping[str, OptionValue]) -> Iterator[tuple[str, str]]:
    """Each mistake with the setting that it is about."""
    name = asked.get("name")
    if not isinstance(name, str) or not name:
        yield "name", "a model of 'transformers' needs a name, by which its findings go"
        return
    for key in asked:
        if key not in _KEYS:
            yield key, f"model {name!r} has no setting {key!r}; there are: {', '.join(_KEYS)}"
    if not isinstance(asked.get("path"), str) or not asked["path"]:
        yield "path", f"model {name!r} needs a path: a directory with config.json, tokenizer.json and weights"
    labels = asked.get("labels")
    categories = list(labels.values()) if isinstance(labels, Mapping) else []
    if not categories or not all(isinstance(one, str) and one for one in categories):
        yield "labels", f"model {name!r} needs labels: what its labels mean, as {{INJECTION: injection}}"
    score = asked.get("min_score", MIN_SCORE)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        yield "min_score", f"'min_score' of model {name!r} is a number from 0 to 1"
    tokens = asked.get("tokens", TOKENS)
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 8 <= tokens <= 8192:
        yield "tokens", f"'tokens' of model {name!r} is the length of a window, 8 to 8192"
    reads = asked.get("reads", [])
    if not isinstance(reads, list | tuple) or not set(map(str, reads)) <= set(READS):
        yield "reads", f"'reads' of model {name!r} names some of: {', '.join(READS)}"
    if not isinstance(asked.get("revision", ""), str):
        yield "revision", f"'revision' of model {name!r} is a string"
    if why := unpinned(str(asked.get("path", "")), str(asked.get("revision", ""))):
        yield "revision" if asked.get("revision") else "path", f"model {name!r} {why}"
    if not isinstance(asked.get("onnx", False), bool):
        yield "onnx", f"'onnx' of model {name!r} is true or false"


def _labels(asked: Mapping[str, OptionValue]) -> dict[str, str]:
    labels = asked["labels"]
    assert isinstance(labels, Mapping)
    return {str(label): str(category) for label, category in sorted(labels.items())}


def _scanner(key: str, asked: Mapping[str, OptionValue]) -> Scanner:
    reads, labels = asked.get("reads"), _labels(asked)
    return Scanner(
        key=key,
        category=next(iter(labels.values())),
        categories=tuple(labels.items()),
        reads=frozenset(map(str, reads)) if isinstance(reads, list | tuple) and reads else RECEIVED,
    )


def _told(asked: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    return {
        "path": str(asked["path"]),
        "labels": list(_labels(asked)),
        "min_score": asked["min_score"],
        "window": asked.get("tokens", TOKENS),
        "revision": str(asked.get("revision", "")),
        "onnx": bool(asked.get("onnx", False)),
    }


def build(requests: Sequence[Options], surroundings: Surroundings) -> Detector | CallDetector:
    """Raises `Misconfigured` where the scanners are not installed."""
    specified = _specified(requests)
    command = environment.command(surroundings.data_dir)
    assert surroundings.data_dir is not None
    told = {key: _told(asked) for key, asked in sorted(specified.items())}
    key, host = share(
        command,
        {"engine": "transformers", "scanners": told},
        environment=environment.variables(surroundings.data_dir, online=surroundings.scanners.online),
        limits=Limits(memory=surroundings.scanners.memory_mib << 20),
    )
    weights = {key: weights_of(str(one["path"])) for key, one in told.items()}
    scanners = [_scanner(key, asked) for key, asked in sorted(specified.items())]
    stated = [[one.key, sorted(one.reads), dict(one.categories)] for one in scanners]
    version = version_of(VERSION, environment.installed(surroundings.data_dir), told, weights, stated)
    return hosted(NAME, version, host, scanners, deadline=surroundings.deadline, release=partial(release, key))


KIND = DetectorKind(describe=lambda: DESCRIPTION, build=build, problems=problems)
