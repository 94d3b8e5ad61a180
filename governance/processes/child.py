"""A child process that ends with its parent, and what is known about it.

A child here reads a pipe that its parent holds open: its standard input, or one that is passed to it. The pipe closes
when the parent closes it, and also when the parent is killed; the child then ends by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


class Child:
    """A running process of `command`. Raises `OSError` where it cannot be started.

    `environment` is all of its environment; None for a copy of ours. `passed` are the file descriptors that it keeps.
    `stdin`, `stdout` and `stderr` are as in `subprocess.Popen`; None shares ours. `apart` puts it into a session of its
    own, so that `kill` also ends what it has started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        passed: Sequence[int] = (),
        stdin: int | None = PIPE,
        stdout: int | None = None,
        stderr: int | None = None,
        apart: bool = False,
    ) -> None:
        self._apart = apart
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, or what the administrator configured
            list(command),
            env=None if environment is None else dict(environment),
            cwd=folder,
            pass_fds=tuple(passed),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=apart,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdin(self) -> IO[bytes]:
        """What the child reads, where that is a pipe."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What the child writes, where that is a pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def code(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        return self._process.poll()

    def reason(self) -> str:
        """Why it ended, in words that follow "The process"."""
        code = self.code
        if code is None:
            return "is running"
        return f"ended (signal {-code})" if code < 0 else f"ended (exit code {code})"

    def memory(self) -> int:
        """Bytes resident; 0 where that cannot be told."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def wait(self, seconds: float) -> int | None:
        """Its exit code, once it has ended; None when it has not within that time."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def end(self, seconds: float) -> int:
        """Closes its standard input and waits; kills it when it has not ended within that time. Its exit code."""
        self._close(self._process.stdin)
        self.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """Ends it at once, and what it has started where it is `apart`. Its exit code."""
        if self._apart:
            # What it has started outlives it: the session is ended also when the child itself is gone already.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            self._close(pipe)
        return code

    @staticmethod
    def _close(pipe: IO[bytes] | None) -> None:
        if pipe is not None:
            with suppress(OSError):  # what could not be sent any more
                pipe.close()


def alive(pid: int) -> bool:
    """Whether there is a process of that number."""
    return psutil.pid_exists(pid)
