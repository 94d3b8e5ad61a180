"""How short a time things may be kept."""

from __future__ import annotations

from governance.domain.privacy import RetentionClass
from governance.errors import BadInput

FLOORS: dict[RetentionClass, int] = {
    RetentionClass.CONTENT: 1,
    RetentionClass.REPORTS: 1,
    RetentionClass.LOGS: 184,
}
"""Days. Six months for logs: Regulation (EU) 2024/1689, articles 19(1) and 26(6); no half year has more days."""
LONGEST = 36_500


def checked(subject: RetentionClass, days: int) -> int:
    """The days, if a rule may say so. Raises `BadInput`."""
    floor = FLOORS[subject]
    if days < floor:
        why = " The EU AI Act asks for six months of logs." if subject is RetentionClass.LOGS else ""
        raise BadInput(f"{subject} must be kept for {floor} days at least.{why}")
    if days > LONGEST:
        raise BadInput(f"A rule says {LONGEST} days at most.", advice="Without a rule things are kept for ever.")
    return days
