"""The scanner host's program: run by the scanners' own Python, as `python -I program.py`.

The console never imports it.

It reads frames from standard input and answers on standard output: four bytes, big-endian, of length, then JSON.

    in   {"engine": "llm_guard", "memory": bytes, "scanners": {key: {...}}}      once
    out  {"ready": {"versions": {...}, "missing": {key: why}}}                    once, when everything is loaded
    in   {"id": 1, "texts": ["..."], "jobs": [{"scanner": key, "items": [[text, prompt], ...]}]}
    out  {"id": 1, "results": [[result, ...], ...]}

`text` and `prompt` are places in `texts`, the prompt -1 where there is none. A result is `{"found": [{"score": 0.9,
"start": 0, "end": 4, "label": "INJECTION", "data": {...}}]}`, offsets in code points, or `{"error": "ValueError"}`:
only the class, since an error's words may quote the text. Only the standard library is used here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import signal
import struct
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

LONGEST = 256 << 20


def main() -> None:
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what a library prints must not reach the answers, nor any log
        os.dup2(nothing, descriptor)
    _die_with_parent()
    frames: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, frames), daemon=True).start()
    configuration = frames.get()
    _limit(int(configuration.get("memory") or 0))
    engine = _engine(configuration["engine"])
    scanners, missing, versions = engine.load(configuration["scanners"])
    _write(target, {"ready": {"versions": versions, "missing": missing}})
    while True:
        request = frames.get()
        _write(
            target,
            {"id": request["id"], "results": [_work(job, request["texts"], scanners) for job in request["jobs"]]},
        )


def _work(job: dict[str, Any], texts: list[str], scanners: dict[str, Any]) -> list[dict[str, Any]]:
    scan = scanners[job["scanner"]]
    items = [(texts[text], texts[prompt] if prompt >= 0 else "") for text, prompt in job["items"]]
    try:
        results: list[dict[str, Any]] = scan(items)
        return results
    except Exception:  # of one text: the others are none the worse for it
        return [_alone(scan, item) for item in items]


def _alone(scan: Any, item: tuple[str, str]) -> dict[str, Any]:
    try:
        result: dict[str, Any] = scan([item])[0]
        return result
    except Exception as error:
        return {"error": type(error).__name__}


def _read(source: BinaryIO, frames: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Reads ahead, so that the end of the parent is seen also while a scanner works."""
    try:
        while len(head := source.read(4)) == 4:
            (length,) = struct.unpack(">I", head)
            body = source.read(length)
            if length > LONGEST or len(body) < length:
                break
            frames.put(json.loads(body))
    finally:
        os._exit(0)


def _write(target: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message, separators=(",", ":")).encode()
    target.write(struct.pack(">I", len(body)) + body)
    target.flush()


def _die_with_parent() -> None:
    """On Linux, at once, even in the middle of foreign code; elsewhere when standard input ends."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit(memory: int) -> None:
    """What is allocated beyond `memory` bytes fails here; the parent also watches what is resident."""
    with contextlib.suppress(OSError):
        os.nice(5)
    if memory and sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _engine(name: str) -> Any:
    """The module `engine_NAME.py` beside this file: isolated Python has no folder of the script on its path."""
    file = Path(__file__).with_name(f"engine_{name}.py")
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[file.stem] = module
    specification.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
