"""The decoding process of a server: `python -m governance.cli.decoder FD FD`, started by `governance serve` alone.

It takes bodies from the first pipe and sends what they hold into the second; no database, no settings, no keys. It
ends when either closes.
"""

from __future__ import annotations

import gc
import signal
import sys
from multiprocessing.connection import Connection

from governance.cli import logs
from governance.intake.process import decode_all


def main() -> None:
    """Signals are the server's business: it closes the pipe when it has had its last answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logs.configure()
    settle()
    decode_all(Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False))


def settle() -> None:
    """What was imported stays, and a batch is thousands of short-lived objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


if __name__ == "__main__":
    main()
