"""Turns records into calls and content events: one walk over the attributes, then the conventions in their order."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from governance.domain.calls import UNKNOWN_SYSTEM, Call, CallKind, ContentEvent, EndUser, Release, Usage
from governance.domain.times import EPOCH
from governance.ingest import conventions
from governance.ingest.bodies import error_of, opened, usage_of
from governance.ingest.bounds import bounded
from governance.ingest.conventions import gen_ai, general, mcp, openinference, openllmetry, others, vercel
from governance.ingest.flattened import LISTS, gathered
from governance.ingest.records import STATUS_ERROR, STATUS_OK, Attributes, LogRecord, Origin, SpanEvent, SpanRecord
from governance.ingest.text import (
    as_integer,
    as_json,
    as_text,
    as_texts,
    clipped,
    identity,
    label,
    storable,
    structure,
    unquoted,
)
from governance.ingest.transcript import Transcript

TABLE = conventions.table()
NAMES = conventions.names()
CONTENT = frozenset(name for convention in conventions.ORDER for name, field in convention.FIELDS.items() if not field)
_EARLIEST = 946_684_800_000_000_000  # 2000-01-01
_LATEST = 4_102_444_800_000_000_000  # 2100-01-01
_LONGEST = 366 * 86_400 * 1_000_000_000
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}\Z")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}\Z")
_RESOURCE = frozenset(
    {"deployment.environment.name", "deployment.environment", "service.namespace", "service.instance.id"}
    | {"cloud.provider", "cloud.region", "host.name", "k8s.namespace.name", "k8s.cluster.name", "k8s.deployment.name"}
    | {"vcs.ref.head.revision", "openinference.project.name"}
)
_VECTOR_STORES = frozenset(
    {"pinecone", "chroma", "chromadb", "qdrant", "weaviate", "milvus", "marqo", "lancedb", "vectara", "faiss"}
)
_COLLECTION = ("db.collection.name", "db.qdrant.collection", "db.milvus.search.collection_name", "db.namespace")


class Source:
    """What a resource and a scope state about all their records; made once for each."""

    __slots__ = ("attributes", "release", "system")

    def __init__(self, origin: Origin, system: str) -> None:
        resource = origin.resource
        self.system = system or system_of(resource)
        revision = resource.get("service.version") or resource.get("vcs.ref.head.revision")
        self.release = label(revision, 200)
        kept: Attributes = {"resource." + key: resource[key] for key in resource if key in _RESOURCE}
        if origin.scope:
            kept["otel.scope.name"] = origin.scope
        if origin.scope_version:
            kept["otel.scope.version"] = origin.scope_version
        self.attributes = bounded(kept)


def system_of(resource: Attributes) -> str:
    """`service.name` (the SDK's placeholder `unknown_service...` is no name), else the OpenInference project."""
    for name in ("service.name", "openinference.project.name", "project.name"):
        value = identity(resource.get(name), 200)
        if value and not value.startswith("unknown_service"):
            return value
    return UNKNOWN_SYSTEM


def problem_of_ids(trace_id: str, span_id: str) -> str:
    """Why a record cannot be identified, or ""."""
    if _TRACE_ID.match(trace_id) and _SPAN_ID.match(span_id):
        return ""
    for what, value, pattern, length in (("trace id", trace_id, _TRACE_ID, 32), ("span id", span_id, _SPAN_ID, 16)):
        if not value:
            return f"has no {what}"
        if not pattern.match(value):
            if value == "0" * length:
                return f"has a {what} of zeros only"
            return f"has a {what} that is not {length} hex digits: {clipped(storable(value), 40)!r}"
    return ""


def call_of(span: SpanRecord, source: Source) -> Call:
    """The call of a span. Its ids have been checked; nothing else in it can make this fail."""
    attributes = span.attributes
    fields: dict[str, Any] = {}
    rest: Attributes = {}
    present = 0
    flattened = False
    lookup = TABLE.get
    for key, value in attributes.items():
        hit = lookup(key)
        if hit is None:
            rest[key] = value
            if not flattened and key.startswith(LISTS):
                flattened = True
        elif value is not None and value != "":
            field, convention = hit
            present |= convention
            fields[field] = value if field not in fields else _first(attributes, NAMES[field])
    notes: list[str] = []
    events = span.events
    lists = gathered(rest) if flattened else {}
    transcript = Transcript()
    if "metadata" in fields and (metadata := structure(fields["metadata"])):
        rest["metadata"] = metadata
        if isinstance(metadata, dict):
            for key, field in general.METADATA.items():
                if metadata.get(key) and not isinstance(metadata[key], (dict, list)):
                    fields.setdefault(field, metadata[key])
    if "mlflow_kind" in fields:  # MLflow writes every value as JSON
        fields = {field: unquoted(value) for field, value in fields.items()}
    kind = _kind(fields, rest, lists)
    _read(span, kind, present, fields, rest, lists, transcript)
    if flattened:
        gen_ai.read_variables(rest, transcript)

    requested, responded = fields.get("request_model"), fields.get("response_model")
    if not (requested or responded):
        requested = openinference.requested_model(rest)
    model = label(responded or requested, 200)
    if responded and requested and requested != responded:
        rest["gen_ai.request.model"] = requested
    definitions = fields.get("tool_definitions") or _schemas(lists) or transcript.tools
    if definitions:
        rest["gen_ai.tool.definitions"] = definitions
    started, duration = _times(span, notes)
    parent = span.parent_span_id
    if parent and not _SPAN_ID.match(parent):
        if parent.strip("0"):
            notes.append("parent span id is not 16 hex digits")
        parent = ""
    reasons = as_texts(fields["finish_reasons"]) if "finish_reasons" in fields else transcript.finish_reasons
    captured = transcript.captured
    if not captured and present:
        _put_back(attributes, rest)
    if events:
        kept = [event for event in events if event.name not in gen_ai.EVENTS and event.name not in _READ_EVENTS]
        if kept:
            rest["events"] = [_event(event, span.start) for event in kept]
    if notes:
        rest["governance.notes"] = notes
    return Call(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=parent,
        kind=kind,
        name=label(span.name, 200),
        system=source.system,
        release=_release(source.release, model if kind in _MODEL_KINDS else "", fields, rest, kind, definitions),
        session_id=identity(fields.get("session"), 200),
        user=_user(fields),
        started_at=started,
        duration_ms=duration,
        model=model,
        provider=label(fields.get("provider"), 100),
        usage=_usage(fields),
        error=_error(span, fields),
        finish_reasons=tuple([label(reason, 60).removeprefix("FinishReason.") for reason in reasons]),
        content_captured=captured,
        input=transcript.inputs,
        output=tuple(transcript.output),
        documents=tuple(transcript.documents),
        tool_calls=transcript.tool_calls(),
        attributes={**bounded(rest), **source.attributes} if rest else source.attributes,
    )


def _first(attributes: Attributes, names: tuple[str, ...]) -> Any:
    return next(value for name in names if (value := attributes.get(name)) is not None and value != "")


def event_of(record: LogRecord, source: Source) -> ContentEvent | None:
    """The content event a log record is; None when it is none, or carries nothing (content capture is off)."""
    name = event_name(record)
    transcript = Transcript(fragment=True)
    attributes = record.attributes
    if name in gen_ai.EVENTS:
        content = attributes.get("gen_ai.event.content")
        gen_ai.read_event(name, record.body if content is None else content, attributes, transcript)
    inputs, calls = transcript.inputs, transcript.tool_calls()
    reasons: list[str] = transcript.finish_reasons
    if not reasons and "gen_ai.response.finish_reasons" in attributes:
        reasons = list(as_texts(attributes["gen_ai.response.finish_reasons"]))
    if not (inputs or calls or transcript.output or transcript.documents or reasons or name in _JUDGEMENTS):
        return None
    fields: dict[str, Any] = {}
    rest: Attributes = {}
    for key, value in attributes.items():
        hit = TABLE.get(key)
        field = hit[0] if hit else ""
        if field in ("provider", "session", "user", "role"):
            fields.setdefault(field, value)
        elif key not in _EVENT_CONTENT:
            rest[key] = value
    if name in _JUDGEMENTS and record.body is not None:
        rest["body"] = record.body
    return ContentEvent(
        trace_id=record.trace_id,
        span_id=record.span_id,
        system=source.system,
        at=EPOCH + timedelta(microseconds=record.time // 1000) if _EARLIEST <= record.time < _LATEST else EPOCH,
        name=label(name, 200),
        provider=label(fields.get("provider"), 100),
        session_id=identity(fields.get("session"), 200),
        user=_user(fields),
        input=inputs,
        output=tuple(transcript.output),
        documents=tuple(transcript.documents),
        tool_calls=calls,
        finish_reasons=tuple([label(reason, 60) for reason in reasons]),
        attributes=bounded(rest) if rest else {},
    )


def event_name(record: LogRecord) -> str:
    """A log record's event name, of the field or of the older attribute; "" for an ordinary log line."""
    return record.event_name or as_text(record.attributes.get("event.name"))


def is_content_event(record: LogRecord) -> bool:
    """Whether a log record is one of ours to read: all others are an application's own log."""
    name = event_name(record)
    return name in gen_ai.EVENTS or name in _JUDGEMENTS


_MODEL_KINDS = frozenset({CallKind.LLM, CallKind.EMBEDDING, CallKind.RETRIEVAL, CallKind.AGENT, CallKind.OTHER})
_READ_EVENTS = frozenset({"db.query.result", "db.search.result"})
_JUDGEMENTS = frozenset({"gen_ai.evaluation.result"})
_EVENT_CONTENT = frozenset(
    {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.retrieval.documents"}
    | {"gen_ai.event.content", "gen_ai.prompt", "gen_ai.completion", "event.name"}
)


def _read(
    span: SpanRecord,
    kind: CallKind,
    present: int,
    fields: dict[str, Any],
    rest: Attributes,
    lists: dict[str, list[Any]],
    transcript: Transcript,
) -> None:
    """Content, from the conventions in their order: structured first, whole bodies last."""
    events = span.events
    if "logfire_step" in fields:
        for own, field in (("name", "tool_name"), ("input", "input.value"), ("output", "output.value")):
            if own in rest:
                fields.setdefault(field, rest.pop(own))
    if kind is CallKind.TOOL:
        _read_tool(span, fields, rest, transcript)
        events = []
    if present & conventions.GEN_AI or events:
        gen_ai.read(fields, events, transcript)
    if present & conventions.OPENINFERENCE or lists:
        openinference.read(fields, lists, transcript)
    if lists or events:
        openllmetry.read(lists, kind, events, transcript)
    if present & conventions.VERCEL:
        vercel.read(fields, transcript)
    if present & conventions.OTHERS:
        others.read(fields, kind, transcript)
    if "prompt_variables" in fields:
        variables = structure(fields["prompt_variables"])
        for value in variables.values() if isinstance(variables, dict) else ():
            gen_ai.read_variable(value, transcript)
        rest["llm.prompt_template.variables"] = variables
    if present & conventions.GEN_AI:
        gen_ai.read_late(fields, kind, transcript)
    if present & conventions.OPENLLMETRY:
        openllmetry.read_late(fields, kind, transcript)
    if present & conventions.OPENINFERENCE:
        openinference.read_late(fields, kind, transcript)
    if not transcript.heard and kind in _PARAMETERS:
        openinference.read_parameters(rest, transcript)


_PARAMETERS = (CallKind.LLM, CallKind.EMBEDDING)
_GIVEN = (
    *("tool_arguments", "input.value", "traceloop.entity.input", "langfuse.observation.input", "mlflow.spanInputs"),
    *("gen_ai.prompt", "tool.parameters"),
)
_GOT = (
    *("tool_result", "output.value", "traceloop.entity.output", "langfuse.observation.output", "mlflow.spanOutputs"),
    "gen_ai.completion",
)


def _read_tool(span: SpanRecord, fields: dict[str, Any], rest: Attributes, transcript: Transcript) -> None:
    """A tool's own span: what it was given and gave back, wherever that stands. It is read as nothing else."""
    for event in span.events:  # as Strands sends them
        for name, key, field in (
            ("gen_ai.tool.message", "content", "tool_arguments"),
            ("gen_ai.choice", "message", "tool_result"),
        ):
            if event.name == name and key in event.attributes:
                fields.setdefault(field, event.attributes[key])
    arguments, result = (next((fields[k] for k in names if k in fields), None) for names in (_GIVEN, _GOT))
    if "tool_name" in fields or arguments is not None or result is not None:
        name = fields.get("tool_name") or rest.get("traceloop.entity.name") or _tool_name(span.name)
        transcript.tool(fields.get("tool_id"), name, _opened(arguments), _opened(result))
    for field in (*_GIVEN, *_GOT):
        fields.pop(field, None)


def _opened(value: Any) -> Any:
    """The content of a wrapper; the value as it was sent where there is none."""
    parsed = structure(value)
    inner = opened(parsed)
    return value if inner is parsed else inner


def _kind(fields: dict[str, Any], rest: Attributes, lists: dict[str, list[Any]]) -> CallKind:
    """By what the conventions say, else by what there is; a call of an embedding model is one, whatever they say."""
    kind = _kind_said(fields, rest, lists)
    if kind is CallKind.LLM:
        model = fields.get("response_model") or fields.get("request_model")
        if model and "embed" in as_text(model).lower():
            return CallKind.EMBEDDING
    return kind


def _kind_said(fields: dict[str, Any], rest: Attributes, lists: dict[str, list[Any]]) -> CallKind:
    for field, kinds in _KINDS:
        if field in fields:
            value = fields[field]
            if isinstance(value, str) and (kind := kinds.get(value.lower())) is not None:
                return kind
    if isinstance(operation := fields.get("vercel_operation"), str):
        return CallKind(vercel.kind_of(operation))
    if isinstance(component := fields.get("haystack_type"), str):
        return CallKind(others.kind_of(component))
    if isinstance(method := fields.get("mcp_method"), str):
        return CallKind(mcp.KINDS.get(method, "other"))
    if not fields and not lists:
        return CallKind.RETRIEVAL if _is_vector_query(rest) else CallKind.OTHER
    if "tool_name" in fields and ("tool_arguments" in fields or "tool_result" in fields):
        return CallKind.TOOL
    if "embedding.embeddings" in lists:
        return CallKind.EMBEDDING
    if "retrieval.documents" in lists or "gen_ai.retrieval.documents" in fields or _is_vector_query(rest):
        return CallKind.RETRIEVAL
    if _RUNS & fields.keys():
        return CallKind.AGENT
    if fields.get("response_model") or fields.get("request_model"):
        return CallKind.LLM
    if _SPOKEN & lists.keys() or _SPOKEN & fields.keys():
        return CallKind.LLM
    return CallKind.OTHER


def _by_name(kinds: dict[str, str]) -> dict[str, CallKind]:
    return {name: CallKind(kind) for name, kind in kinds.items()}


_KINDS = (
    ("langsmith_kind", _by_name(others.KINDS)),  # it writes an operation too, and a poorer one
    ("operation", _by_name(gen_ai.KINDS)),
    ("openinference_kind", _by_name(openinference.KINDS)),
    ("request_type", _by_name(openllmetry.REQUEST_KINDS)),
    ("traceloop_kind", _by_name(openllmetry.KINDS)),
    ("langfuse_kind", _by_name(others.KINDS)),
    ("spring_kind", _by_name(gen_ai.SPRING_KINDS)),
    ("mlflow_kind", _by_name(others.KINDS)),
    ("logfire_step", _by_name(others.LOGFIRE_STEPS)),
)
_RUNS = {"pydantic_ai.all_messages", "all_messages_events"}
_SPOKEN = {"llm.input_messages", "llm.output_messages", "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages"}


def _is_vector_query(rest: Attributes) -> bool:
    store = rest.get("db.system.name") or rest.get("db.system")
    return isinstance(store, str) and (store.lower() in _VECTOR_STORES or "db.vector.query.top_k" in rest)


def _tool_name(span_name: str) -> str:
    return span_name.removeprefix("execute_tool ").removesuffix(".tool")


def _times(span: SpanRecord, notes: list[str]) -> tuple[datetime, float | None]:
    """Start in UTC and duration in milliseconds. A time outside 2000 to 2100 is none; the start then is the end, the
    first event with a time, or 1970: the same for a resend, which a clock would not be."""
    start, end = span.start, span.end
    if _EARLIEST <= start < _LATEST:
        at = start
        if not end:
            notes.append("no end time")
        elif end < start:
            notes.append("end time is before the start time")
        elif end >= _LATEST or end - start > _LONGEST:
            notes.append(f"end time is not usable: {end} ns")
        else:
            return EPOCH + timedelta(microseconds=start // 1000), (end - start) / 1e6
    else:
        notes.append(f"start time is not usable: {start} ns" if start else "no start time")
        times = (end, *(event.time for event in span.events))
        at = next((time for time in times if _EARLIEST <= time < _LATEST), 0)
    return EPOCH + timedelta(microseconds=at // 1000), None


def _error(span: SpanRecord, fields: dict[str, Any]) -> str:
    """`type: message` of a call that failed, at most 1,000 code points; "" for one that did not."""
    if (
        span.status != STATUS_ERROR
        and not span.events
        and "error_type" not in fields
        and "exception_type" not in fields
    ):
        return ""
    exception = next((event.attributes for event in reversed(span.events) if event.name == "exception"), {})
    kind = as_text(fields.get("error_type") or exception.get("exception.type") or fields.get("exception_type"))
    if span.status != STATUS_ERROR and (span.status == STATUS_OK or not (kind or exception)):
        return ""
    message = span.status_message or as_text(exception.get("exception.message") or fields.get("exception_message"))
    message = (error_of(structure(message)) or message).partition("Traceback (most recent call last)")[0]
    short = kind.rpartition(".")[2]
    known = not short or short in message
    text = message if known else f"{kind}: {message}" if message else kind
    return clipped(storable(text.strip()), 1000) or "error"


def _usage(fields: dict[str, Any]) -> Usage:
    """Tokens, from attributes of their own, or from an object with all of them."""
    input = as_integer(fields.get("input_tokens"))
    output = as_integer(fields.get("output_tokens"))
    cached = as_integer(fields.get("cached_tokens"))
    if "usage" in fields and isinstance(told := structure(fields["usage"]), dict):
        sums = usage_of(told)
        input = sums.input_tokens if input is None else input
        output = sums.output_tokens if output is None else output
        cached = sums.cached_tokens if cached is None else cached
    return Usage(input_tokens=input, output_tokens=output, cached_tokens=cached)


_NOBODY = EndUser()


def _user(fields: dict[str, Any]) -> EndUser:
    role = clipped(", ".join(as_texts(fields["role"])), 100) if "role" in fields else ""
    id = identity(fields["user"], 200) if "user" in fields else ""
    return _one_user(id, role) if id or role else _NOBODY


@lru_cache(maxsize=1024)
def _one_user(id: str, role: str) -> EndUser:
    return EndUser(id=id, role=role)


def _release(
    name: str, model: str, fields: dict[str, Any], rest: Attributes, kind: CallKind, definitions: Any
) -> Release:
    prompt = ""
    if "prompt_name" in fields or "prompt_version" in fields:
        names = (label(fields.get("prompt_name"), 120), label(fields.get("prompt_version"), 70))
        prompt = "@".join(part for part in names if part)
    retrieval = label(fields.get("data_source"), 200)
    if not retrieval and kind is CallKind.RETRIEVAL:
        collection = next((label(rest[key], 120) for key in _COLLECTION if rest.get(key)), "")
        store = label(rest.get("db.system.name") or rest.get("db.system"), 70)
        retrieval = "/".join(part for part in (store, collection) if part)
    tools = (
        fingerprint_of_tools(definitions if isinstance(definitions, str) else as_json(definitions))
        if definitions
        else ""
    )
    return _one_release(name, model, prompt, retrieval, tools)


@lru_cache(maxsize=1024)
def _one_release(name: str, model: str, prompt: str, retrieval: str, tools: str) -> Release:
    return Release(name=name, model=model, prompt_version=prompt, retrieval=retrieval, tools=tools)


def _schemas(lists: dict[str, list[Any]]) -> list[Any]:
    """Tool definitions that came flattened."""
    found: list[Any] = []
    for item in lists.get("llm.tools", ()):
        tool = item.get("tool", item) if isinstance(item, dict) else item
        found.append(structure(tool.get("json_schema", tool)) if isinstance(tool, dict) else tool)
    found.extend(lists.get("llm.request.functions", ()))
    return found


@lru_cache(maxsize=256)
def fingerprint_of_tools(definitions: str) -> str:
    """First 16 hex digits of SHA-256 over the tools' names, descriptions and parameters, in the order of their names:
    the same for every convention that sends the same tools."""
    value = structure(definitions)
    tools = value if isinstance(value, list) else [value]
    plain = []
    for tool in tools:
        tool = structure(tool)
        inner = tool.get("function", tool) if isinstance(tool, dict) else tool
        if isinstance(inner, dict):
            schema = next((inner[k] for k in _SCHEMAS if inner.get(k) is not None), None)
            plain.append([as_text(inner.get("name")), as_text(inner.get("description")), structure(schema)])
        else:
            plain.append([as_text(tool), "", None])
    plain.sort(key=lambda item: (item[0], item[1]))
    try:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    except (RecursionError, TypeError, ValueError):
        text = definitions
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "json_schema")


def _put_back(attributes: Attributes, rest: Attributes) -> None:
    """Keeps attributes that could have been content, but were not read as any, as attributes."""
    for key in CONTENT:
        if key in attributes and attributes[key] not in (None, "") and key not in _QUIET:
            rest.setdefault(key, attributes[key])


_QUIET = frozenset({"input.mime_type", "output.mime_type"})


def _event(event: SpanEvent, start: int) -> dict[str, Any]:
    out: dict[str, Any] = {"name": event.name}
    if event.time >= start:
        out["offset_ms"] = (event.time - start) / 1e6
    if event.attributes:
        out["attributes"] = event.attributes
    return out
