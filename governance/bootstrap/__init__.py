"""Puts the parts together; the only package that reads the environment and knows every implementation.

`open_application()` costs nothing: each part is made when it is first asked for, so a command that needs no database
opens none.
"""

from __future__ import annotations

from datetime import UTC, datetime

from governance.bootstrap.evidence import EvidenceParts
from governance.bootstrap.jobs import JobParts
from governance.bootstrap.people import PeopleParts
from governance.bootstrap.resources import console_package, resource
from governance.bootstrap.review import ReviewParts
from governance.bootstrap.settings import Settings
from governance.bootstrap.settings import load as load_settings
from governance.services.ports import Clock

__all__ = [
    "Application",
    "Settings",
    "console_package",
    "load_settings",
    "open_application",
    "resource",
    "run_as",
    "running",
    "utc_now",
]


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Application(ReviewParts, EvidenceParts, PeopleParts, JobParts):
    """The product, wired. Parts are attributes, made on first use; `close()` when done."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now, migrate: bool = False) -> None:
        super().__init__(settings, clock=clock, migrate=migrate)

    def close(self) -> None:
        """Commits what waits, then lets go of the database."""
        if "authority" in self.__dict__:
            self.authority.refusals.close()
        if "access_log" in self.__dict__:
            self.access_log.close()
        if "recorder" in self.__dict__:
            self.recorder.close()
        if "sealer" in self.__dict__:
            self.sealer.stop()
        if "checkpointer" in self.__dict__:
            self.checkpointer.stop()
        if "integrity_watch" in self.__dict__:
            self.integrity_watch.stop()
        if "in_force" in self.__dict__:
            self.in_force.close()
        if "engine" in self.__dict__:
            self.engine.dispose()
        if self._hold is not None:
            self._hold.release()


def open_application(settings: Settings | None = None, *, clock: Clock = utc_now, migrate: bool = False) -> Application:
    """The application over `settings` (default: the environment)."""
    return Application(settings if settings is not None else load_settings(), clock=clock, migrate=migrate)


_running: Application | None = None


def running() -> Application:
    """This process's application: what `run_as` set (the server, a test), else one over the environment."""
    global _running
    if _running is None:
        _running = open_application()
    return _running


def run_as(application: Application | None) -> None:
    """Makes `application` the one that the console's pages and the API of this process use."""
    global _running
    _running = application
