"""Where a model's weights come from: a directory of this machine, or a hub, and then one commit of it."""

from __future__ import annotations

import re

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_directory(model: str) -> bool:
    """Whether a model is given by its directory: absolute, or from `.` or `~` on. Anything else is a name on a hub."""
    return model.startswith(("/", ".", "~"))


def unpinned(model: str, revision: str) -> str:
    """Why a model is not pinned; "" where it is. What a branch or tag of a hub names can be replaced by its owner, or
    by whoever takes over the account: other weights, with other answers, under the same policy."""
    if not model or is_directory(model) or _COMMIT.fullmatch(revision):
        return ""
    wanted = "'revision' with the full hash of a commit (40 hex digits)"
    if revision:
        return f"needs {wanted}; {revision[:40]!r} is a branch, a tag or a part of one"
    return f"is a name on a hub and needs {wanted}; a directory begins with / or ./"
