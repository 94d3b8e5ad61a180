"""A process that counts for a backtest: `python -m governance.cli.policies.backtester`; only a backtest starts it.

It reads its order and its jobs from standard input (`services.policies.backtest.counting.serve`), and ends when that
closes, whatever ended the other process.
"""

from __future__ import annotations

import gc
import signal
import sys

from governance.bootstrap import open_application
from governance.cli import logs
from governance.services.policies.backtest.counting import InProcess, serve


def main() -> None:
    """Signals are the business of who started it, who ends it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure()
    application = open_application()
    gc.collect()
    gc.freeze()  # what was imported stays, and a part is thousands of short-lived objects
    gc.set_threshold(50_000, 20, 50)

    def answer(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        serve(
            sys.stdin,
            answer,
            application.new_traffic,
            lambda order, record: InProcess(order, record, application.build_runner),
        )
    finally:
        application.close()


if __name__ == "__main__":
    main()
