"""A scanner host that does what a text or its configuration tells it: for tests of the parent, run as a process."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

source, target = sys.stdin.buffer, sys.stdout.buffer


def read() -> dict[str, Any]:
    head = source.read(4)
    if len(head) < 4:
        sys.exit(0)
    message: dict[str, Any] = json.loads(source.read(struct.unpack(">I", head)[0]))
    return message


def write(message: object) -> None:
    body = json.dumps(message).encode()
    target.write(struct.pack(">I", len(body)) + body)
    target.flush()


def result(text: str) -> dict[str, Any]:
    if "error" in text:
        return {"error": "ValueError"}
    if "spy" in text:
        return {"found": [{"score": 1.0, "start": 0, "end": 0, "label": " ".join(sorted(os.environ))[:190]}]}
    at = text.find("odd")
    found = {"score": 0.75, "start": at, "end": at + 3, "label": "ODD", "data": {"risk": 0.5}}
    return {"found": [found] if at >= 0 else []}


def misbehave(text: str) -> None:
    if "hang" in text:
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        Path(settings["notes"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    if "crash" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "leave" in text:
        sys.exit(3)
    if "eat" in text:
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1 << 20)) * 16)
    if "prose" in text:
        target.write(b"I have looked at it, and it is fine.")
        target.flush()
    if "shape" in text:
        write({"id": request["id"], "results": []})
    if "huge" in text:
        target.write(struct.pack(">I", 1 << 31))
        target.flush()
        time.sleep(600)
    if "score" in text:
        write({"id": request["id"], "results": [[{"found": [{"score": 7, "start": 0, "end": 1}]}]]})
    if "old" in text:
        write({"id": request["id"] - 1, "results": [[result(text)]]})


settings = read()["scanners"]["settings"]
if (mode := settings.get("start")) == "hang":
    time.sleep(600)
elif mode == "nonsense":
    write(["ready"])
elif mode == "fail":
    sys.exit(7)
elif mode == "once":  # the first start fails, later ones work
    if not Path(settings["notes"]).exists():
        Path(settings["notes"]).touch()
        sys.exit(7)
elif mode == "slow":
    time.sleep(0.5)
write({"ready": {"versions": {"fake": "1"}, "missing": settings.get("missing", {})}})
while True:
    request = read()
    for text in request["texts"]:
        misbehave(text)
    if any("slow" in text for text in request["texts"]):
        time.sleep(0.4)
    write(
        {
            "id": request["id"],
            "results": [[result(request["texts"][text]) for text, _ in job["items"]] for job in request["jobs"]],
        }
    )
