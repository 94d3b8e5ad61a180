"""Notes that people write: cleaned, and bounded in length."""

from __future__ import annotations

from governance.errors import BadInput

NOTE_LENGTH = 4_000


def clean_note(note: str) -> str:
    """Stripped, and without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    note = note.replace("\x00", "").encode("utf-8", "replace").decode().strip()
    if len(note) > NOTE_LENGTH:
        raise BadInput(f"The note is longer than {NOTE_LENGTH} characters.", advice="Shorten it.")
    return note
