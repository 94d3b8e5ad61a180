"""Who acts at the command line: the operating system's account, named in the audit log."""

from __future__ import annotations

import getpass
import os

from governance.domain.people import Actor, operator


def acting() -> Actor:
    """The operator. An account without a name (some containers) goes by its number."""
    try:
        return operator(getpass.getuser())
    except (KeyError, OSError):
        return operator(f"uid-{os.getuid()}")
