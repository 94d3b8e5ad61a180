"""Spans a second from OTLP/HTTP until they can be queried; memory under that load, and under a gzip bomb."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import sqlite3
import subprocess
import sys
import time
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import limits, load_otlp
from benchmarks.server import Server, running
from benchmarks.table import Row, Table

SPANS = 40_000
SHARE = 0.20
MEMORY = 600
BOMB_MEMORY = 50
MB = 10**6


def run() -> Table:
    raw = [_raw()]
    with running(checking=False) as server:
        recording = _load(server, SPANS)
        recorded = _wait(server, SPANS, "1")
    with running() as server:
        load = _load(server, SPANS)
        started = time.perf_counter()
        checked = _wait(server, SPANS, "status <> 'recorded'")
        until_checked = load["seconds"] + (checked - started if checked > started else 0.0)
        peaks = {part: size / MB for part, size in server.peaks.items()}
        bomb = _bomb(server)
    raw.append(_raw())
    limit = max(raw)
    # 200 means committed, so the last answer and the last row come together; the later of the two counts.
    per_second = SPANS / max(recording["seconds"], recorded - recording["started"])
    return Table(
        title="Ingest",
        rows=(
            Row(
                what="Spans until queryable",
                measured=per_second,
                unit="/s",
                limit=limit,
                limit_is="raw rows, SQLite WAL FULL",
                goal="20 % of the limit",
                met=per_second >= SHARE * limit,
            ),
            Row(what="Answer to a batch of 200, median", measured=recording["p50_ms"], unit="ms"),
            Row(what="Answer to a batch of 200, p99", measured=recording["p99_ms"], unit="ms"),
            Row(what="Spans acknowledged while checking", measured=load["per_second"], unit="/s"),
            Row(what="Spans until checked", measured=SPANS / until_checked, unit="/s"),
            Row(
                what="Peak memory of serve: server, decoder, recorder and worker",
                measured=sum(peaks.values()),
                unit="MB",
                goal=f"under {MEMORY} MB",
                met=0 < sum(peaks.values()) < MEMORY,
            ),
            Row(what="Peak memory of the server alone", measured=peaks.get("server", 0), unit="MB"),
            Row(what="Peak memory of decoder and recorder", measured=peaks.get("recorder", 0), unit="MB"),
            Row(what="Peak memory of the worker", measured=peaks.get("worker", 0), unit="MB"),
            Row(
                what="More memory for a gzip bomb",
                measured=bomb,
                unit="MB",
                goal=f"less than {BOMB_MEMORY} MB",
                met=bomb < BOMB_MEMORY,
            ),
        ),
        notes=(
            f"{SPANS:,} spans of about 3.3 KB in batches of 200 from 4 senders beside the server.",
            "The limit writes the same bytes under four indexes, before and after; the better run counts.",
            "The bomb unpacks to 1 GiB and is refused with 413.",
        ),
    )


def _raw() -> float:
    """Raw inserts of the serialised spans that the load sends."""
    bodies: list[bytes] = []
    for batch in load_otlp.batches(SPANS // 4):
        request = ExportTraceServiceRequest.FromString(batch.content)
        bodies.extend(span.SerializeToString() for span in request.resource_spans[0].scope_spans[0].spans)
    return limits.raw_inserts(bodies)


def _load(server: Server, spans: int) -> dict[str, float]:
    """Runs the generator in a process of its own; its clock starts after it has built the bodies."""
    command = [sys.executable, "-m", "benchmarks.load_otlp", "--url", f"{server.url}/v1/traces", "--key", server.key]
    finished = subprocess.run([*command, "--spans", str(spans)], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"the load was not taken: {finished.stdout}{finished.stderr}")
    outcome: dict[str, float] = json.loads(finished.stdout)
    outcome["started"] = time.perf_counter() - outcome["seconds"]
    return outcome


def _wait(server: Server, count: int, condition: str) -> float:
    """When so many calls were committed and in that state."""
    deadline = time.perf_counter() + 300
    connection = sqlite3.connect(server.database)
    try:
        while time.perf_counter() < deadline:
            now = time.perf_counter()
            (found,) = connection.execute(f"SELECT count(*) FROM call WHERE {condition}").fetchone()
            if found >= count:
                return now
            time.sleep(0.05)
    finally:
        connection.close()
    raise RuntimeError(f"only {found} of {count} calls after five minutes")


def _bomb(server: Server) -> float:
    """How much more memory server, decoder and recorder take, in MB, when a small body unpacks to one GiB."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as archive:
        zeros = bytes(2**24)
        for _ in range(64):
            archive.write(zeros)
    server.reset()
    server.sample()
    before = _taking_in(server)
    target = urlsplit(server.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
    headers = {
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
        "authorization": f"Bearer {server.key}",
    }
    connection.request("POST", "/v1/traces", packed.getvalue(), headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.REQUEST_ENTITY_TOO_LARGE:
        raise RuntimeError(f"the bomb was answered with {answer.status}")
    time.sleep(0.2)
    return (_taking_in(server) - before) / MB


def _taking_in(server: Server) -> int:
    """Peak bytes of the processes that a body goes through."""
    return server.peaks["server"] + server.peaks["recorder"]
