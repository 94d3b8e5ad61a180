"""Times as the database holds them: microseconds since 1970 (UTC)."""

from governance.domain.times import micros, moment, moment_or_none

__all__ = ["micros", "moment", "moment_or_none"]
