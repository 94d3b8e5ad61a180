"""Child processes: that they end with their parent, within a time, with all that they started, and why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from governance.processes.child import DEVNULL, PIPE, Child, alive

PYTHON = [sys.executable, "-S", "-c"]
READS = "import sys; sys.stdin.read()"
SLEEPS = "import time; print(flush=True); time.sleep(600)"
STARTS = f"import subprocess, sys; print(subprocess.Popen({[*PYTHON, SLEEPS]!r}).pid, flush=True); sys.stdin.read()"


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether it has ended: in a container a process without a parent may stay as a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_that_reads_ends_by_itself_when_its_input_closes() -> None:
    child = Child([*PYTHON, READS])
    assert (child.code, child.reason()) == (None, "is running")
    assert child.memory() > 100_000
    assert child.end(20) == 0
    assert child.reason() == "ended (exit code 0)"
    assert child.memory() == 0
    assert not alive(child.pid)


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    child = Child([*PYTHON, SLEEPS], stdout=PIPE)
    child.stdout.readline()
    assert child.wait(0.01) is None
    assert child.end(0.05) == -signal.SIGKILL
    assert child.reason() == "ended (signal 9)"


def test_what_a_child_apart_has_started_is_killed_with_it() -> None:
    child = Child([*PYTHON, STARTS], stdout=PIPE, apart=True)
    grandchild = int(child.stdout.readline())
    assert alive(grandchild)
    child.kill()
    until(lambda: gone(grandchild))


def test_also_when_the_child_itself_is_gone_already() -> None:
    child = Child([*PYTHON, STARTS], stdout=PIPE, apart=True)
    grandchild = int(child.stdout.readline())
    child.stdin.close()
    until(lambda: child.code == 0)
    assert alive(grandchild)
    child.kill()
    until(lambda: gone(grandchild))


def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from governance.processes.child import Child; "
            f"print(Child({[*PYTHON, READS]!r}).pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: gone(child))


def test_a_child_gets_the_environment_and_the_pipes_it_is_given_and_no_other() -> None:
    reading, writing = os.pipe()
    told = "import os, sys; os.write(int(sys.argv[1]), ' '.join(sorted(os.environ)).encode())"
    child = Child([*PYTHON, told, str(writing)], environment={"ONLY": "1"}, passed=[writing], stdin=DEVNULL)
    os.close(writing)
    assert child.wait(20) == 0
    names = os.read(reading, 1000).decode().split()
    os.close(reading)
    assert "ONLY" in names
    assert not [name for name in names if name.startswith(("GOVERNANCE_", "PATH", "HOME"))]


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        Child(["/nowhere/python"])
