"""The recording process of a server: `python -m governance.cli.recorder FD`, started by `governance serve` alone.

It takes bodies from the socket FD, and ends when the other end closes, whatever ended the server.
"""

from __future__ import annotations

import gc
import signal
import sys
from multiprocessing.connection import Connection

import structlog

from governance.bootstrap import open_application
from governance.cli import logs
from governance.errors import GovernanceError
from governance.intake import LocalIntake
from governance.intake.process import serve

_LOG = structlog.get_logger("governance.recorder")


def main() -> None:
    """Signals are the server's business: it closes the socket when it has had its last answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logs.configure()
    connection = Connection(int(sys.argv[1]))
    application = open_application()
    try:
        recorder = application.recorder
    except GovernanceError as error:
        _LOG.error("recorder.not_started", reason=error.message)
        sys.exit(2)
    connection.send_bytes(b"ready")
    gc.collect()
    gc.freeze()  # what was imported stays, and a batch is thousands of short-lived objects
    gc.set_threshold(20_000, 20, 50)
    try:
        serve(connection, LocalIntake(lambda: recorder))
    finally:
        application.close()
        connection.close()


if __name__ == "__main__":
    main()
