"""`pii`: personal data with a recognisable form, by the pack of that name and by the firm's own recognisers.

The work is done by `patterns`, in its one pass over a text: `use: pii` is `use: patterns, packs: [pii]` with
`recognisers`. Names, places and organisations need a language model: `presidio`.
"""

from __future__ import annotations

from governance.detectors import patterns
from governance.detectors.interface import (
    DetectorDescription,
    DetectorKind,
    DetectorUse,
    OptionDescription,
    Options,
)
from governance.detectors.patterns.packs import load_pack
from governance.detectors.patterns.recognisers import declared

NAME = "pii"


def described(name: str, pack: str, finds: str) -> DetectorDescription:
    """Describes a detector that is one pack of `patterns`, with recognisers of one's own."""
    loaded = load_pack(pack)
    return DetectorDescription(
        name=name,
        version=f"{patterns.CODE_VERSION}+{loaded.digest[:12]}",
        offline=True,
        finds=finds,
        categories=tuple(sorted({rule.category for rule in loaded.rules})),
        scope="content",
        options=(
            OptionDescription(
                name="recognisers",
                kind="mappings",
                description="Your own identifiers, each with name, label, regex, hits and clean.",
            ),
        ),
    )


def requested(pack: str, category: str, options: Options) -> DetectorUse:
    """The same request, made of `patterns`."""
    asked: dict[str, object] = {"packs": [pack]}
    own = [{**one, "category": category} for one in declared(options)]
    if own:
        asked["recognisers"] = own
    return DetectorUse(name=patterns.NAME, options=asked)  # type: ignore[arg-type]


def _describe() -> DetectorDescription:
    return described(
        NAME,
        "pii",
        "Contact, payment, identity, tax, health, vehicle and device numbers, with their check digits, "
        "and recognisers of the firm's own. Names and addresses need `presidio`.",
    )


KIND = DetectorKind(
    describe=_describe, build=patterns.KIND.build, request=lambda options: requested("pii", "pii", options)
)
