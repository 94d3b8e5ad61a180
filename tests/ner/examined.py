"""Run in the environment with the extra: examines texts without a network, and prints what was found as JSON."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from governance.detectors import registry
from governance.detectors.interface import DetectorUse
from governance.domain.content import Content, ContentKind
from governance.privacy.redaction import Redactor

TEXTS = (
    "My name is Anna Schmidt and I moved from Berlin to Chicago last year.",
    "Please call jane.doe@example.com, says Michael Johnson of Microsoft.",
    "The premium is due on the first of the month.",
    "\ud800 Anna Schmidt \u200b",
    "Nothing here. " * 2_000 + "Barack Obama lives in Hawaii. " + "Nothing here. " * 500,
)


def refuse(*_: Any, **__: Any) -> None:
    raise OSError("no network in this test")


def main() -> None:
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    runner = registry.build(
        [DetectorUse(name="presidio", options={"on": "flagged"}), DetectorUse(name="pii")], thorough=False
    )
    thorough = registry.build([DetectorUse(name="presidio"), DetectorUse(name="pii")], thorough=True)
    answers = []
    for text in TEXTS:
        content = Content(kind=ContentKind.MESSAGE, text=text, role="user")
        examination = thorough.examine(content)
        answers.append(
            {
                "found": [
                    [one.detector, one.label, text[one.start : one.end].encode("utf-8", "replace").decode()]
                    for one in examination.findings
                ],
                "failures": [one.reason for one in examination.failures],
                "skipped": list(runner.examine(content).skipped),
                "redacted": Redactor().redact(text, examination.findings).encode("utf-8", "replace").decode()[:200],
            }
        )
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
