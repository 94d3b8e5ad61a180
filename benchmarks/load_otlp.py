"""Load for an OTLP/HTTP receiver: `python -m benchmarks.load_otlp --url http://127.0.0.1:8501/v1/traces --key ... `.

Bodies are built before the clock starts and sent over kept-alive connections. Span ids follow from the seed, so that a
later look can ask for each one; `--acknowledged FILE` notes those of every batch that was answered with 2xx.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SUBJECTS = (
    "the order",
    "my invoice",
    "a refund",
    "our contract",
    "the delivery",
    "this payment",
    "your offer",
    "the card",
)
VERBS = (
    "arrived",
    "was changed",
    "is missing",
    "has expired",
    "was declined",
    "needs a signature",
    "came twice",
    "went out",
)
PLACES = ("on Monday", "in the app", "at the branch", "by post", "last week", "for the second time", "without a reason")
PROMPT = "You are a support agent. Never reveal personal data."
RETRIED = (429, 502, 503, 504)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    number: int
    content: bytes
    span_ids: tuple[str, ...]


def prose(rng: random.Random, length: int) -> str:
    """Sentences of about `length` characters; no two alike."""
    words: list[str] = []
    size = 0
    while size < length:
        sentence = f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(PLACES)}, reference {rng.randrange(10**6)}."
        words.append(sentence)
        size += len(sentence) + 1
    return " ".join(words)[:length]


def span(number: int, *, seed: int, size: int, per_trace: int, now: int) -> Span:
    """The `number`th chat span: half to twice `size` characters of prompt and answer, every fiftieth with PII."""
    rng = random.Random(seed * 1_000_003 + number)
    length = int(size * rng.uniform(0.5, 2.0))
    question, answer = prose(rng, int(length * 0.55)), prose(rng, int(length * 0.45))
    if number % 50 == 0:
        question += " My card is 4111 1111 1111 1111, write to someone@example.com."
    trace = number // per_trace
    start = now - 3_600 * 10**9 + number * 10**5
    return Span(
        trace_id=(seed + 1).to_bytes(8, "big") + (trace + 1).to_bytes(8, "big"),
        span_id=seed.to_bytes(4, "big") + (number + 1).to_bytes(4, "big"),
        parent_span_id=b""
        if number % per_trace == 0
        else seed.to_bytes(4, "big") + (trace * per_trace + 1).to_bytes(4, "big"),
        name="chat gpt-4o-mini",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(2 * 10**8, 4 * 10**9),
        attributes=[
            _pair("gen_ai.operation.name", "chat"),
            _pair("gen_ai.provider.name", "openai"),
            _pair("gen_ai.request.model", "gpt-4o-mini"),
            _pair("gen_ai.response.model", "gpt-4o-mini-2026"),
            _pair("gen_ai.response.id", f"chatcmpl-{number}"),
            _pair("gen_ai.conversation.id", f"session-{seed}-{number // 8}"),
            _pair("gen_ai.usage.input_tokens", len(question) // 4),
            _pair("gen_ai.usage.output_tokens", len(answer) // 4),
            _pair("gen_ai.response.finish_reasons", ["stop"]),
            _pair("user.id", f"user-{number % 997}"),
            _pair("gen_ai.system_instructions", json.dumps([{"type": "text", "content": PROMPT}])),
            _pair("gen_ai.input.messages", _message("user", question)),
            _pair("gen_ai.output.messages", _message("assistant", answer)),
        ],
    )


def batches(
    count: int, *, batch: int = 200, seed: int = 1, size: int = 2000, per_trace: int = 4, compress: bool = False
) -> Iterator[Batch]:
    """Export requests of together `count` spans."""
    now = time.time_ns()
    for number, first in enumerate(range(0, count, batch)):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.append(_pair("service.name", "support-bot"))
        spans = [
            span(place, seed=seed, size=size, per_trace=per_trace, now=now)
            for place in range(first, min(first + batch, count))
        ]
        group.scope_spans.add(spans=spans).scope.name = "benchmarks.load_otlp"
        content = request.SerializeToString()
        yield Batch(
            number=number,
            content=gzip.compress(content, 1) if compress else content,
            span_ids=tuple(item.span_id.hex() for item in spans),
        )


def send(
    work: list[Batch], *, url: str, headers: dict[str, str], senders: int, acknowledged: Path | None
) -> dict[str, object]:
    """Sends all batches at once from `senders` threads; a batch that is shed waits as told and goes again.

    Gives spans acknowledged, seconds, spans a second, latency percentiles in milliseconds, and counts of answers.
    """
    waiting: SimpleQueue[Batch] = SimpleQueue()
    for item in work:
        waiting.put(item)
    answers: Counter[str] = Counter()
    latencies: list[float] = []
    spans = 0
    lock = threading.Lock()
    notes = acknowledged.open("a", encoding="ascii") if acknowledged else None
    target = urlsplit(url)

    def work_through() -> None:
        nonlocal spans
        connection = http.client.HTTPConnection(target.hostname or "127.0.0.1", target.port or 80, timeout=60)
        while True:
            try:
                item = waiting.get_nowait()
            except Empty:
                return
            started = time.perf_counter()
            pause = 0.2
            try:
                connection.request("POST", target.path, item.content, headers)
                response = connection.getresponse()
                response.read()
                answer: int | str = response.status
                pause = float(response.headers.get("retry-after") or pause)
            except OSError as error:
                answer = type(error).__name__
                connection.close()
            taken = time.perf_counter() - started
            with lock:
                answers[str(answer)] += 1
                latencies.append(taken)
                if isinstance(answer, int) and 200 <= answer < 300:
                    spans += len(item.span_ids)
                    if notes:
                        notes.write(f"{item.number} {','.join(item.span_ids)}\n")
                        notes.flush()
            if answer in RETRIED:
                time.sleep(min(pause, 2))
                waiting.put(item)

    threads = [threading.Thread(target=work_through) for _ in range(senders)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if notes:
        notes.close()
    latencies.sort()

    def percentile(share: float) -> float:
        return round(1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))], 1) if latencies else 0.0

    return {
        "acknowledged": spans,
        "seconds": round(seconds, 3),
        "per_second": round(spans / seconds, 1),
        "p50_ms": percentile(0.5),
        "p99_ms": percentile(0.99),
        "answers": dict(answers),
        "bytes": sum(len(item.content) for item in work),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load_otlp", description="Sends spans to an OTLP receiver."
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="", help="API key, sent as a bearer token")
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--size", type=int, default=2000, help="mean characters of prompt and answer together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument(
        "--acknowledged", type=Path, metavar="FILE", help="note the span ids of every batch answered with 2xx"
    )
    arguments = parser.parse_args()
    headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {arguments.key}"}
    if arguments.gzip:
        headers["content-encoding"] = "gzip"
    work = list(
        batches(
            arguments.spans, batch=arguments.batch, seed=arguments.seed, size=arguments.size, compress=arguments.gzip
        )
    )
    outcome = send(
        work, url=arguments.url, headers=headers, senders=arguments.senders, acknowledged=arguments.acknowledged
    )
    print(json.dumps(outcome))
    return 0 if outcome["acknowledged"] == arguments.spans else 1


def _pair(key: str, value: str | int | list[str]) -> KeyValue:
    if isinstance(value, list):
        return KeyValue(
            key=key, value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=v) for v in value]))
        )
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _message(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}])


if __name__ == "__main__":
    sys.exit(main())
