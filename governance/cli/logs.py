"""Logs on stderr: lines for people at a terminal, JSON elsewhere. No secrets, and no words of a call: of an exception
its type and places are written, never its message, which may quote what it choked on."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from governance.errors import GovernanceError

_NOISY = (
    "watchdog",
    "httpx",
    "httpcore",
    "asyncio",
    "alembic",
    "fsevents",
    "urllib3",
    "matplotlib",
    "procrastinate",
    "presidio-anonymizer",
    "governance.store.base.database",
)


def configure(*, level: str = "INFO", as_json: bool | None = None) -> None:
    """Sets up structlog and the standard library's logging alike. `as_json` None: JSON unless stderr is a terminal."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _places,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # Addresses are not logged: they may hold a receipt, or what somebody looked for.
    logging.getLogger("uvicorn.access").disabled = True
    for logger in list(logging.root.manager.loggerDict.values()):
        # Streamlit gives each of its loggers, and uvicorn's, a handler that would write an exception's words.
        if isinstance(logger, logging.Logger) and hasattr(logger, "streamlit_console_handler"):
            logger.removeHandler(logger.streamlit_console_handler)
            logger.propagate = True


def _places(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turns an exception into its type and where it went through, innermost last; of one of ours, which quotes nothing,
    into what it says."""
    found = event.pop("exc_info", None)
    if not found:
        return event
    if isinstance(found, BaseException):
        error: BaseException | None = found
    else:
        error = found[1] if isinstance(found, tuple) else sys.exc_info()[1]
    if error is not None:
        event["error"] = type(error).__name__
    if isinstance(error, GovernanceError):
        event["reason"] = error.message
    elif error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        event["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return event
