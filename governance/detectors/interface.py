"""What a detector is: something that states facts. Two shapes, by what they look at, how a policy asks for one, and how
one is described and made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.findings import Finding
from governance.errors import BadInput

OptionValue: TypeAlias = "str | int | float | bool | Sequence[OptionValue] | Mapping[str, OptionValue] | None"


@runtime_checkable
class Detector(Protocol):
    """States facts about one content item, whatever call it is in.

    Findings have `part` None and offsets in code points of `content.text`. The same content always gives the same
    findings: they are stored once, and read by every call that refers to the content. Raises when it cannot tell.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the same content could give other findings: with code, options and packs."""
        ...

    def examine(self, content: Content) -> Sequence[Finding]: ...


@runtime_checkable
class Divisible(Protocol):
    """A content detector made of units that know nothing of each other, so that one which changes leaves what the
    others found as it was.

    `units` gives each unit's version by the `pack` that its findings carry. `part` is a detector that gives exactly
    what the whole one gives of these units.
    """

    @property
    def units(self) -> Mapping[str, str]: ...

    def part(self, units: frozenset[str]) -> Detector: ...


@runtime_checkable
class CallDetector(Protocol):
    """States facts about a call as a whole (`part` None), or about one of its parts (`part` and `index` set)."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]: ...


Outcome: TypeAlias = "Sequence[Finding] | Exception"
"""What a batch says of one of its subjects: its findings, or why it could not tell. One's failure is not another's."""


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A content detector that is faster over many items at once."""

    def examine_many(self, contents: Sequence[Content]) -> Sequence[Outcome]:
        """One outcome an item, in order. Raises when it can tell of none of them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSubject:
    """A call to examine; `flagged` says that something was found in its content."""

    call: Call
    parts: Sequence[Part]
    flagged: bool = False


@runtime_checkable
class BatchCallDetector(CallDetector, Protocol):
    """A call detector that is faster over many calls at once."""

    def examine_calls(self, subjects: Sequence[CallSubject]) -> Sequence[Outcome]:
        """One outcome a call, in order. Raises when it can tell of none of them."""
        ...


Options: TypeAlias = Mapping[str, OptionValue]


@dataclass(frozen=True, kw_only=True)
class DetectorUse:
    """What a policy asks for: a registered detector by name, with options (for `patterns`: `packs`)."""

    name: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptionDescription:
    """An option of a detector. `kind` says what its value is; `choices` closes it."""

    name: str
    kind: Literal["string", "number", "integer", "boolean", "strings", "mapping", "mappings"]
    description: str
    default: OptionValue = None
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How a detector fares that depends on something outside it (a process, a service).

    `state` is idle (it starts when it is first asked), loading, ready or failed; `detail` says why, in our own words.
    """

    state: Literal["idle", "loading", "ready", "failed"]
    detail: str = ""
    restarts: int = 0
    milliseconds: float = 0.0


@runtime_checkable
class Watched(Protocol):
    """A detector that depends on something outside it. `prepare` begins to make it ready, and does not wait."""

    @property
    def condition(self) -> Condition: ...

    def prepare(self) -> None: ...

    def close(self) -> None: ...


Cost: TypeAlias = Literal["low", "medium", "high"]
"""Of one text of 2 KB: low is under a millisecond, medium under 50, high is more, or money."""


@dataclass(frozen=True, kw_only=True)
class DetectorDescription:
    """What `governance detectors list`, the console and lint say about a detector.

    `selector` names the option whose values stand in `Finding.pack`: a policy that gives it reads those findings only.
    What costs more than `low` also takes the options of `ATTENTION`. `deadline` is in seconds, for one batch or, of a
    detector without batches, for one text or call; None: the detector's own code is bounded.
    """

    name: str
    version: str
    offline: bool
    finds: str
    categories: tuple[str, ...]
    scope: str  # "content" or "call"
    options: tuple[OptionDescription, ...] = ()
    cost: Cost = "low"
    selector: str = ""
    deadline: float | None = None


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What a detector looks at: everything, or what other detectors found something in and a sample of the rest.

    A detector that is `late` runs after the cheap ones, whose findings are what flags. `sample` is a share from 0 to 1;
    chosen by digest, so the same content is always chosen or never. `deadline` is as `DetectorDescription` says it.
    """

    on: Literal["always", "flagged"] = "always"
    late: bool = False
    sample: float = 0.0
    deadline: float | None = None

    def takes(self, digest: Callable[[], bytes], *, flagged: bool) -> bool:
        """Whether it is to look; `digest` gives at least 8 bytes that stand for the subject."""
        if flagged or self.on == "always":
            return True
        return self.sample > 0 and int.from_bytes(digest()[:8], "big") < self.sample * 2**64


ATTENTION = (
    OptionDescription(
        name="on",
        kind="string",
        description="What it looks at: always, or what cheap detectors found something in (flagged).",
        choices=("always", "flagged"),
    ),
    OptionDescription(
        name="sample",
        kind="number",
        description="The share of everything else that it looks at too, 0 to 1.",
        default=0,
    ),
    OptionDescription(
        name="deadline", kind="number", description="Seconds after which a batch of texts counts as failed."
    ),
)
"""Options of every detector that costs more than `low`. `high` ones look at what is flagged unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class ScannerLimits:
    """What a scanner process may take: `memory_mib` resident (0: no limit); `online` lets it reach a model hub."""

    memory_mib: int = 4096
    online: bool = False


@dataclass(frozen=True, kw_only=True)
class JudgeEndpoint:
    """An OpenAI-compatible service that judges; `url` is its base, "" for none. Of a budget, 0 is no limit."""

    url: str = ""
    key: str = field(default="", repr=False)
    model: str = ""
    timeout: float = 20.0
    calls_a_day: int = 1_000
    tokens_a_day: int = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the installation holds for detectors, beside what policies say.

    `access_policies` is the folder with `data.cedar` and `data.cedarschema`; `access_texts`, a policy set's own such
    files (text by name, as `access/data.cedar`), come before it. `data_dir` is the data directory, where
    scanners and weights are installed; None where there is none. `built` are the detectors made before this one.
    `deadline` is the policies' own for this detector, in seconds, for one that keeps its time itself (`keeps_time`).
    """

    access_policies: Path | None = None
    access_texts: Mapping[str, str] = field(default_factory=dict)
    data_dir: Path | None = None
    scanners: ScannerLimits = ScannerLimits()
    judge: JudgeEndpoint = JudgeEndpoint()
    deadline: float | None = None
    built: Mapping[str, Detector | CallDetector] = field(default_factory=dict)


class Fault(str):
    """What is wrong with a request, in words; `path` says where in its options: keys, and numbers of items."""

    __slots__ = ("path",)

    path: tuple[str | int, ...]

    def __new__(cls, message: str, *path: str | int) -> Fault:
        fault = super().__new__(cls, message)
        fault.path = path
        return fault


def listed_problems(
    options: Options,
    name: str,
    wrong: Callable[[Mapping[str, OptionValue]], Iterable[tuple[str, str]]],
    gathered: Callable[[Sequence[Options]], object],
) -> list[Fault]:
    """What is wrong with the items that the option `name` lists. `wrong` names each item's mistakes, with the setting
    that they are about; where there is none, `gathered` raises `BadInput` for what does not fit together."""
    items = options.get(name)
    found: list[Fault] = []
    for number, one in enumerate(items if isinstance(items, list | tuple) else ()):
        found += [Fault(said, name, number, key) for key, said in wrong(one if isinstance(one, Mapping) else {})]
    if not found:
        try:
            gathered([options])
        except BadInput as error:
            found.append(Fault(str(error), name))
    return found


def no_problems(options: Options) -> Sequence[str]:
    """For a kind whose description says all that can be wrong with its options."""
    return []


@dataclass(frozen=True, kw_only=True)
class DetectorKind:
    """A detector as the registry knows it: one a file, listed in `registry.KINDS`.

    `build` gets the options of every policy that asks for it, each distinct request once, and makes one detector for
    all; it raises a `GovernanceError` when it cannot, and the runner then states that with every examination.
    `problems` says what is wrong with a request beyond what `describe` tells (names, types, choices), for lint; a
    `Fault` says where.
    `selected` gives, where a selector's values alone do not say it, all packs whose findings a request reads
    (None: of any).
    `request`: asked for, it is this request of another detector, which does its work in the same pass.
    """

    describe: Callable[[], DetectorDescription]
    build: Callable[[Sequence[Options], Surroundings], Detector | CallDetector]
    problems: Callable[[Options], Sequence[str]] = no_problems
    selected: Callable[[Options], Sequence[str] | None] | None = None
    request: Callable[[Options], DetectorUse] | None = None


def merged(requests: Sequence[Options]) -> dict[str, OptionValue]:
    """One set of options that serves all requests: lists are united, of numbers the lowest is taken."""
    options: dict[str, OptionValue] = {}
    for request in requests:
        for name, value in request.items():
            options[name] = _merge(options[name], value) if name in options else value
    return options


def _merge(one: OptionValue, other: OptionValue) -> OptionValue:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return sorted({str(value) for value in (*one, *other)})
    if isinstance(one, int | float) and isinstance(other, int | float):
        return min(one, other)
    return other


def version_of(code: str, *stated: object) -> str:
    """A detector's version: its code's, and 12 hex digits over what else its findings depend on (JSON values)."""
    written = json.dumps(stated, sort_keys=True, separators=(",", ":"), default=list)
    return f"{code}+{hashlib.sha256(written.encode()).hexdigest()[:12]}"


def words(options: Options, name: str) -> tuple[str, ...]:
    """The option's strings, each once, in order; none when it was not given."""
    value = options.get(name)
    return tuple(sorted({str(one) for one in value})) if isinstance(value, list | tuple) else ()
