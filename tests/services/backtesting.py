"""Recorded traffic to try policy sets on: checked by detectors that find words, on either database."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from governance.detectors.interface import DetectorUse
from governance.detectors.runner import Runner, Unavailable
from governance.domain.calls import Call, CallKind, Document, EndUser, Message, ToolCall
from governance.domain.content import Content
from governance.domain.findings import Finding
from governance.domain.people import Role
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.policy.policy import Policy, PolicySet
from governance.privacy.keys import KeyRing
from governance.services.calls.check import CheckService, Deciding
from governance.services.calls.in_force import ReadySet
from governance.services.policies.backtest.counting import counters
from governance.services.policies.backtest.run import BacktestService
from governance.services.review.opening import open_for_decision
from governance.store.calls.checks import SqlCheckStore, register
from governance.store.policies.traffic import SqlTraffic
from tests.policy.samples import policy
from tests.review.conftest import House
from tests.store.conftest import NOON, Batch, make_call
from tests.store.test_checks import stored

WORDS = {"first": "attack", "second": "harm", "third": "odd"}
"""What each of the tests' detectors finds."""
KEYRING = KeyRing(b"\x05" * 32)


class Words:
    """Finds a word."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version
        self.asked: list[str] = []

    def examine(self, content: Content) -> Sequence[Finding]:
        self.asked.append(content.text)
        word = WORDS[self.name]
        at = content.text.find(word)
        if at < 0:
            return ()
        score = 0.9 if "sure" in content.text else 0.6
        return (Finding(detector=self.name, category=word, rule=word, score=score, start=at, end=at + len(word)),)


def using(name: str, detector: str = "first", **changes: Any) -> Policy:
    """An enforced policy over one of these detectors."""
    values: dict[str, Any] = {
        "id": f"test.{name}",
        "detectors": {"words": {"use": detector}},
        "then": {"action": "block", "queue": "security", "explain": "Found {finding.rule}"},
    }
    return policy(**(values | changes))


@dataclass(kw_only=True)
class Place:
    """An installation: what was recorded, and what is in force by its tests' say."""

    house: House
    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(WORDS, "1"))
    absent: set[str] = field(default_factory=set)
    built: list[Words] = field(default_factory=list)
    numbers: Any = field(default_factory=itertools.count)

    def build(self, uses: Iterable[DetectorUse], access: Mapping[str, str]) -> Runner:
        names = sorted({use.name for use in uses})
        made = [Words(name, self.versions[name]) for name in names if name not in self.absent]
        self.built += made
        missing = [Unavailable(name=name, reason="not there") for name in names if name in self.absent]
        return Runner(content_detectors=made, unavailable=missing)

    def record(self, by: PolicySet, *calls: Call, readable: bool = True) -> list[int]:
        """Records calls and has them decided by a set; gives their ids."""
        database, clock = self.house.database, self.house.clock
        ids = [number for receipt in self.house.writer.write([Batch(calls=calls)]) for number in receipt.call_ids]
        runner = self.build(by.detector_uses(), {})
        register(database, clock, digest=runner.digest, units=runner.units | runner.heeds)
        number = stored(database, by.digest, by.document() if readable else {"policies": [{"from": "the future"}]})
        ready = ReadySet(
            policy_set_id=number, policy_set=by, runner=runner, checker=Checker(runner, DecisionEngine(by, clock=clock))
        )
        store = SqlCheckStore(database, KEYRING, clock, open_for_decision)
        service = CheckService(store, lambda: Deciding(enforce=ready.deciding()), lambda text, _: text, str)
        service.run(ids)
        return ids

    def service(self, **changes: Any) -> BacktestService:
        def traffic() -> SqlTraffic:
            return SqlTraffic(self.house.database, lambda: KEYRING)

        made = partial(counters, build=self.build, command=[sys.executable, "-c", ""], environment=dict)
        return BacktestService(
            self.house.authority, traffic, changes.get("build", self.build), changes.get("counters", made)
        )

    def engineer(self) -> Any:
        return self.house.person(Role.ENGINEER)

    def call(self, said: str, **changes: Any) -> Call:
        """A call of its own trace and session in which a user says this."""
        number = next(self.numbers)
        values: dict[str, Any] = {
            "trace_id": f"{number + 1:032x}",
            "session_id": f"s-{number}",
            "started_at": NOON - timedelta(days=1) + timedelta(seconds=number),
            "input": (Message(role="user", text=said),),
            "output": (Message(role="assistant", text="Yes."),),
            "documents": (),
            "tool_calls": (),
        }
        return make_call(number, **(values | changes))


def varied(place: Place) -> list[Call]:
    """Calls that differ in all that the conditions of the tests read."""
    calls = []
    texts = ("hello", "an attack", "an attack, sure", "harm", "attack and harm, sure", "odd")
    for number, said in enumerate(texts * 3):
        changes: dict[str, Any] = {
            "user": EndUser(id=f"u-{number % 4}", role=("customer", "staff", "")[number % 3]),
            "system": ("support-bot", "hr-bot")[number % 2],
            "duration_ms": (None, 10.0, 90_000.0)[number % 3],
            "finish_reasons": (("stop",), ("length",))[number % 2],
            "error": ("", "", "TimeoutError: it took too long", "quota")[number % 4],
            "attributes": {"tier": ("gold", "free")[number % 2]},
            "output": (Message(role="assistant", text="é" * (number * 3)),),
        }
        if number % 5 == 0:
            changes["documents"] = (Document(id="faq", text="an attack" if number % 2 else "calm", labels=("public",)),)
        calls.append(place.call(said, **changes))
    for number in range(3):  # alike but for the number of documents
        terms = tuple(Document(id=f'"document" {n}', text="calm") for n in range(number))
        calls.append(place.call("hello", documents=terms))
    for number in range(3):  # three steps each, in one trace and session
        about: dict[str, Any] = {"trace_id": f"{900 + number:032x}", "session_id": f"t-{number}"}
        calls.append(place.call(("read an attack", "read", "harm")[number], **about))
        tool = ToolCall(id=f"t-{number}", name=("send", "clock")[number % 2], arguments=f'{{"n": {number}}}')
        calls.append(place.call("", input=(), kind=CallKind.TOOL, tool_calls=(tool,), output=(), **about))
        calls.append(place.call(("an attack again, sure", "no attack", "fine")[number], **about))
    return calls
