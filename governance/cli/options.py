"""What the texts of options mean."""

from __future__ import annotations

from datetime import UTC, datetime

from governance.errors import BadInput


def moment(option: str, text: str) -> datetime | None:
    """A day or a time (RFC 3339; UTC unless it says otherwise); None where it is not given. Raises `BadInput`."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{option} {text[:40]!r} is not a day or a time.", advice="Example: 2026-11-01 or 2026-11-01T09:00:00Z."
        ) from None
