"""What the file formats have in common: ids that are the same at every import, and times."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain.times import EPOCH
from governance.ingest.text import as_json, as_number, as_text

_TRACE = re.compile(r"[0-9a-f]{32}\Z")
_YEARS = (946_684_800.0, 4_102_444_800.0)  # 2000 to 2100, in seconds


def ids_of(kind: str, system: str, *key: Any) -> tuple[str, str]:
    """A trace id and a span id from what identifies a line: a second import finds the same call."""
    digest = hashlib.sha256(as_json(["governance-import", kind, system, *key]).encode(errors="replace")).hexdigest()
    return digest[:32], digest[32:48]


def trace_id_of(value: Any) -> str:
    """A trace id that is one (also written as a UUID), else ""."""
    text = as_text(value).replace("-", "").lower()
    return text if _TRACE.match(text) and text.strip("0") else ""


def time_of(value: Any) -> datetime | None:
    """Seconds (or milliseconds) since 1970, or RFC 3339 text, as UTC; None for all else, or outside 2000 to 2099."""
    number = as_number(value)
    if number is not None:
        if number > 1e11:
            number /= 1000
        return EPOCH + timedelta(microseconds=round(number * 1e6)) if _YEARS[0] <= number < _YEARS[1] else None
    if isinstance(value, str) and len(value) <= 40:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return at if _YEARS[0] <= at.timestamp() < _YEARS[1] else None
    return None
