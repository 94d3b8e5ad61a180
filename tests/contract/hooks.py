"""What Schemathesis must know beyond the document: loaded by it (`SCHEMATHESIS_HOOKS`), in its own environment."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

SYSTEM = "contract-bot"

# No list or one empty one, of spans as of log records: bytes at random are no Protocol Buffers.
schemathesis.openapi.media_type("application/x-protobuf", st.sampled_from([b"", b"\x0a\x00", b"\x0a\x02\x0a\x00"]))


@schemathesis.hook  # type: ignore[untyped-decorator, unused-ignore]
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """In valid requests, what is named exists, a page is one that was given, and a period has a length."""
    if not case.meta.generation.mode.is_positive:
        return
    query = case.query or {}
    for name in ("after", "queue", "until"):
        query.pop(name, None)
    if "system" in query:
        query["system"] = SYSTEM
    if isinstance(case.body, dict) and "system" in case.body:
        case.body["system"] = SYSTEM
