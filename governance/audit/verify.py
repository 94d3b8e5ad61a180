"""Verifies evidence packages offline: needs only the file, no database, network or settings.

It answers with named checks, and with results (`Result`) that say what was shown. What cannot be checked says so and
never counts as passed; what was asked for and cannot be shown is not verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from governance.audit import verify_v1, verify_v2
from governance.audit.opened import OWN as OWN
from governance.audit.opened import Opened, Stop
from governance.audit.outcome import Check as Check
from governance.audit.outcome import Ledger as Ledger
from governance.audit.outcome import Outcome as Outcome
from governance.audit.outcome import Result as Result
from governance.audit.outcome import Shown as Shown
from governance.audit.outcome import Verification as Verification
from governance.audit.outcome import unchecked as unchecked
from governance.audit.outcome import unproven as unproven

Advance = Callable[[int], None]


def verify_package(file: BinaryIO, *, key: str = "", kept: str = "", advance: Advance = lambda _: None) -> Verification:
    """Verifies a package in a seekable binary file.

    `key` is the log's public key as the auditor has it from elsewhere (signed-note line or PEM), or `OWN`: the
    package's own, for which nobody vouches. `kept` is a signed checkpoint that was kept elsewhere; it vouches for the
    key that signed it. With neither, the check "key" is not proven. `advance` is told how many leaves were done. Raises
    `BadInput` only for what is no package at all, when `key` is no key, and when `kept` is no checkpoint of the log.
    """
    opened = Opened(key, kept)
    try:
        opened.open(file)
        edition = opened.manifest.get("format")
        if edition == verify_v2.FORMAT:
            verify_v2.Edition(opened, advance).verify()
        elif edition == verify_v1.FORMAT:
            verify_v1.Edition(opened, advance).verify()
        else:
            opened.fail("manifest", f"manifest.json is not of the format {verify_v2.FORMAT}, nor of an earlier one.")
    except Stop:
        pass
    return opened.verification()
