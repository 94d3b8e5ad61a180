"""Steps: the calls of a trace or session in order, for policies about sequences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.findings import DetectorFailure, Examination, Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherCall:
    """Another call of a trace or session, not yet judged as a step. `content` names the content item of each part.

    `known` is what the detectors said of content items, `whole` of the call as a whole (None: not known); texts may be
    left out where they did. `waiting`: its own check is to come. `unreadable` says why nobody can know what is in it.
    """

    id: Hashable
    call: Call
    parts: Sequence[Part]
    content: Sequence[Hashable]
    known: Mapping[Hashable, Examination] = field(default_factory=dict)
    whole: Examination | None = None
    waiting: bool = False
    unreadable: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """The other known calls of a call's trace and session, in no order; `left_out` counts those beyond the bound.

    `content` names the content items of the call's own parts in the words of the others; empty: by their texts.
    """

    others: tuple[OtherCall, ...] = ()
    left_out: int = 0
    content: tuple[Hashable, ...] = ()


NOBODY = Around()


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A call with what was found in it. Texts may be left out of `call` and `parts`: no judgement reads them.

    `content` says for each of `parts` which content item it is: equal where two parts of the sequence hold the same
    (a conversation's history comes with every turn, and is new only once). `findings` are placed (`part`, `index`).
    `unknown` is "" or why nobody knows what is in it.
    """

    call: Call
    parts: tuple[Part, ...]
    content: tuple[Hashable, ...]
    findings: tuple[Finding, ...] = ()
    failures: tuple[DetectorFailure, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherSteps:
    """The other steps of a call's trace and session, as `Around` has them, examined."""

    others: tuple[Step, ...] = ()
    left_out: int = 0
    content: tuple[Hashable, ...] = ()


ALONE = OtherSteps()
