"""How fast calls are checked with all default policies: new content of 2 KB, a long conversation, JSON lines."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.table import Row, Table
from governance.bootstrap import resource
from governance.detectors import registry
from governance.domain.calls import Call, CallKind, Document, EndUser, Message
from governance.domain.content import Content, parts_of
from governance.domain.findings import Examination
from governance.engine.check import NOTHING_KNOWN, Checker
from governance.engine.decide import DecisionEngine
from governance.policy.load import load
from governance.policy.policy import PolicySet

GOAL = 3_000
GOAL_CLASSIFIERS = 1_500
CALLS = 3_000
BATCH = 200
"""Calls that a checking process claims and checks together."""
CLASSIFIERS = frozenset({"classifier"})
"""Detectors that are small models of our own: they look at everything, and cost more than all patterns."""

SENTENCES = (
    "the customer asked whether household insurance covers water damage in the cellar and how long a transfer to "
    "another country takes if the card was declined at a shop in the city because the daily limit is reached please "
    "report within seven days with photographs and a list of what was damaged"
)
WORDS = SENTENCES.split()


def text(chance: random.Random, size: int) -> str:
    """Ordinary English of about `size` characters, never the same twice."""
    words: list[str] = []
    length = 0
    while length < size:
        word = chance.choice(WORDS)
        words.append(word)
        length += len(word) + 1
    return " ".join(words) + f" {chance.getrandbits(40)}."


def sentences(chance: random.Random, size: int) -> str:
    """Such English in sentences, with a figure in every other one."""
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        words = " ".join(chance.choice(WORDS) for _ in range(14)).capitalize()
        parts.append(f"{words} {chance.randrange(100)} days." if len(parts) % 2 else f"{words}.")
    return " ".join(parts)


def _answer(words: str) -> Message:
    return Message(role="assistant", text=words)


def call_of(messages: list[Message], answer: str) -> Call:
    return Call(
        trace_id="a" * 32,
        span_id="b" * 16,
        kind=CallKind.LLM,
        system="bench",
        user=EndUser(id="u", role="customer"),
        started_at=datetime.now(UTC),
        model="m",
        content_captured=True,
        input=tuple(messages),
        output=(_answer(answer),),
    )


def checker_of(policy_set: PolicySet, folder: Path) -> Checker:
    return Checker(
        registry.build(policy_set.detector_uses(), access_policies=folder / "access"), DecisionEngine(policy_set)
    )


def without(policy_set: PolicySet, detectors: frozenset[str]) -> PolicySet:
    """The set, without the policies that ask for any of these detectors."""
    kept = [
        policy
        for policy in policy_set.policies
        if not any(detect.use in detectors for detect in policy.detectors.values())
    ]
    return PolicySet(kept, access=policy_set.access)


def rate(calls: list[Call], check: Callable[[Call], object]) -> float:
    """Calls a second."""
    began = time.perf_counter()
    for call in calls:
        check(call)
    return len(calls) / (time.perf_counter() - began)


def batched(calls: list[Call], checker: Checker) -> float:
    """Calls a second, checked as a checking process does: a batch at a time."""
    began = time.perf_counter()
    for at in range(0, len(calls), BATCH):
        checker.check_many([(call, NOTHING_KNOWN) for call in calls[at : at + BATCH]])
    return len(calls) / (time.perf_counter() - began)


def figures(calls: int) -> dict[str, float]:
    """Calls a second, one process: `new_2kb` (1 KB asked, 1 KB answered, checked in batches as a checking process
    does), the same `without_classifiers`, and `inline` (one call at a time); one at a time: `from_documents` (1 KB
    answered from four documents of 1 KB each, known before), `turn_21` (20 turns known, one message new),
    `decide_only` (recorded findings); `jsonl` (`governance check --jsonl`, start included)."""
    chance = random.Random(7)
    folder = resource("policies")
    policy_set = load(folder)
    checker = checker_of(policy_set, folder)
    fresh = [call_of([Message(role="user", text=text(chance, 1000))], text(chance, 1000)) for _ in range(calls)]
    batched(fresh[:BATCH], checker)
    results = {"new_2kb": batched(fresh, checker), "inline": rate(fresh, checker.check)}
    fewer = checker_of(without(policy_set, CLASSIFIERS), folder)
    batched(fresh[:BATCH], fewer)
    results["without_classifiers"] = batched(fresh, fewer)

    library = tuple(Document(id=f"d{number}", text=sentences(chance, 1000)) for number in range(4))
    read: Mapping[Content, Examination] = checker.check(replace(fresh[0], documents=library)).examinations
    said = [f"{one}." for document in library for one in document.text.split(". ")]
    answered = [
        replace(fresh[0], documents=library, output=(_answer(" ".join(chance.sample(said, 10))),)) for _ in fresh
    ]
    results["from_documents"] = rate(answered, lambda call: checker.check(call, read))

    history = [Message(role="user" if turn % 2 == 0 else "assistant", text=text(chance, 1000)) for turn in range(40)]
    base = call_of(history, text(chance, 1000))
    known: Mapping[Content, Examination] = checker.check(base).examinations
    turns = [replace(base, input=(*history, Message(role="user", text=text(chance, 1000)))) for _ in range(calls)]
    results["turn_21"] = rate(turns, lambda call: checker.check(call, known))

    recorded = [(call, tuple(parts_of(call))) for call in fresh]
    began = time.perf_counter()
    for call, parts in recorded:
        checker.engine.decide(call, parts, (), ())
    results["decide_only"] = len(recorded) / (time.perf_counter() - began)

    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for number in range(calls * 3):
            file.write(json.dumps({"id": number, "text": text(chance, 2000)}) + "\n")
        file.flush()
        began = time.perf_counter()
        command = [sys.executable, "-m", "governance", "check", file.name, "--jsonl", "--policies", str(Path(folder))]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        lines = done.stdout.count(b"\n")
        results["jsonl"] = lines / (time.perf_counter() - began)
        assert lines == calls * 3
    return results


def run() -> Table:
    """The figures as a table; the goals are those of the contract, for one core."""
    measured = figures(CALLS)

    def row(what: str, name: str, goal: int = 0) -> Row:
        value = measured[name]
        promised = f"at least {goal:,} calls/s a core" if goal else ""
        return Row(what=what, measured=value, unit="calls/s", goal=promised, met=value >= goal if goal else None)

    return Table(
        title="Check",
        rows=(
            row(
                f"2 KB of new content through all default policies, {BATCH} calls a batch", "new_2kb", GOAL_CLASSIFIERS
            ),
            row("the same without those that ask classifiers", "without_classifiers", GOAL),
            row("the same with all, one call at a time", "inline"),
            row("1 KB answered from 4 KB of documents, compared with them", "from_documents"),
            row("a call of 42 messages, one of them new", "turn_21"),
            row("decide only, nothing found", "decide_only"),
            row("governance check --jsonl, 2 KB a line, start included", "jsonl", GOAL_CLASSIFIERS),
        ),
        notes=("One process; every text is new, so that nothing is remembered between calls.",),
    )
