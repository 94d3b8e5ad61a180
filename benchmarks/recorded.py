"""Recorded and decided calls, written straight into the tables: what benchmarks over much traffic need."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.bootstrap import Application
from governance.domain.calls import Call, CallKind, EndUser, Message
from governance.domain.content import PartKind, parts_of
from governance.domain.findings import Finding
from governance.domain.times import micros
from governance.engine.decide import DecisionEngine
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.calls import facts

LASTS = timedelta(days=14)
_BATCH = 20_000
_SYSTEMS = ("Claims assistant", "HR assistant", "Coding agent")
_MESSAGES = 200
_ANSWER = "A claim is decided within five working days."


def fill(application: Application, calls: int) -> datetime:
    """Two weeks of calls in traces of four, decided by the files' set; gives when the first began.

    Of 40 one is flagged, and two more have a finding that no policy minds. Attributes and texts are sealed, as those
    of real calls are.
    """
    database = application.database
    ready = application.in_force.current().enforce
    now = application.clock()
    first = database.ids.take(len(_SYSTEMS) + 1)
    conversation = first + len(_SYSTEMS)
    messages = database.ids.take(_MESSAGES)
    key, wrapped = application.key_ring.create()
    details = _details(DecisionEngine(ready.policy_set))
    with database.write() as tx:
        c = tx.connection
        bulk.insert(c, t.system, [(first + n, name, micros(now)) for n, name in enumerate(_SYSTEMS)])
        bulk.insert(c, t.conversation, [(conversation, first, "session:bench", wrapped, micros(now))])
        bulk.insert(
            c,
            t.message,
            [
                (n, conversation, n.to_bytes(16, "big"), 0, key.seal(_ANSWER.encode(), b"message:%d" % n))
                for n in range(messages, messages + _MESSAGES)
            ],
        )
    apart = LASTS / calls // timedelta(microseconds=1)
    extra = json.dumps({"attributes": {"gen_ai.request.temperature": 0.2}, "finish_reasons": ["stop"]}).encode()
    for begin in range(0, calls, _BATCH):
        count = min(_BATCH, calls - begin)
        ids = database.ids.take(2 * count)
        rows: list[tuple[Any, ...]] = []
        decisions: list[tuple[Any, ...]] = []
        for n in range(count):
            number = ids + n
            at = micros(now) - (calls - begin - n) * apart
            action, queue, severity, detail = details[0 if n % 40 == 0 else 1 if n % 20 == 7 else 2]
            frame = json.dumps(
                [
                    ["input", messages + n % _MESSAGES, "user"],
                    ["output", messages + (n + 7) % _MESSAGES, "assistant"],
                ]
            )
            rows.append(
                (
                    number, ((begin + n) // 4 + 1).to_bytes(16, "big"), number.to_bytes(8, "big"), None,
                    first + (begin + n) // 4 % len(_SYSTEMS), None, conversation, "llm", "chat gpt-4.1", "", "u",
                    "customer", at, 900_000 + n, "gpt-4.1", "openai", 300 + n % 50, 80, None, "", 1, frame,
                    key.seal(extra, b"call:%d" % number), None, 0, "checked", action, queue, "", 1, at,
                )
            )  # fmt: skip
            decisions.append(
                (
                    number + count, number, 0, ready.policy_set_id, action, queue, severity, detail, at, 0,
                    ready.runner.digest,
                )
            )  # fmt: skip
        with database.write() as tx:
            bulk.insert(tx.connection, t.call, rows)
            bulk.insert(tx.connection, t.decision, decisions)
    return now - calls * timedelta(microseconds=apart)


def _details(engine: DecisionEngine) -> list[tuple[str, str, int, str]]:
    """What stands in the decision of a flagged call, of one with a finding that nobody minds, and of a quiet one."""
    call = Call(
        trace_id="a" * 32,
        span_id="b" * 16,
        kind=CallKind.LLM,
        system=_SYSTEMS[0],
        user=EndUser(id="u", role="customer"),
        started_at=datetime.now(UTC),
        content_captured=True,
        input=(Message(role="user", text=_ANSWER),),
        output=(Message(role="assistant", text=_ANSWER),),
    )
    found = []
    for score in (0.9, 0.2, None):
        findings = (
            []
            if score is None
            else [
                Finding(
                    detector="patterns", pack="injection", category="injection", rule="override", score=score, end=5,
                    part=PartKind.INPUT,
                )
            ]
        )  # fmt: skip
        decision = engine.decide(call, tuple(parts_of(call)), findings, ())
        severity = 0 if decision.severity is None else decision.severity.rank
        text = facts.encode_decision(decision, findings, ())
        found.append((decision.action.value, decision.queue, severity, text))
    return found
