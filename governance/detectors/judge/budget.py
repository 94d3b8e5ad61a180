"""What may be asked of the judge in a day (UTC): kept in the data directory, so that it holds for all processes of this
machine and beyond a restart.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from governance.detectors.judge.question import NotJudged

FILE = "judge-budget.json"
_WIDTH = 120


class Budget:
    """Counts judgements and tokens; 0 is no limit. Without a folder it counts in memory, for this process only."""

    def __init__(
        self,
        folder: Path | None,
        *,
        calls: int,
        tokens: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._file = folder / FILE if folder is not None and folder.is_dir() else None
        self._limits = {"calls": calls, "tokens": tokens}
        self._clock = clock
        self._memory = ""
        self._spent_on = ""

    @property
    def spent(self) -> bool:
        """Whether something was refused today."""
        return self._spent_on == self._today()

    def take(self, tokens: int) -> None:
        """Counts a request and what it may cost. Raises `NotJudged` when that is more than is left of the day."""
        self._change(1, tokens, within=True)

    def settle(self, tokens: int) -> None:
        """Corrects what was taken by the difference to what it did cost."""
        if tokens:
            self._change(0, tokens, within=False)

    def _change(self, calls: int, tokens: int, *, within: bool) -> None:
        try:
            self._locked(calls, tokens, within=within)
        except OSError as error:
            raise NotJudged(f"The judge's budget cannot be kept: {error.strerror}.") from None

    def _locked(self, calls: int, tokens: int, *, within: bool) -> None:
        if self._file is None:
            self._memory = self._counted(self._memory, calls, tokens, within=within)
            return
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            text = self._counted(os.pread(handle, 1_000, 0).decode("ascii", "replace"), calls, tokens, within=within)
            os.pwrite(handle, text.ljust(_WIDTH).encode("ascii"), 0)  # of one length: nothing of it is ever torn
        finally:
            os.close(handle)

    def _counted(self, text: str, calls: int, tokens: int, *, within: bool) -> str:
        today = self._today()
        used = _used(text, today)
        wanted = {"calls": used["calls"] + calls, "tokens": max(0, used["tokens"] + tokens)}
        if within:
            for what, limit in self._limits.items():
                if limit and wanted[what] > limit:
                    self._spent_on = today
                    raise NotJudged(f"The judge's budget of today ({limit:,} {what}) is spent.")
        return json.dumps({"day": today, **wanted})

    def _today(self) -> str:
        return self._clock().astimezone(UTC).date().isoformat()


def _used(text: str, today: str) -> dict[str, int]:
    """What the file says of today; a torn or foreign file says that nothing was used."""
    try:
        kept = json.loads(text)
        if kept["day"] == today:
            return {"calls": int(kept["calls"]), "tokens": int(kept["tokens"])}
    except (ValueError, KeyError, TypeError):
        pass
    return {"calls": 0, "tokens": 0}
