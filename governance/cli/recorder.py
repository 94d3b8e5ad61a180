"""The recording process of a server: `python -m governance.cli.recorder FD FD`, started by `governance serve` alone.

It takes batches from the first pipe and sends their outcomes into the second. It ends when the first closes, whatever
ended the server.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

import structlog

from governance.bootstrap import open_application
from governance.cli import logs
from governance.cli.decoder import settle
from governance.errors import GovernanceError
from governance.intake.process import record_all

_LOG = structlog.get_logger("governance.recorder")


def main() -> None:
    """Signals are the server's business: it closes the pipe when it has had its last answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logs.configure()
    batches = Connection(int(sys.argv[1]), writable=False)
    answers = Connection(int(sys.argv[2]), readable=False)
    application = open_application()
    application.answers = True
    try:
        recorder = application.recorder
    except GovernanceError as error:
        _LOG.error("recorder.not_started", reason=error.message)
        sys.exit(2)
    settle()
    try:
        record_all(batches, answers, recorder, limit=application.settings.max_body_mib * 2**20)
    finally:
        application.close()


if __name__ == "__main__":
    main()
