"""What else can be installed and run offline, each in an environment of its own that is made from a lock."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "peer_program.py"


class Missing(Exception):
    """The peer cannot be had here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A folder with an interpreter of its own, made from a lock; or, without a lock, one that is there or is not."""

    folder: Path
    lock: Path | None = None

    def python(self) -> Path:
        """Its interpreter; makes the environment when it is not there or its lock has changed. Raises `Missing`."""
        folder = self.folder
        python, stamp = folder / "bin" / "python", folder / ".installed"
        if self.lock is None:
            if not python.exists():
                raise Missing("not installed here: `governance detectors install llm-guard`")
            return python
        wanted = hashlib.sha256(self.lock.read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text("utf-8") == wanted:
            return python
        print(f"Making {folder.name} from {self.lock.name} (some minutes, once)", file=sys.stderr, flush=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, "--require-hashes", "--no-deps", "--requirement", str(self.lock)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Missing(f"{folder.name} cannot be made: {done.stderr.strip()[-300:]}")
        stamp.write_text(wanted, "utf-8")
        return python


PEERS = Environment(folder=ROOT / ".venv-peers", lock=ROOT / "requirements-peers.lock")
LLM_GUARD = Environment(folder=Path(os.environ.get("GOVERNANCE_DATA_DIR", ROOT / "var")) / "scanners" / "llm-guard")
"""The product's own environment of scanners: torch and all is too much to install for a comparison."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """`name` is what `peer_program.py` calls it; `most` texts are given to it, spread over the set, 0 for all."""

    name: str
    title: str
    environment: Environment
    most: int = 0


@dataclass(frozen=True, kw_only=True)
class Said:
    """A peer's answers, one a text: a score, and places ([its label, start, end], code points) where it states them."""

    version: str
    seconds: float
    scores: Sequence[float]
    spans: Sequence[Sequence[tuple[str, int, int]]]


PROFANITY = Peer(name="alt-profanity-check", title="alt-profanity-check", environment=PEERS)
DETECT_SECRETS = Peer(name="detect-secrets", title="detect-secrets", environment=PEERS)
PRESIDIO = Peer(name="presidio", title="Presidio, patterns", environment=PEERS)
PRESIDIO_NER = Peer(name="presidio-ner", title="Presidio, small spaCy model", environment=PEERS, most=300)
LLM_GUARD_SECRETS = Peer(name="llm-guard-secrets", title="llm-guard Secrets", environment=LLM_GUARD)


def ask(peer: Peer, texts: Sequence[str]) -> Said:
    """The peer's answers to these texts. Raises `Missing` when it cannot be installed or does not run."""
    done = subprocess.run(
        [str(peer.environment.python()), "-I", str(PROGRAM), peer.name],
        input="\n".join(json.dumps(text) for text in texts),
        capture_output=True,
        text=True,
        check=False,
        timeout=3_600,
    )
    if done.returncode:
        raise Missing(f"{peer.title} does not run: {done.stderr.strip()[-300:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    spans = [[(str(label), int(start), int(end)) for label, start, end in one] for one in answer["spans"]]
    return Said(version=answer["version"], seconds=answer["seconds"], scores=answer["scores"], spans=spans)
