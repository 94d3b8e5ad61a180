"""Runs a scanner process: starts it, exchanges messages with it within a time, kills it when it hangs, grows, dies or
sends an invalid answer, and starts it again, each time after a longer pause.

The process gets a bare environment, pipes, and texts to look at: no settings, no keys, no database. One thread here
speaks with it; others ask that thread through a bounded queue, and are told at once when there is nobody to ask.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import queue
import re
import selectors
import shutil
import struct
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.detectors.sharing import Shared
from governance.errors import GovernanceError
from governance.processes.child import DEVNULL, PIPE, Child, alive
from governance.processes.restart import Pauses

LONGEST_ANSWER = 32 << 20
WAITING_MOST = 16
"""Batches that wait for their turn."""
ITEMS_AT_ONCE, CHARACTERS_AT_ONCE = 32, 64_000
"""Of one batch, unless a single text is longer."""
PAUSES = (*(0.5 * 2**doubled for doubled in range(10)), 300.0)
"""Seconds before the process is started again: after the first failure, the second ... and at most."""
POISON_SECONDS = 3_600
REMEMBERED = 5_000
_POLL = 0.2
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class NotScanned(GovernanceError):
    """The scanner could not examine the texts: it is not running, or has no time. The texts are not to blame."""


class Broken(GovernanceError):
    """The scanner process failed on this batch: it took too long, grew too large, died, or sent an invalid answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """`memory` in bytes (0: no limit), resident; `load` seconds until it must be ready, `answer` seconds a batch."""

    memory: int = 4 << 30
    load: float = 180.0
    answer: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A text to scan; with the prompt, where the scanner compares the two."""

    text: str
    prompt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannerHit:
    """What one scanner objects to, at a place in code points of the text."""

    scanner: str
    score: float
    start: int
    end: int
    label: str = ""
    data: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class HostState:
    """`state` is idle (not started), loading, ready, failed (it is started again later) or closed; `missing` says which
    scanners did not load, and why; `milliseconds` is the mean time of a batch."""

    state: str
    detail: str = ""
    restarts: int = 0
    batches: int = 0
    milliseconds: float = 0.0
    memory: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


_shared: Shared[str, ScannerHost] = Shared()
release = _shared.release


def share(
    command: Sequence[str], configuration: Mapping[str, Any], *, environment: Mapping[str, str], limits: Limits
) -> tuple[str, ScannerHost]:
    """The host in this process for exactly this configuration, and the key to `release` it by."""
    stated = [list(command), configuration, sorted(environment.items()), repr(limits)]
    key = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
    host = _shared.acquire(key, lambda: ScannerHost(command, configuration, environment=environment, limits=limits))
    return key, host


class _Ticket:
    """A batch on its way."""

    def __init__(self, message: Mapping[str, Any], seconds: float) -> None:
        self.message = message
        self.seconds = seconds
        self.begun = threading.Event()
        self.done = threading.Event()
        self.cancelled = False
        self.answer: dict[str, Any] = {}
        self.error: GovernanceError | None = None

    def fail(self, error: GovernanceError) -> None:
        self.error = error
        self.begun.set()
        self.done.set()


class ScannerHost:
    """One scanner process, for all threads of this one. It is started by `start` or by the first `scan`."""

    def __init__(
        self,
        command: Sequence[str],
        configuration: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        limits: Limits | None = None,
    ) -> None:
        """`command` runs `program`, `configuration` is its first message; `environment` is all that it gets."""
        self._command = list(command)
        self._limits = limits or Limits()
        self._configuration = {**configuration, "memory": self._limits.memory}
        self._environment = dict(environment)
        self._queue: queue.Queue[_Ticket] = queue.Queue(maxsize=WAITING_MOST)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = "idle"
        self._detail = ""
        self._pauses = Pauses(seconds=PAUSES, steady=PAUSES[-1])
        self._starts = 0
        self._batches = 0
        self._seconds = 0.0
        self._memory = 0
        self._missing: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._suspects: OrderedDict[bytes, float] = OrderedDict()
        self._poison: OrderedDict[bytes, float] = OrderedDict()

    @property
    def state(self) -> HostState:
        with self._lock:
            return HostState(
                state=self._state,
                detail=self._detail,
                restarts=max(0, self._starts - 1),
                batches=self._batches,
                milliseconds=1000 * self._seconds / self._batches if self._batches else 0.0,
                memory=self._memory,
                missing=dict(self._missing),
                versions=dict(self._versions),
            )

    def start(self) -> None:
        """Begins to load, in the background."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._state = "loading"
                self._thread = threading.Thread(target=self._run, name="scanner-host", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends the process and its thread."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(10)
        with self._lock:
            self._state, self._detail = "closed", ""

    def scan(
        self, jobs: Mapping[str, Sequence[int]], items: Sequence[Item], *, seconds: float | None = None
    ) -> list[list[ScannerHit] | GovernanceError]:
        """What each scanner of `jobs` (its key: places in `items`) objects to in its items, in one outcome an item.

        An item is an error when a scanner could not tell. A batch that breaks the process is tried again one by one as
        its items come by; an item that breaks it alone is refused for an hour.
        """
        now = time.monotonic()
        digests = [_digest(item) for item in items]
        outcomes: list[list[ScannerHit] | GovernanceError] = [[] for _ in items]
        alone: list[int] = []
        together: list[int] = []
        with self._lock:
            for number, digest in enumerate(digests):
                until = self._poison.get(digest)
                if until is not None and until > now:
                    outcomes[number] = NotScanned("The scanner broke over this text before.")
                elif digest in self._suspects:
                    alone.append(number)
                else:
                    together.append(number)
        for group in [*_groups(together, items), *([one] for one in alone)]:
            try:
                for number, outcome in zip(group, self._ask(jobs, items, group, seconds), strict=True):
                    outcomes[number] = outcome
            except Broken as error:
                with self._lock:
                    for number in group:
                        outcomes[number] = error
                        _remember(self._poison if len(group) == 1 else self._suspects, digests[number])
            except NotScanned as error:
                for number in group:
                    outcomes[number] = error
            else:
                if len(group) == 1:
                    with self._lock:
                        self._suspects.pop(digests[group[0]], None)
        return outcomes

    def _ask(
        self, jobs: Mapping[str, Sequence[int]], items: Sequence[Item], group: Sequence[int], seconds: float | None
    ) -> list[list[ScannerHit] | GovernanceError]:
        chosen = set(group)
        texts: dict[str, int] = {}

        def place(text: str) -> int:
            return texts.setdefault(_LONE_SURROGATE.sub("\ufffd", text), len(texts))

        asked = [(key, [number for number in numbers if number in chosen]) for key, numbers in jobs.items()]
        asked = [(key, numbers) for key, numbers in asked if numbers]
        outcomes: dict[int, list[ScannerHit] | GovernanceError] = {number: [] for number in group}
        missing = self._wait_until_loaded(seconds)
        for key, numbers in asked:
            if key in missing:
                error = NotScanned(f"The scanner {key} did not load: {missing[key]}")
                outcomes.update(dict.fromkeys(numbers, error))
        asked = [(key, numbers) for key, numbers in asked if key not in missing]
        if not asked:
            return [outcomes[number] for number in group]
        message = {
            "jobs": [
                {
                    "scanner": key,
                    "items": [
                        [place(items[number].text), place(items[number].prompt) if items[number].prompt else -1]
                        for number in numbers
                    ],
                }
                for key, numbers in asked
            ],
            "texts": list(texts),
        }
        answer = self._exchange(message, self._limits.answer if seconds is None else seconds)
        for (key, numbers), results in zip(asked, answer, strict=True):
            for number, result in zip(numbers, results, strict=True):
                outcome = outcomes[number]
                if isinstance(outcome, GovernanceError):
                    continue
                if isinstance(result, str):
                    outcomes[number] = NotScanned(f"The scanner {key} failed: {result}.")
                else:
                    outcome += [_found(key, one, len(items[number].text)) for one in result]
        return [outcomes[number] for number in group]

    def _wait_until_loaded(self, seconds: float | None) -> dict[str, str]:
        self.start()
        until = time.monotonic() + (self._limits.answer if seconds is None else seconds)
        while True:
            with self._lock:
                state, detail, missing = self._state, self._detail, dict(self._missing)
            if state == "ready":
                return missing
            if state != "loading":
                raise NotScanned(f"The scanner is not running: {detail or state}.")
            if time.monotonic() > until:
                raise NotScanned("The scanner is still loading.")
            time.sleep(0.02)

    def _exchange(self, message: Mapping[str, Any], seconds: float) -> list[list[list[dict[str, Any]] | str]]:
        """What the process answers, in the shape that was asked for. Raises `Broken` and `NotScanned`."""
        ticket = _Ticket(message, seconds)
        with self._lock:
            if self._state != "ready":
                raise NotScanned(f"The scanner is not running: {self._detail or self._state}.")
            try:
                self._queue.put_nowait(ticket)
            except queue.Full:
                raise NotScanned("Too many texts wait for the scanner.") from None
        if not ticket.begun.wait(seconds):
            ticket.cancelled = True
            if not ticket.begun.is_set():
                raise NotScanned(f"The scanner had no time within {seconds:g} s.")
        ticket.done.wait()
        if ticket.error is not None:
            raise ticket.error
        results: list[list[list[dict[str, Any]] | str]] = ticket.answer["results"]
        return results

    # The thread that speaks with the process

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                self._state, self._detail = "loading", ""
                self._starts += 1
            began, pause = time.monotonic(), 0.0
            child: _Scanner | None = None
            try:
                child = _Scanner(self._command, self._environment, self._limits.memory)
                ready = child.exchange(self._configuration, self._limits.load, self._closing)
                self._welcome(ready)
                self._serve(child)
            except (Broken, OSError) as error:
                said = error.message if isinstance(error, Broken) else f"it cannot be started ({error.strerror})"
                self._failed(said.rstrip("."))
                pause = self._pauses.after(time.monotonic() - began)
            finally:
                if child is not None:
                    child.end()
            self._closing.wait(pause)
        with self._lock:
            self._state, self._detail = "closed", ""
        self._drain("it is closed")

    def _welcome(self, ready: Mapping[str, Any]) -> None:
        said = ready.get("ready")
        versions, left = (said.get("versions"), said.get("missing")) if isinstance(said, dict) else (None, None)
        if not (isinstance(versions, dict) and _texts(versions) and isinstance(left, dict) and _texts(left)):
            raise Broken("The scanner sent an invalid answer.")
        with self._lock:
            self._versions, self._missing = dict(versions), {key: why[:300] for key, why in left.items()}
            self._state = "ready"

    def _serve(self, child: _Scanner) -> None:
        number = 0
        while not self._closing.is_set():
            try:
                ticket = self._queue.get(timeout=_POLL)
            except queue.Empty:
                self._memory = child.watch()
                continue
            ticket.begun.set()
            if ticket.cancelled:
                continue
            number += 1
            began = time.monotonic()
            try:
                answer = child.exchange({**ticket.message, "id": number}, ticket.seconds, self._closing)
                if answer.get("id") != number or not _fits(answer.get("results"), ticket.message["jobs"]):
                    raise Broken("The scanner sent an invalid answer.")
            except Exception as error:
                broken = error if isinstance(error, Broken) else Broken(f"The scanner failed ({type(error).__name__}).")
                self._mark(broken.message.rstrip("."))
                ticket.fail(broken)
                raise broken from None
            answer["results"] = [[one.get("error") or one["found"] for one in job] for job in answer["results"]]
            ticket.answer = answer
            with self._lock:
                self._memory = child.watch()
                self._batches += 1
                self._seconds += time.monotonic() - began
            self._pauses.forget()
            ticket.done.set()

    def _mark(self, why: str) -> None:
        with self._lock:
            self._state, self._detail = "failed", why

    def _failed(self, why: str) -> None:
        """Notes that the process is gone, and fails the batches that wait for it."""
        self._mark(why)
        self._drain(why)

    def _drain(self, why: str) -> None:
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait().fail(NotScanned(f"The scanner is not running: {why}."))


class _Scanner:
    """The process. Not for several threads."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], memory: int) -> None:
        self._limit = memory
        self._folder = _own_folder()
        own = {"HOME": str(self._folder), "TMPDIR": str(self._folder)}
        try:
            self._process = Child(
                command,
                environment={**environment, **own},
                folder=self._folder,
                stdout=PIPE,
                stderr=DEVNULL,
                apart=True,
            )
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._measured = 0.0
        self._resident = 0

    def exchange(self, message: Mapping[str, Any], seconds: float, stop: threading.Event) -> dict[str, Any]:
        """One message there, one back, within the time. Raises `Broken`."""
        body = json.dumps(message, separators=(",", ":")).encode()
        left = memoryview(struct.pack(">I", len(body)) + body)
        got = bytearray()
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as waits:
            waits.register(self._out, selectors.EVENT_READ)
            waits.register(self._in, selectors.EVENT_WRITE)
            while True:
                if stop.is_set():
                    raise Broken("The scanner was ended.")
                if time.monotonic() > until:
                    raise Broken(f"The scanner took over {seconds:g} s.")
                self.watch()
                for key, _ in waits.select(_POLL):
                    if key.fd == self._in:
                        try:
                            left = left[os.write(self._in, left[: 1 << 16]) :]
                        except OSError:
                            raise self._dead() from None
                        if not left:
                            waits.unregister(self._in)
                    else:
                        chunk = os.read(self._out, 1 << 16)
                        if not chunk:
                            raise self._dead()
                        got += chunk
                        if (answer := _answer(got)) is not None:
                            return answer

    def watch(self) -> int:
        """Bytes resident, measured now and then. Raises `Broken` when that is too much, or nobody is there."""
        if self._process.code is not None:
            raise self._dead()
        if time.monotonic() - self._measured > _POLL:
            self._measured = time.monotonic()
            self._resident = self._process.memory()
            if self._limit and self._resident > self._limit:
                raise Broken(f"The scanner used over {self._limit >> 20} MiB of memory.")
        return self._resident

    def _dead(self) -> Broken:
        if self._process.wait(1) is None:
            return Broken("The scanner closed its answers.")
        return Broken(f"The scanner {self._process.reason()}.")

    def end(self) -> None:
        """Kills it, and whatever it has started."""
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _answer(got: bytearray) -> dict[str, Any] | None:
    """The message, once it is whole."""
    if len(got) < 4:
        return None
    (length,) = struct.unpack(">I", got[:4])
    if length > LONGEST_ANSWER or len(got) > length + 4:
        raise Broken("The scanner sent an invalid answer.")
    if len(got) < length + 4:
        return None
    try:
        answer = json.loads(got[4:])
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Broken("The scanner sent an invalid answer.")
    return answer


def _fits(results: object, jobs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the answer has the shape of what was asked, in each of its values."""
    return (
        isinstance(results, list)
        and len(results) == len(jobs)
        and all(
            isinstance(given, list) and len(given) == len(job["items"]) and all(_is_result(one) for one in given)
            for given, job in zip(results, jobs, strict=True)
        )
    )


def _is_result(one: object) -> bool:
    if not isinstance(one, dict):
        return False
    if "error" in one:
        return isinstance(one["error"], str) and one["error"].isidentifier() and len(one["error"]) <= 80
    found = one.get("found")
    return isinstance(found, list) and len(found) <= 1_000 and all(_is_found(item) for item in found)


def _is_found(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    score, start, end = item.get("score"), item.get("start"), item.get("end")
    label, data = item.get("label", ""), item.get("data", {})
    return (
        isinstance(score, int | float)
        and 0 <= score <= 1
        and type(start) is int
        and type(end) is int
        and 0 <= start <= end
        and isinstance(label, str)
        and len(label) <= 200
        and isinstance(data, dict)
        and len(data) <= 20
        and all(isinstance(value, str) or _is_number(value) for value in data.values())
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: Mapping[object, object]) -> bool:
    return all(isinstance(key, str) and isinstance(one, str) for key, one in value.items())


def _found(scanner: str, item: Mapping[str, Any], length: int) -> ScannerHit:
    return ScannerHit(
        scanner=scanner,
        score=float(item["score"]),
        start=min(item["start"], length),
        end=min(item["end"], length),
        label=item.get("label", ""),
        data=item.get("data", {}),
    )


def _groups(numbers: Sequence[int], items: Sequence[Item]) -> list[list[int]]:
    """The items in batches that a process can look at in time."""
    groups: list[list[int]] = []
    length = 0
    for number in numbers:
        size = len(items[number].text) + len(items[number].prompt)
        if not groups or len(groups[-1]) >= ITEMS_AT_ONCE or length + size > CHARACTERS_AT_ONCE:
            groups.append([])
            length = 0
        groups[-1].append(number)
        length += size
    return groups


def _digest(item: Item) -> bytes:
    return hashlib.sha256(f"{item.text}\0{item.prompt}".encode("utf-8", "surrogatepass")).digest()[:16]


def _remember(where: OrderedDict[bytes, float], digest: bytes) -> None:
    where[digest] = time.monotonic() + POISON_SECONDS
    where.move_to_end(digest)
    if len(where) > REMEMBERED:
        where.popitem(last=False)


def _own_folder() -> Path:
    """A folder that only this account reads, in memory where there is such a place: some scanners write texts to files.

    Those that killed processes left behind are taken away.
    """
    memory = Path("/dev/shm")  # noqa: S108
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for old in base.glob("governance-scanner-*-*"):
        owner = old.name.split("-")[2]
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"governance-scanner-{os.getpid()}-", dir=base))
