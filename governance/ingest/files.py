"""Files for `governance ingest`: OTLP bodies and JSON lines, our own JSON lines, OpenAI's and LiteLLM's.

A file is read in pieces; a bad line is a problem with its place, and the next line is read. Nothing in a file decides
which ids a call gets at random: the same file imported twice is the same calls.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from governance.domain.calls import Call, ContentEvent
from governance.errors import BadInput, TooLarge
from governance.ingest import otlp, wire_json, wire_protobuf
from governance.ingest.batch import Batch
from governance.ingest.formats import litellm, openai, own
from governance.ingest.text import clipped, storable, why_no_json

FORMATS = ("auto", "otlp", "jsonl", "openai", "litellm")
BATCH = 200
MAX_LINE = 64 * 2**20
MAX_DOCUMENT = 512 * 2**20


def decode_file(source: Path | bytes, format: str = "auto", *, system: str = "", name: str = "") -> Iterator[Batch]:
    """Batches of one file, in order. `name` is what problems call it (default: the path). Problems are
    `file:line: what is wrong`; a bad line does not stop the others. BadInput when nothing of the file can be read."""
    importer = Importer(format, system=system)
    yield from importer.decode(source, name=name)
    yield from importer.finish()


class Importer:
    """Reads several files as one import: a batch's input file and its output file belong together (by `custom_id`).

    Call `decode` for each file, then `finish` for what was asked and never answered.
    """

    def __init__(self, format: str = "auto", *, system: str = "") -> None:
        if format not in FORMATS:
            raise BadInput(f"{format[:40]!r} is not a format.", advice=f"Use one of {', '.join(FORMATS)}.")
        self._format = format
        self._system = system
        self._requests: dict[str, dict[str, Any]] = {}
        self._responses: dict[str, dict[str, Any]] = {}

    def decode(self, source: Path | bytes, *, name: str = "") -> Iterator[Batch]:
        """Batches of one file. BadInput when it cannot be opened or nothing in it is readable."""
        name = name or (source.name if isinstance(source, Path) else "input")
        try:
            with _opened(source) as stream:
                yield from self._decode(stream, name)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BadInput(f"{name}: the gzip data is corrupt ({error}).", advice="Copy the file again.") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise BadInput(
                f"{name}: cannot be read ({reason}).", advice="Check the path and its permissions."
            ) from None

    def finish(self) -> Iterator[Batch]:
        """Batch requests without an answer, and answers without their request."""
        calls = [openai.join(line, None, self._system) for line in self._requests.values()]
        calls += [openai.join(None, line, self._system) for line in self._responses.values()]
        self._requests.clear()
        self._responses.clear()
        for start in range(0, len(calls), BATCH):
            yield Batch(calls=tuple(calls[start : start + BATCH]))

    def _decode(self, stream: IO[bytes], name: str) -> Iterator[Batch]:
        head = stream.read(1 << 16)
        if not head.strip():
            return
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text[:1] not in (b"{", b"["):
            if self._format not in ("auto", "otlp"):
                raise BadInput(f"{name}:1: no JSON object.", advice="Check --format.")
            yield _named(self._protobuf(_whole(head, stream, name), name), name)
            return
        first = text.partition(b"\n")[0]
        if text[:1] == b"[" or (len(first) < len(text) and not _is_object(first) and _is_start(first)):
            yield from self._document(_whole(head, stream, name), name)
            return
        yield from self._lines(_lines(head, stream), name)

    def _protobuf(self, data: bytes, name: str) -> Batch:
        """A request body: of traces if it reads as such and has a span in it, else of logs."""
        try:
            batch = otlp.traces(wire_protobuf.spans(data), self._system)
            if batch.calls:
                return batch
        except BadInput:
            batch = Batch()
        try:
            logs = otlp.logs(wire_protobuf.logs(data), self._system)
        except BadInput:
            logs = Batch()
        if logs.content_events:
            return logs
        if batch.rejected or logs.rejected:
            return batch if batch.rejected else logs
        raise BadInput(f"{name}: no OTLP body with spans or GenAI log events, and no JSON.", advice="Check --format.")

    def _document(self, data: bytes, name: str) -> Iterator[Batch]:
        """One JSON document over several lines: an object, or a list of them."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            reason = clipped(why_no_json(error), 200)
            raise BadInput(f"{name}:{line}: no JSON ({reason}).", advice="Check the file.") from None
        items = document if isinstance(document, list) else [document]
        yield from self._items(((f"{name}: item {i}", item) for i, item in enumerate(items, 1)))

    def _lines(self, lines: Iterator[tuple[int, bytes]], name: str) -> Iterator[Batch]:
        def parsed() -> Iterator[tuple[str, Any]]:
            for number, line in lines:
                at = f"{name}:{number}"
                if len(line) > MAX_LINE:
                    yield at, BadInput(f"the line has more than {MAX_LINE} bytes")
                elif line.strip():
                    try:
                        yield at, json.loads(line)
                    except (ValueError, RecursionError) as error:
                        column = getattr(error, "colno", 0)
                        reason = getattr(error, "msg", None) or why_no_json(error)
                        place = f" at column {column}" if column else ""
                        yield at, BadInput(f"no JSON: {clipped(reason, 200)}{place}")

        yield from self._items(parsed())

    def _items(self, items: Iterator[tuple[str, Any]]) -> Iterator[Batch]:
        calls: list[Call] = []
        events: list[ContentEvent] = []
        problems: list[str] = []
        rejected = 0
        for at, item in items:
            try:
                if isinstance(item, BadInput):
                    raise item
                batch = self._item(item)
            except BadInput as error:
                rejected += 1
                problems.append(f"{at}: {error.message}")
            else:
                calls.extend(batch.calls)
                events.extend(batch.content_events)
                rejected += batch.rejected
                problems.extend(f"{at}: {problem}" for problem in batch.problems)
            if len(calls) + len(events) + len(problems) >= BATCH:
                yield Batch(
                    calls=tuple(calls), content_events=tuple(events), rejected=rejected, problems=tuple(problems)
                )
                calls, events, problems, rejected = [], [], [], 0
        if calls or events or problems:
            yield Batch(calls=tuple(calls), content_events=tuple(events), rejected=rejected, problems=tuple(problems))

    def _item(self, item: Any) -> Batch:
        if not isinstance(item, dict):
            raise BadInput("an object is needed.")
        format = self._format if self._format != "auto" else _format_of(item)
        if format == "otlp":
            if "resourceSpans" not in item and "resourceLogs" not in item:
                raise BadInput("neither resourceSpans nor resourceLogs is in the object.")
            traces = otlp.traces(wire_json.spans(item), self._system) if "resourceSpans" in item else Batch()
            logs = otlp.logs(wire_json.logs(item), self._system) if "resourceLogs" in item else Batch()
            return Batch(
                calls=traces.calls,
                content_events=logs.content_events,
                rejected=traces.rejected + logs.rejected,
                problems=(*traces.problems, *logs.problems),
            )
        if format == "litellm":
            return Batch(calls=(litellm.decode(item, self._system),))
        if format == "openai":
            return self._openai(item)
        return Batch(calls=(own.decode(item, self._system),))

    def _openai(self, item: dict[str, Any]) -> Batch:
        side, key = openai.custom_id(item)
        if side == "request":
            answer = self._responses.pop(key, None)
            if answer is None:
                if key in self._requests:
                    raise BadInput(
                        f"custom_id {clipped(storable(key), 60)!r} is there twice without an answer between."
                    )
                self._requests[key] = item
                return Batch()
            return Batch(calls=(openai.join(item, answer, self._system),))
        if side == "response":
            request = self._requests.pop(key, None)
            if request is None:
                if key in self._responses:
                    raise BadInput(f"custom_id {clipped(storable(key), 60)!r} is answered twice.")
                self._responses[key] = item
                return Batch()
            return Batch(calls=(openai.join(request, item, self._system),))
        return Batch(calls=(openai.decode(item, self._system),))


def _format_of(item: dict[str, Any]) -> str:
    if "resourceSpans" in item or "resourceLogs" in item:
        return "otlp"
    if litellm.looks_like(item):
        return "litellm"
    if openai.looks_like(item):
        return "openai"
    if own.looks_like(item):
        return "jsonl"
    keys = ", ".join(sorted(clipped(storable(str(key)), 30) for key in item)[:8])
    raise BadInput(f"no known format (it has: {keys or 'nothing'}); say which with --format.")


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where it is gzip; both are closed at the end."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as raw:
        magic = raw.read(2)
        raw.seek(0)
        if magic == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            yield raw


def _whole(head: bytes, stream: IO[bytes], name: str) -> bytes:
    data = head + stream.read(MAX_DOCUMENT + 1 - len(head))
    if len(data) > MAX_DOCUMENT:
        raise TooLarge(f"{name}: more than {MAX_DOCUMENT} bytes in one document.", advice="Use JSON lines.")
    return data.removeprefix(b"\xef\xbb\xbf")


def _lines(head: bytes, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, each of at most `MAX_LINE` + 1 bytes: the rest of a longer one is skipped."""
    buffer = head.removeprefix(b"\xef\xbb\xbf")
    number = 0
    while True:
        lines = buffer.split(b"\n")
        buffer = lines.pop()
        for line in lines:
            number += 1
            yield number, line
        if len(buffer) > MAX_LINE:
            number += 1
            yield number, buffer
            buffer = b"\n"
            while buffer and b"\n" not in (buffer := stream.read(1 << 20)):
                pass
            buffer = buffer.partition(b"\n")[2]
            continue
        piece = stream.readline(MAX_LINE + 1)
        if not piece:
            break
        buffer += piece
    if buffer:
        yield number + 1, buffer


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_start(line: bytes) -> bool:
    """Whether a line that is no whole object could be the first of an object over several lines."""
    return line.strip() in (b"{", b"[") or line.rstrip().endswith((b"{", b"[", b","))


def _named(batch: Batch, name: str) -> Batch:
    return Batch(
        calls=batch.calls,
        content_events=batch.content_events,
        rejected=batch.rejected,
        problems=tuple(f"{name}: {problem}" for problem in batch.problems),
    )
