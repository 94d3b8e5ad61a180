"""OTLP/HTTP bodies (OTLP 1.x: protobuf or JSON, gzip) to batches, and the answers a receiver gives."""

from __future__ import annotations

from governance.ingest.batch import Batch


def decode_traces(
    body: bytes, content_type: str, content_encoding: str = "", *, limit: int, system: str = ""
) -> Batch:
    """An ExportTraceServiceRequest. `limit` is in bytes, after decompression. `system`, when given (an API key bound
    to a system), is the system of every call. BadInput when undecodable, TooLarge over the limit."""
    raise NotImplementedError


def decode_logs(
    body: bytes, content_type: str, content_encoding: str = "", *, limit: int, system: str = ""
) -> Batch:
    """An ExportLogsServiceRequest: content events of gen_ai.* log records. As `decode_traces`."""
    raise NotImplementedError


def empty_response(content_type: str) -> tuple[bytes, str]:
    """Body and content type of a full success, in the encoding of the request."""
    raise NotImplementedError


def partial_success(kind: str, rejected: int, message: str, content_type: str) -> tuple[bytes, str]:
    """Body and content type of a partial success; `kind` is "traces" or "logs"."""
    raise NotImplementedError


def error_status(code: int, message: str, content_type: str) -> tuple[bytes, str]:
    """Body and content type of an error: a google.rpc.Status with a google.rpc.Code `code`."""
    raise NotImplementedError
