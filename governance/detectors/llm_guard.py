"""`llm_guard`: the scanners of the LLM Guard package, in a process and an environment of their own.

detectors:
  guard:
    use: llm_guard
    scanners:
      - {name: Toxicity, threshold: 0.7, model: /srv/models/unbiased-toxic-roberta}
      - {name: BanSubstrings, substrings: [Project Falcon], match_type: word}
      - {name: NoRefusalLight}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

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
from governance.errors import BadInput

NAME = "llm_guard"
VERSION = "1"

_BOTH = (
    "BanCode", "BanCompetitors", "BanSubstrings", "BanTopics", "Code", "Gibberish", "Language", "Regex", "Sentiment",
    "Toxicity",
)  # fmt: skip
INPUT = (*_BOTH, "Anonymize", "InvisibleText", "PromptInjection", "Secrets", "TokenLimit")
OUTPUT = (
    *_BOTH, "Bias", "FactualConsistency", "JSON", "LanguageSame", "MaliciousURLs", "NoRefusal", "NoRefusalLight",
    "ReadingTime", "Relevance", "Sensitive", "URLReachability",
)  # fmt: skip
SCANNERS = tuple(sorted({*INPUT, *OUTPUT}))
WITHOUT_WEIGHTS = ("BanSubstrings", "InvisibleText", "JSON", "NoRefusalLight", "ReadingTime", "Regex", "Secrets")
"""Those that need no model, no word list and no network."""
_CATEGORIES = {
    "Anonymize": "pii",
    "BanCode": "code",
    "BanCompetitors": "competitor",
    "BanTopics": "topic",
    "Bias": "bias",
    "Code": "code",
    "FactualConsistency": "ungrounded",
    "Gibberish": "gibberish",
    "InvisibleText": "invisible_text",
    "JSON": "invalid_json",
    "Language": "language",
    "LanguageSame": "language",
    "MaliciousURLs": "malicious_url",
    "NoRefusal": "refusal",
    "NoRefusalLight": "refusal",
    "PromptInjection": "injection",
    "ReadingTime": "length",
    "Relevance": "irrelevant",
    "Secrets": "secret",
    "Sensitive": "pii",
    "Sentiment": "sentiment",
    "TokenLimit": "length",
    "Toxicity": "toxicity",
    "URLReachability": "unreachable_url",
}
_PLACELESS = ("Anonymize", "Secrets", "Sensitive")
"""Redaction hides what findings of these categories cover. These scanners miss repetitions and mask too much between:
what they find is stated, and hiding it is left to detectors that say each place."""
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "Anonymize": (
        "threshold", "hidden_names", "allowed_names", "entity_types", "preamble", "regex_patterns", "use_faker",
        "recognizer_conf", "language",
    ),
    "BanCode": ("threshold",),
    "BanCompetitors": ("competitors!", "threshold", "redact"),
    "BanSubstrings": ("substrings!", "match_type", "case_sensitive", "redact", "contains_all"),
    "BanTopics": ("topics!", "threshold"),
    "Bias": ("threshold", "match_type"),
    "Code": ("languages!", "is_blocked", "threshold"),
    "FactualConsistency": ("minimum_score",),
    "Gibberish": ("threshold", "match_type"),
    "InvisibleText": (),
    "JSON": ("required_elements", "repair"),
    "Language": ("valid_languages!", "threshold", "match_type"),
    "LanguageSame": ("threshold",),
    "MaliciousURLs": ("threshold",),
    "NoRefusal": ("threshold", "match_type"),
    "NoRefusalLight": (),
    "PromptInjection": ("threshold", "match_type"),
    "ReadingTime": ("max_time!", "truncate"),
    "Regex": ("patterns!", "is_blocked", "match_type", "redact"),
    "Relevance": ("threshold",),
    "Secrets": ("redact_mode",),
    "Sensitive": ("threshold", "entity_types", "regex_patterns", "redact", "recognizer_conf"),
    "Sentiment": ("threshold", "lexicon"),
    "TokenLimit": ("limit", "encoding_name", "model_name"),
    "Toxicity": ("threshold", "match_type"),
    "URLReachability": ("success_status_codes", "timeout"),
}  # fmt: skip
"""What each scanner of version 0.3.16 can be told beside its model; an exclamation mark: it must be."""
MODELLESS = (*WITHOUT_WEIGHTS, "Sentiment", "TokenLimit", "URLReachability")
_OURS = ("name", "as", "direction", "reads", "model", "revision", "onnx")

DESCRIPTION = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="What LLM Guard's scanners object to, on either side of a model: injection, toxicity, topics, language ...",
    categories=tuple(sorted({*_CATEGORIES.values(), "banned"})),
    scope="content and call",
    options=(
        OptionDescription(
            name="scanners",
            kind="mappings",
            description="Scanners, each {name, threshold, model ...}: see the page of the detector.",
            required=True,
        ),
    ),
    cost="high",
    selector="scanners",
)


def _specified(requests: Sequence[Options]) -> dict[str, dict[str, OptionValue]]:
    """Each scanner that is asked for once, by the name under which its findings go. Of two that differ in their
    threshold only, the lowest is taken. Raises `BadInput` for two that differ in more."""
    found: dict[str, dict[str, OptionValue]] = {}
    for request in requests:
        scanners = request.get("scanners")
        for one in scanners if isinstance(scanners, list | tuple) else ():
            assert isinstance(one, Mapping)
            asked = dict(one)
            key = str(asked.get("as") or asked["name"])
            known = found.setdefault(key, asked)
            if _but_threshold(known) != _but_threshold(asked):
                raise BadInput(f"The scanner {key} is configured twice.", advice="Name one of them with `as`.")
            limits = [value for value in (known.get("threshold"), asked.get("threshold")) if isinstance(value, float)]
            if limits:
                found[key] = {**known, "threshold": min(limits)}
    return found


def _but_threshold(asked: Mapping[str, OptionValue]) -> str:
    rest = {name: value for name, value in asked.items() if name != "threshold"}
    return json.dumps([rest, "threshold" in asked], sort_keys=True, default=list)


def _direction(asked: Mapping[str, OptionValue]) -> str:
    return str(asked.get("direction") or ("input" if asked["name"] in INPUT else "output"))


def problems(options: Options) -> list[Fault]:
    """What is wrong with the scanners of one request."""
    return listed_problems(options, "scanners", _wrong, _specified)


def _wrong(asked: Mapping[str, OptionValue]) -> Iterator[tuple[str, str]]:
    """Each mistake with the setting that it is about."""
    name = asked.get("name")
    if name == "Deanonymize":
        yield "name", "scanner 'Deanonymize' changes answers and states nothing; leave it out"
        return
    if name not in SCANNERS:
        yield "name", f"{name!r} is not a scanner of 'llm_guard'; there are: {', '.join(SCANNERS)}"
        return
    sides = [side for side, names in (("input", INPUT), ("output", OUTPUT)) if name in names]
    if _direction(asked) not in sides:
        yield "direction", f"scanner {name!r} has the direction {' or '.join(sides)}"
    reads = asked.get("reads", [])
    if not isinstance(reads, list | tuple) or not set(map(str, reads)) <= set(READS):
        yield "reads", f"'reads' of scanner {name!r} names some of: {', '.join(READS)}"
    elif reads and _direction(asked) == "output":
        yield "reads", f"scanner {name!r} with direction output looks at answers; leave out 'reads'"
    for key in ("as", "model", "revision"):
        if not isinstance(asked.get(key, ""), str):
            yield key, f"{key!r} of scanner {name!r} is a string"
    if why := unpinned(str(asked.get("model", "")), str(asked.get("revision", ""))):
        yield "revision" if asked.get("revision") else "model", f"the model of scanner {name!r} {why}"
    if not isinstance(asked.get("onnx", False), bool):
        yield "onnx", f"'onnx' of scanner {name!r} is true or false"
    given = [key for key in ("model", "revision", "onnx") if asked.get(key)]
    if given and name in MODELLESS:
        yield given[0], f"scanner {name!r} takes no model"
    known = [key.rstrip("!") for key in OPTIONS[str(name)]]
    for key in asked:
        if key not in known and key not in _OURS:
            there = ", ".join((*known, *_OURS))
            yield key, f"scanner {name!r} has no setting {key!r}; there are: {there}"
    for key in (key.rstrip("!") for key in OPTIONS[str(name)] if key.endswith("!")):
        if key not in asked:
            yield "name", f"scanner {name!r} needs {key!r}"
    threshold = asked.get("threshold")
    if "threshold" in asked and (isinstance(threshold, bool) or not isinstance(threshold, int | float)):
        yield "threshold", f"'threshold' of scanner {name!r} is a number"


def _scanner(key: str, asked: Mapping[str, OptionValue]) -> Scanner:
    name = str(asked["name"])
    reads = asked.get("reads")
    return Scanner(
        key=key,
        category=_CATEGORIES.get(name, "banned"),
        side="content" if _direction(asked) == "input" else "answer",
        reads=frozenset(map(str, reads)) if isinstance(reads, list | tuple) and reads else RECEIVED,
        places=name not in _PLACELESS,
    )


def _told(asked: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """What the host is told of a scanner; what is not ours goes to the scanner as it stands."""
    return {
        "name": str(asked["name"]),
        "direction": _direction(asked),
        "options": {name: value for name, value in asked.items() if name not in _OURS},
        "model": str(asked.get("model", "")),
        "revision": str(asked.get("revision", "")),
        "onnx": bool(asked.get("onnx", False)),
    }


def build(requests: Sequence[Options], surroundings: Surroundings) -> Detector | CallDetector:
    """Raises `Misconfigured` where the scanners are not installed."""
    specified = _specified(requests)
    for asked in specified.values():
        if asked["name"] == "URLReachability" and not surroundings.scanners.online:
            raise BadInput("URLReachability opens addresses that a model wrote; GOVERNANCE_SCANNERS_ONLINE is not set.")
    command = environment.command(surroundings.data_dir)
    assert surroundings.data_dir is not None
    told = {key: _told(asked) for key, asked in sorted(specified.items())}
    deadline = surroundings.deadline
    key, host = share(
        command,
        {"engine": "llm_guard", "scanners": told},
        environment=environment.variables(surroundings.data_dir, online=surroundings.scanners.online),
        limits=Limits(memory=surroundings.scanners.memory_mib << 20),
    )
    weights = {key: weights_of(str(one["model"])) for key, one in told.items()}
    scanners = [_scanner(key, asked) for key, asked in sorted(specified.items())]
    placed = [[one.key, sorted(one.reads)] for one in scanners]
    version = version_of(VERSION, environment.installed(surroundings.data_dir), told, weights, placed)
    return hosted(NAME, version, host, scanners, deadline=deadline, release=partial(release, key))


def weights_of(path: str) -> list[list[str | int]]:
    """What tells one state of a model directory from another: names, sizes and times; nothing for a name on a hub."""
    folder = Path(path)
    if not path or not folder.is_dir():
        return []
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [[str(file.relative_to(folder)), (stat := file.stat()).st_size, stat.st_mtime_ns] for file in files[:200]]


KIND = DetectorKind(describe=lambda: DESCRIPTION, build=build, problems=problems)
