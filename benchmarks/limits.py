"""What this machine does without the product: the figures that ours stand beside."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def raw_database() -> Iterator[sqlite3.Connection]:
    """SQLite as the product sets it up (WAL, synchronous=FULL), with one table of raw spans under four indexes."""
    with tempfile.TemporaryDirectory(prefix="governance-limit-") as folder:
        connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-32000")
        connection.execute(
            "CREATE TABLE span (id INTEGER PRIMARY KEY, trace_id BLOB, span_id BLOB, session TEXT, started INTEGER,"
            " body BLOB)"
        )
        connection.execute("CREATE UNIQUE INDEX span_key ON span (trace_id, span_id)")
        for column in ("span_id", "session", "started"):
            connection.execute(f"CREATE INDEX span_{column} ON span ({column})")
        try:
            yield connection
        finally:
            connection.close()


def raw_inserts(bodies: Sequence[bytes], *, batch: int = 200) -> float:
    """Rows a second, each batch one durable commit, of rows as large as `bodies`."""
    rows = [
        (
            number,
            hashlib.md5(b"%d" % (number // 4)).digest(),
            number.to_bytes(8, "big"),
            f"s-{number // 8}",
            number,
            body,
        )
        for number, body in enumerate(bodies, start=1)
    ]
    with raw_database() as connection:
        started = time.perf_counter()
        for some in _batches(rows, batch):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO span VALUES (?, ?, ?, ?, ?, ?)", some)
            connection.execute("COMMIT")
        return len(rows) / (time.perf_counter() - started)


def hashes(*, size: int = 200, count: int = 300_000) -> float:
    """SHA-256 over records of `size` bytes, on one core, a second."""
    record = os.urandom(size)
    digest = hashlib.sha256
    started = time.perf_counter()
    for _ in range(count):
        digest(record).digest()
    return count / (time.perf_counter() - started)


def patterns(texts: Iterable[str], expressions: Iterable[str]) -> float:
    """Texts a second through one bare RE2 `Set` pass, on one core."""
    import re2

    options = re2.Options()
    options.max_mem = 256 << 20
    compiled = re2.Set.SearchSet(options)
    for expression in expressions:
        compiled.Add(expression)
    compiled.Compile()
    encoded = list(texts)
    compiled.Match(encoded[0])
    started = time.perf_counter()
    for text in encoded:
        compiled.Match(text)
    return len(encoded) / (time.perf_counter() - started)


def _batches(rows: Sequence[tuple[object, ...]], size: int) -> Iterator[Sequence[tuple[object, ...]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
