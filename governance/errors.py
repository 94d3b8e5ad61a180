"""One tree of errors. Each says what happened, and what to do about it, in words a user can act on."""

from __future__ import annotations


class GovernanceError(Exception):
    """Base of every error that a user may see.

    `message` says what is wrong and where; `advice` says what to do. Neither holds secrets or call content.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class BadInput(GovernanceError):
    """What was sent cannot be understood (HTTP 400, exit 2)."""


class TooLarge(BadInput):
    """What was sent is over a stated limit (HTTP 413)."""


class NotFound(GovernanceError):
    """No such thing, or not one that the actor may see (HTTP 404)."""


class Unauthenticated(GovernanceError):
    """No valid session or API key (HTTP 401)."""


class Refused(GovernanceError):
    """The actor may not do this (HTTP 403). The attempt is an audit event."""


class Conflict(GovernanceError):
    """Somebody else was first, or the thing has moved on (HTTP 409)."""


class CheckFailed(Conflict):
    """A required check failed (HTTP 409, exit 1)."""


class Overloaded(GovernanceError):
    """Work is shed; the client may retry after `retry_after` seconds (HTTP 503)."""

    def __init__(self, message: str, *, advice: str = "", retry_after: int = 1) -> None:
        super().__init__(message, advice=advice)
        self.retry_after = retry_after


class Misconfigured(GovernanceError):
    """The installation is wrong: settings, keys, data directory, database version (exit 2)."""


class Tampered(GovernanceError):
    """Verification failed: what is stored is not what was signed (exit 1)."""
