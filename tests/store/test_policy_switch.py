"""Detect once, decide often; a set in shadow beside the one in force; figures of policies; switching in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from governance.detectors.runner import Runner
from governance.domain.calls import Call, Message
from governance.domain.content import Content
from governance.domain.findings import Finding
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.policy.policy import PolicySet
from governance.privacy.keys import KeyRing
from governance.services.calls.check import CheckService, Deciding
from governance.services.calls.in_force import ReadySet
from governance.services.review.opening import open_for_decision
from governance.store.base import tables as t
from governance.store.calls import documents as calls_store
from governance.store.calls import queries as call_queries
from governance.store.calls.checks import SqlCheckStore, register
from governance.store.calls.record import CallWriter
from governance.store.transaction import Database
from tests.conftest import Clock
from tests.policy.samples import policy
from tests.store.conftest import TEXTS, Batch, make_call, make_event
from tests.store.test_checks import rows, stored


class Words:
    """Finds a word, as `patterns` would in a pack of that name; remembers what it was asked."""

    def __init__(self, name: str, word: str, version: str = "1") -> None:
        self.name, self.word, self.version = name, word, version
        self.asked: list[str] = []

    def examine(self, content: Content) -> Sequence[Finding]:
        self.asked.append(content.text)
        at = content.text.find(self.word)
        if at < 0:
            return ()
        end = at + len(self.word)
        return (Finding(detector=self.name, category="injection", rule=self.word, score=0.8, start=at, end=end),)


def using(name: str, detector: str = "first", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": f"test.{name}",
        "detectors": {"words": {"use": detector}},
        "then": {"action": "block", "queue": "security", "explain": "Found {finding.rule}"},
    }
    return policy(**(values | changes))


class Installation:
    """Whatever sets it is told to decide with, over one database."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.sets: Deciding | None = None
        store = SqlCheckStore(database, keyring, clock, open_for_decision)
        self.service = CheckService(store, self.deciding, _mask, _mask_text)

    def deciding(self) -> Deciding:
        assert self.sets is not None
        return self.sets

    def ready(self, policy_set: PolicySet, *detectors: Words) -> ReadySet:
        runner = Runner(content_detectors=detectors)
        register(self.database, self.clock, digest=runner.digest, units=runner.units)
        number = stored(self.database, policy_set.digest)
        checker = Checker(runner, DecisionEngine(policy_set, clock=self.clock))
        return ReadySet(policy_set_id=number, policy_set=policy_set, runner=runner, checker=checker)

    def use(self, enforce: ReadySet, shadow: ReadySet | None = None) -> None:
        self.sets = Deciding(enforce=enforce.deciding(), shadow=None if shadow is None else shadow.deciding())


def _mask(text: str, findings: Sequence[Finding]) -> str:
    for finding in findings:
        text = text.replace(finding.rule, "[word]")
    return text


def _mask_text(text: str) -> str:
    return text


@pytest.fixture
def house(database: Database, keyring: KeyRing, clock: Clock) -> Installation:
    return Installation(database, keyring, clock)


def said(*texts: str, number: int = 1, **changes: Any) -> Call:
    messages = tuple(Message(role="user", text=text) for text in texts)
    return make_call(number, input=messages, output=(), documents=(), tool_calls=(), **changes)


STRICT = PolicySet([using("words")])
CALM = PolicySet([using("words", params={"min_score": 0.9})])


def test_a_new_policy_set_over_known_content_runs_no_detector(house: Installation, writer: CallWriter) -> None:
    first = Words("first", "attack")
    house.use(house.ready(STRICT, first))
    house.service.run(writer.write([Batch(calls=(said("attack one"),))])[0].call_ids)
    assert first.asked == ["attack one"]
    again = Words("first", "attack")
    house.use(house.ready(CALM, again))
    house.service.run(writer.write([Batch(calls=(said("attack one", number=2),))])[0].call_ids)
    assert again.asked == []
    old, new = rows(house.database, t.decision)
    assert (old.action, new.action) == ("block", "allow")
    assert old.policy_set_id != new.policy_set_id
    assert old.detector_set == new.detector_set


def test_only_what_changed_looks_again_and_the_rest_is_read(house: Installation, writer: CallWriter) -> None:
    first, second = Words("first", "attack"), Words("second", "harm")
    sets = PolicySet([using("words"), using("harm", "second")])
    house.use(house.ready(sets, first, second))
    house.service.run(writer.write([Batch(calls=(said("attack and harm"),))])[0].call_ids)
    house.clock.forward(hours=1)
    kept, changed = Words("first", "attack"), Words("second", "and", version="2")
    house.use(house.ready(sets, kept, changed))
    ids = writer.write([Batch(calls=(said("attack and harm", "new", number=2),))])[0].call_ids
    house.service.run(ids)
    assert kept.asked == ["new"]
    assert sorted(changed.asked) == ["attack and harm", "new"]
    detail = json.loads(rows(house.database, t.decision)[-1].detail)
    assert sorted(finding["rule"] for finding in detail["findings"]) == ["and", "attack"]
    # What was put together is kept: the next turn examines nothing, and shows the text as the new detectors redact it.
    house.service.run(writer.write([Batch(calls=(said("attack and harm", "new", number=3),))])[0].call_ids)
    assert (kept.asked, sorted(changed.asked)) == (["new"], ["attack and harm", "new"])
    with house.database.read() as connection:
        shown = calls_store.read_call(connection, ids[0], texts=TEXTS)
    assert shown["input"][0]["text"] == "[word] [word] harm"


def test_a_set_in_shadow_decides_and_acts_on_nothing(house: Installation, writer: CallWriter) -> None:
    first = Words("first", "attack")
    house.use(house.ready(CALM, first), house.ready(STRICT, Words("first", "attack")))
    house.service.run(writer.write([Batch(calls=(said("attack"),))])[0].call_ids)
    assert first.asked == ["attack"]
    enforced, shadow = rows(house.database, t.decision)
    assert (enforced.shadow, enforced.action, enforced.queue) == (0, "allow", "")
    assert (shadow.shadow, shadow.action, shadow.queue) == (1, "block", "security")
    (call,) = rows(house.database, t.call)
    assert (call.action, call.queue, call.status) == ("allow", "", "checked")
    assert rows(house.database, t.case) == []
    (figure,) = rows(house.database, t.daily_figure)
    assert (figure.calls, figure.flagged) == (1, 0)
    (event,) = [row for row in rows(house.database, t.audit_event) if row.kind == "decision.made"]
    data = json.loads(bytes(event.leaf))["data"]
    assert (data["action"], data["shadow"]["action"]) == ("allow", "block")
    assert data["shadow"]["policy_set"] == STRICT.digest


def test_readers_show_the_decision_in_force_first_and_say_which_is_shadow(
    house: Installation, writer: CallWriter
) -> None:
    house.use(house.ready(CALM, Words("first", "attack")), house.ready(STRICT, Words("first", "attack")))
    ids = writer.write([Batch(calls=(said("attack"),))])[0].call_ids
    (written,) = house.service.run(ids)
    with house.database.read() as connection:
        document = calls_store.read_call(connection, ids[0], texts=TEXTS)
        views = call_queries.decisions(connection, ids[0])
    assert [(one["shadow"], one["policy_set"]) for one in document["decisions"]] == [
        (False, CALM.digest),
        (True, STRICT.digest),
    ]
    assert [one.shadow for one in views] == [False, True]
    assert document["decisions"][0]["id"] == str(written.decision_id)
    # Whoever was slower is told of the decision in force, not of the one in shadow.
    assert [one.decision_id for one in house.service.run(ids)] == [written.decision_id]


def test_what_only_the_shadow_asks_for_is_examined_once_and_kept_apart(house: Installation, writer: CallWriter) -> None:
    own = Words("second", "harm")
    shared = Words("first", "attack")
    both = PolicySet([using("words"), using("harm", "second")])
    house.use(house.ready(STRICT, Words("first", "attack")), house.ready(both, shared, own))
    house.service.run(writer.write([Batch(calls=(said("attack harm"),))])[0].call_ids)
    house.service.run(writer.write([Batch(calls=(said("attack harm", number=2),))])[0].call_ids)
    assert (shared.asked, own.asked) == ([], ["attack harm"])
    enforced, shadow = rows(house.database, t.decision)[:2]
    assert [one["rule"] for one in json.loads(enforced.detail)["findings"]] == ["attack"]
    assert sorted(one["rule"] for one in json.loads(shadow.detail)["findings"]) == ["attack", "harm"]
    # Promoted, it finds its own examinations.
    house.use(house.ready(both, shared, own))
    house.service.run(writer.write([Batch(calls=(said("attack harm", number=3),))])[0].call_ids)
    assert (shared.asked, own.asked) == ([], ["attack harm"])


def test_a_shadow_that_breaks_disturbs_nothing_and_is_said(house: Installation, writer: CallWriter) -> None:
    class Broken(DecisionEngine):
        def decide(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("secret words")

    calm, strict = house.ready(CALM, Words("first", "attack")), house.ready(STRICT, Words("first", "attack"))
    strict.checker.engine = Broken(STRICT)
    house.use(calm, strict)
    house.service.run(writer.write([Batch(calls=(said("attack"),))])[0].call_ids)
    enforced, shadow = rows(house.database, t.decision)
    assert (enforced.action, shadow.action, shadow.shadow) == ("allow", "allow", 1)
    assert json.loads(shadow.detail)["explanation"] == "The set in shadow could not decide (RuntimeError)."


def test_each_batch_is_decided_by_the_sets_of_one_moment(house: Installation, writer: CallWriter) -> None:
    ids = writer.write([Batch(calls=tuple(said("attack", number=10 * n) for n in range(6)))])[0].call_ids
    calm, strict = house.ready(CALM, Words("first", "attack")), house.ready(STRICT, Words("first", "attack"))
    for number, call in enumerate(ids):
        house.use(*((calm, strict) if number % 2 else (strict, None)))
        house.service.run([call])
    found = {row.call_id: row.policy_set_id for row in rows(house.database, t.decision) if not row.shadow}
    assert [found[call] for call in ids] == [strict.policy_set_id, calm.policy_set_id] * 3
    assert sum(row.shadow for row in rows(house.database, t.decision)) == 3


def test_figures_of_sets_and_policies(house: Installation, writer: CallWriter) -> None:
    quiet = PolicySet([using("words"), using("quiet", status="shadow")])
    ready, strict = house.ready(quiet, Words("first", "attack")), house.ready(STRICT, Words("first", "attack"))
    house.use(ready, strict)
    calls = [said("attack", number=10 * n) for n in range(3)] + [said("hello", number=90)]
    house.service.run(writer.write([Batch(calls=tuple(calls))])[0].call_ids)
    figures = {(row.policy, row.policy_set_id): row for row in rows(house.database, t.daily_policy_figure)}
    own = figures["test.words", ready.policy_set_id]
    assert (own.fired, own.errors, own.shadow_fired) == (3, 0, 0)
    assert own.last_at == max(row.started_at for row in rows(house.database, t.call) if row.queue)
    beside = figures["test.quiet", ready.policy_set_id]
    assert (beside.fired, beside.shadow_fired) == (0, 3)
    candidate = figures["test.words", strict.policy_set_id]
    assert (candidate.fired, candidate.shadow_fired) == (0, 3)
    sets = {row.policy_set_id: row for row in rows(house.database, t.daily_set_figure)}
    assert (sets[ready.policy_set_id].calls, sets[ready.policy_set_id].flagged) == (4, 3)
    assert (sets[strict.policy_set_id].shadow_calls, sets[strict.policy_set_id].shadow_flagged) == (4, 3)


def test_a_call_that_is_decided_again_is_counted_once(house: Installation, writer: CallWriter) -> None:
    strict, other = house.ready(STRICT, Words("first", "attack")), house.ready(CALM, Words("first", "attack"))
    house.use(strict)
    house.service.run(writer.write([Batch(calls=(said("attack"),))])[0].call_ids)
    house.use(other)
    writer.write([Batch(content_events=(make_event(after=5, input=(Message(role="user", text="more"),)),))])
    house.service.run([row.id for row in rows(house.database, t.call)])
    sets = {row.policy_set_id: (row.calls, row.flagged) for row in rows(house.database, t.daily_set_figure)}
    assert sets == {strict.policy_set_id: (0, 0), other.policy_set_id: (1, 0)}
    (figure,) = rows(house.database, t.daily_policy_figure)
    assert figure.fired == 0


def test_examinations_of_unknown_detectors_are_not_taken_over(house: Installation, writer: CallWriter) -> None:
    """From before detector sets were written down: nothing says which units they knew."""
    house.use(house.ready(STRICT, Words("first", "attack")))
    house.service.run(writer.write([Batch(calls=(said("attack"),))])[0].call_ids)
    with house.database.write() as tx:
        tx.connection.execute(sa.delete(t.detector_set))
        tx.connection.execute(t.examination.update().values(detector_set="of-old"))
    again = Words("first", "attack")
    ready = house.ready(STRICT, again)
    house.use(ready)
    house.service.run(writer.write([Batch(calls=(said("attack", number=2),))])[0].call_ids)
    assert again.asked == ["attack"]
