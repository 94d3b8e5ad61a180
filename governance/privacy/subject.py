"""Data subjects: end users of the governed applications."""

from __future__ import annotations

from governance.errors import BadInput


def subject_id(text: str) -> str:
    """The id of an end user as the application sends it. Raises `BadInput`."""
    text = text.strip()
    if not text or len(text) > 200 or "\x00" in text:
        raise BadInput("A subject is named by the id that the application sends: 1 to 200 characters.")
    return text
