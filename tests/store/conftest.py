"""Calls to record, and a writer to record them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.domain.calls import Call, CallKind, ContentEvent, Document, EndUser, Message, Release, ToolCall, Usage
from governance.privacy.keys import KeyRing
from governance.store.calls.record import CallWriter
from governance.store.calls.redacted import RedactedTexts
from governance.store.jobs.checking import JobQueue, ProcrastinateQueue, TableQueue
from governance.store.transaction import Database

TEXTS = RedactedTexts(KeyRing(b"\x05" * 32))
"""Redacted texts under the key ring of these tests."""
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(kw_only=True)
class Batch:
    calls: tuple[Call, ...] = ()
    content_events: tuple[ContentEvent, ...] = field(default=())


def make_call(number: int = 1, **changes: Any) -> Call:
    values: dict[str, Any] = {
        "trace_id": f"{number // 10 + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "kind": CallKind.LLM,
        "name": "chat",
        "system": "support-bot",
        "release": Release(model="m-1", prompt_version="7"),
        "session_id": "s-1",
        "user": EndUser(id="u-1", role="customer"),
        "started_at": NOON + timedelta(seconds=number),
        "duration_ms": 12.5,
        "model": "m-1",
        "provider": "openai",
        "usage": Usage(input_tokens=3, output_tokens=4),
        "finish_reasons": ("stop",),
        "content_captured": True,
        "input": (Message(role="system", text="Be kind."), Message(role="user", text=f"Question {number}?")),
        "output": (Message(role="assistant", text=f"Answer {number}."),),
        "documents": (Document(id="faq-1", text="The office opens at nine.", score=0.5, labels=("public",)),),
        "tool_calls": (ToolCall(id="t-1", name="clock", arguments="{}", result="09:00"),),
        "attributes": {"gen_ai.request.temperature": 0.2},
    }
    return Call(**(values | changes))


def make_event(number: int = 1, *, after: int = 0, **changes: Any) -> ContentEvent:
    values: dict[str, Any] = {
        "trace_id": f"{number // 10 + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "system": "support-bot",
        "at": NOON + timedelta(seconds=number, milliseconds=after),
        "name": "gen_ai.user.message",
        "provider": "openai",
    }
    return ContentEvent(**(values | changes))


@pytest.fixture
def jobs(database: Database) -> JobQueue:
    return TableQueue(database.ids) if database.dialect == "sqlite" else ProcrastinateQueue()


@pytest.fixture
def keyring() -> KeyRing:
    return KeyRing(b"\x05" * 32)


@pytest.fixture
def new_writer(
    database: Database, jobs: JobQueue, keyring: KeyRing, clock: Callable[[], datetime]
) -> Callable[[], CallWriter]:
    """Another process' writer: with caches of its own."""
    return lambda: CallWriter(database, keyring, jobs, clock)


@pytest.fixture
def writer(new_writer: Callable[[], CallWriter]) -> CallWriter:
    return new_writer()
