"""`secrets`: keys, tokens and passwords, by providers' formats, by assignments and by randomness.

The work is done by `patterns`, in its one pass over a text: `use: secrets` is `use: patterns, packs: [secrets]` with
`recognisers`. Nothing is written to disk, and redaction hides every occurrence of what was found once.
"""

from __future__ import annotations

from governance.detectors import patterns
from governance.detectors.interface import DetectorDescription, DetectorKind
from governance.detectors.pii import described, requested

NAME = "secrets"


def _describe() -> DetectorDescription:
    return described(
        NAME,
        "secrets",
        "Provider keys, private keys, tokens and passwords: by their formats, by what they are assigned to, and by how "
        "random they are; and recognisers of the firm's own.",
    )


KIND = DetectorKind(
    describe=_describe, build=patterns.KIND.build, request=lambda options: requested("secrets", "secret", options)
)
