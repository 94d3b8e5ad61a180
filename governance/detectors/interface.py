"""What a detector is: something that states facts. Two shapes, by what they look at, and how a policy asks for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.findings import Finding

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
        """Changes whenever the same content could give other findings."""
        ...

    def examine(self, content: Content) -> Sequence[Finding]: ...


@runtime_checkable
class CallDetector(Protocol):
    """States facts about a call as a whole (`part` None), or about one of its parts (`part` and `index` set)."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def examine_call(self, call: Call, parts: Sequence[Part]) -> Sequence[Finding]: ...


@dataclass(frozen=True, kw_only=True)
class DetectorUse:
    """What a policy asks for: a registered detector by name, with options (for `patterns`: `packs`)."""

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptionDescription:
    """An option of a detector. `kind` is string, number, integer, boolean or strings; `choices` closes it."""

    name: str
    kind: str
    description: str
    default: OptionValue = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DetectorDescription:
    """What `governance detectors list`, the console and lint say about a detector."""

    name: str
    version: str
    offline: bool
    finds: str
    categories: tuple[str, ...]
    scope: str  # "content" or "call"
    options: tuple[OptionDescription, ...] = ()
