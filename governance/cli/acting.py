"""Who acts at the command line: the operating system's account, named in the audit log."""

from __future__ import annotations

import os
import pwd

from governance.domain.people import Actor, operator


def acting() -> Actor:
    """The operator. An account without a name (some containers) goes by its number.

    Asked of the system: `getpass.getuser` believes the environment (LOGNAME), where anybody can write another's name.
    """
    try:
        return operator(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return operator(f"uid-{os.getuid()}")
