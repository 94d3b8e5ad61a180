"""Decoding alone: export requests of the ingest load to calls, on one core."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from benchmarks.load_otlp import batches
from benchmarks.table import Row, Table
from governance.ingest import wire_protobuf
from governance.ingest.otlp import decode_traces

SPANS = 6_000
ROUNDS = 5
GOAL = 25_000
LIMIT = 20 * 2**20


def run() -> Table:
    """Spans a second of CPU, the best of some rounds; beside it walking the same protobuf and writing it as JSON."""
    bodies = [batch.content for batch in batches(SPANS)]

    def walk() -> None:
        for body in bodies:
            for span in wire_protobuf.spans(body):
                json.dumps(span.attributes)

    def decode() -> None:
        for body in bodies:
            decode_traces(body, "application/x-protobuf", limit=LIMIT)

    walked, decoded = _best(walk), _best(decode)
    return Table(
        title="Decoding",
        rows=(
            Row(
                what="OTLP protobuf to calls",
                measured=decoded,
                unit="spans/s",
                limit=walked,
                limit_is="walk the same protobuf, write its attributes as JSON",
                goal=f"at least {GOAL:,} spans/s of one core",
                met=decoded >= GOAL,
            ),
        ),
        notes=("One core's time, not the clock's: other work on the machine does not count.",),
    )


def _best(work: Callable[[], None]) -> float:
    best = 0.0
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        best = max(best, SPANS / (time.process_time() - started))
    return best
