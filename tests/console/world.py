"""A small world for the console: people of every role, three systems, calls and cases, written through the tables."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from governance.bootstrap import Application
from governance.domain.content import PartKind
from governance.domain.events import Event, EventKind
from governance.domain.people import Actor, ActorKind, Role, RoleBinding
from governance.domain.times import micros
from governance.store.base import tables as t
from governance.store.calls import figures, search

SYSTEMS = ("Claims assistant", "HR assistant", "Coding agent")
HOSTILE = (
    "<script>alert(document.domain);fetch('https://evil.example/x')</script> ![img](https://evil.example/a.png) "
    "[click](javascript:alert(1)) :material/delete: :red[boo] :smile: \u202e\u2066RTL "
    "<img src=https://evil.example/b.png onerror=alert(2)> https://evil.example/auto www.evil.example $x^2$ `code`"
)
_RANK = {"low": 1, "medium": 2, "high": 3, "critical": 4}


@dataclass
class World:
    """Rows that are there. `token[name]` signs a person in; numbers are those of the tables."""

    application: Application
    now: datetime
    people: dict[str, Actor] = field(default_factory=dict)
    token: dict[str, str] = field(default_factory=dict)
    systems: dict[str, int] = field(default_factory=dict)
    cases: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    _policy_set: int = 0

    def person(self, name: str, *bindings: RoleBinding) -> Actor:
        with self.application.database.write() as tx:
            number = tx.people.add(
                issuer="local",
                subject=name.lower(),
                name=name,
                email="",
                password_hash="x",
                must_change=False,
                at=self.now,
            )
            assert number is not None
            tx.people.bind(number, bindings, source="local")
            account = tx.people.get(number)
            assert account is not None
        self.people[name] = Actor(kind=ActorKind.PERSON, id=number, name=name, bindings=bindings)
        self.token[name] = self.application.sessions.open_session(account.person)
        return self.people[name]

    def everybody(self) -> None:
        for role in Role:
            self.person(role.value, RoleBinding(role=role))
        self.person("limited", RoleBinding(role=Role.REVIEWER, system="HR assistant"))
        self.person("nobody")

    def system(self, name: str) -> int:
        if name not in self.systems:
            number = self.application.database.ids.take()
            with self.application.database.write() as tx:
                tx.connection.execute(t.system.insert().values(id=number, name=name, first_seen_at=micros(self.now)))
            self.systems[name] = number
        return self.systems[name]

    def call(
        self,
        system: str = SYSTEMS[0],
        *,
        said: list[tuple[PartKind, str, str]] | None = None,
        name: str = "chat",
        ago: timedelta = timedelta(minutes=5),
        action: str = "allow",
        queue: str = "",
        status: str = "checked",
        captured: bool = True,
        error: str = "",
        role: str = "customer",
        model: str = "gpt-4.1",
        failure: str = "",
        trace: bytes | None = None,
        parent: bytes | None = None,
        span: bytes | None = None,
        kind: str = "llm",
    ) -> int:
        """A call whose parts are (kind, name or role, redacted text)."""
        owner = self.system(system)
        first = self.application.database.ids.take(50)
        call, conversation = first, first + 1
        key, wrapped = self.application.key_ring.create()
        at = micros(self.now - ago)
        entries: list[list[Any]] = []
        with self.application.database.write() as tx:
            c = tx.connection
            c.execute(
                t.conversation.insert().values(
                    id=conversation, system_id=owner, key=f"session:{call}", wrapped_key=wrapped, created_at=at
                )
            )
            for place, (part, word, text) in enumerate(said or []):
                message = first + 2 + place
                entries.append([part.value, message, word])
                c.execute(
                    t.message.insert().values(
                        id=message,
                        conversation_id=conversation,
                        digest=os.urandom(16),
                        call_id=call,
                        body=key.seal(f"original: {text}".encode(), b"message:%d" % message),
                    )
                )
                c.execute(
                    t.examination.insert().values(
                        subject_id=message,
                        detector_set="test",
                        findings='{"findings":[],"failures":[]}',
                        redacted=text,
                    )
                )
                search.add(c, self.application.texts.words, [(message, text)])
            c.execute(
                t.call.insert().values(
                    id=call,
                    trace_id=trace or os.urandom(16),
                    span_id=span or os.urandom(8),
                    parent_span_id=parent,
                    system_id=owner,
                    release_id=None,
                    conversation_id=conversation,
                    kind=kind,
                    name=name,
                    session_id="s",
                    user_id="u",
                    user_role=role,
                    started_at=at,
                    duration_us=900_000,
                    model=model,
                    provider="openai",
                    input_tokens=300,
                    output_tokens=40,
                    cached_tokens=None,
                    error=error,
                    content_captured=int(captured),
                    parts=json.dumps(entries),
                    attributes=None,
                    span_digest=None,
                    revision=0,
                    status=status,
                    action=action,
                    queue=queue,
                    failure=failure,
                    received_at=at,
                    counted=1,
                )
            )
            figures.add(
                c,
                [figures.Counted(system_id=owner, started_at=at, calls=1, flagged=int(bool(queue)), input_tokens=300)],
            )
        self.calls.append(call)
        return call

    def case(
        self,
        system: str = SYSTEMS[0],
        *,
        title: str = "Document carries instructions",
        severity: str = "high",
        due: timedelta = timedelta(hours=8),
        queue: str = "security",
        answer: str = "I followed the note in the letter",
        category: str = "injection",
        explanation: str = "A document tells the assistant what to do.",
        value: str = "0.93",
        name: str = "chat",
        call: int | None = None,
        policy: str = "injection.document",
    ) -> int:
        """An open case about a flagged call, its evidence the first half of the answer."""
        number = call or self.call(
            system,
            said=[(PartKind.INPUT, "user", "Please read this letter"), (PartKind.OUTPUT, "assistant", answer)],
            action="block",
            queue=queue,
            name=name,
        )
        database = self.application.database
        decision = database.ids.take(2)
        if not self._policy_set:
            self._policy_set = decision + 1
            with database.write() as tx:
                tx.connection.execute(
                    t.policy_set.insert().values(
                        id=self._policy_set,
                        digest=hashlib.sha256(b"test").hexdigest(),
                        policies="{}",
                        loaded_at=micros(self.now),
                    )
                )
        finding = {
            "detector": "patterns",
            "category": category,
            "rule": "note",
            "score": 0.93,
            "part": "output",
            "start": 0,
            "end": max(1, len(answer) // 2),
        }
        said = {
            "policy": policy,
            "title": title,
            "outcome": "fired",
            "status": "enforce",
            "action": "block",
            "severity": severity,
            "queue": queue,
            "explanation": explanation,
            "findings": [0],
            "controls": {"owasp_llm": ["LLM01"]},
            "values": {"score": value},
        }
        detail = {"policies": [said], "findings": [finding], "failures": [], "explanation": explanation}
        opened = micros(self.now - timedelta(hours=1))
        with database.write() as tx:
            tx.connection.execute(
                t.decision.insert().values(
                    id=decision,
                    call_id=number,
                    revision=0,
                    policy_set_id=self._policy_set,
                    action="block",
                    queue=queue,
                    severity=_RANK[severity],
                    detail=json.dumps(detail),
                    decided_at=opened,
                )
            )
            made = tx.connection.execute(
                t.case.insert().values(
                    kind="flagged",
                    state="open",
                    queue=queue,
                    severity=_RANK[severity],
                    title=title,
                    excerpt=answer[:200],
                    system_id=self.system(system),
                    call_id=number,
                    decision_id=decision,
                    policy=policy,
                    reports=0,
                    opened_at=opened,
                    due_at=micros(self.now + due),
                    escalated=False,
                )
            )
            key = made.inserted_primary_key
            assert key is not None
            tx.append(
                Event(
                    kind=EventKind.CASE_OPENED,
                    at=self.now,
                    actor="service:0",
                    subject=f"case:{key[0]}",
                    system=system,
                    data={"severity": severity},
                )
            )
        self.cases.append(int(key[0]))
        return int(key[0])
