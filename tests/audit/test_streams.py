"""Numbers within streams have no gap: on both databases, in older logs, with concurrent writers and killed sealers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from governance.audit.leaf import leaf_bytes, numbered, parse, unnumbered_bytes
from governance.audit.note import Signer
from governance.audit.streams import Streams, stated
from governance.audit.verify import Check, Outcome
from governance.domain.events import Event, EventKind
from governance.domain.times import micros
from governance.errors import BadInput
from governance.store.base import migrate
from governance.store.base.database import connect
from governance.store.evidence.audit_log import PostgresSealer, SqlAuditLog
from governance.store.transaction import Database
from tests.audit import older
from tests.audit.building import AT, event, fill, settle
from tests.audit.test_log import as_owner, verified
from tests.conftest import Clock

FIRST = micros(AT)


def leaves(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT leaf FROM audit_event WHERE seq IS NOT NULL ORDER BY seq").scalars()
        return [json.loads(bytes(one)) for one in found]


def append(database: Database, *systems: str, after: Sequence[int] = ()) -> None:
    """One transaction of events of systems; `after` are their times in seconds after `AT`."""
    with database.write() as tx:
        for place, system in enumerate(systems):
            at = AT + timedelta(seconds=after[place] if after else place)
            tx.append(Event(kind=EventKind.CALL_RECORDED, at=at, actor="service:0", subject="call:1", system=system))


def outcome(database: Database, name: str) -> Check:
    return next(one for one in verified(database).checks if one.name == name)


texts = st.text(st.sampled_from(',"subject":{}\\é\x00\x1f\ud800n1v2'), max_size=30)


@given(texts, texts, st.dictionaries(st.sampled_from(["subject", "n", 'a,"subject":"']), texts), st.integers(0, 2**40))
def test_a_leaf_that_waits_is_completed_to_what_is_written_at_once(
    subject: str, system: str, data: dict[str, Any], number: int
) -> None:
    one = Event(kind=EventKind.SIGN_IN, at=AT, actor="person:1", subject=subject, system=system, data=data)
    complete = numbered(unnumbered_bytes(one), number, number // 2)
    assert complete == leaf_bytes(one, number, number // 2)
    assert parse(complete)["n"] == number


def test_what_is_no_waiting_leaf_is_not_completed() -> None:
    for broken in (b"", b"{}", b'{"subject":"x"', b"\x00" * 100):
        with pytest.raises(BadInput):
            numbered(broken, 1, 0)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 100))))
def test_no_event_is_later_than_its_lateness_says(events: list[tuple[str, int]]) -> None:
    streams, seen = Streams(), defaultdict[str, int](int)
    given = []
    for system, at in events:
        n, late = streams.take(system, at)
        assert n == seen[system]
        seen[system] += 1
        given.append((at, late))
    for place, (at, late) in enumerate(given):
        assert all(earlier <= at + late for earlier, _ in given[:place])


def test_streams_are_numbered_apart_and_without_a_gap(database: Database) -> None:
    append(database, "bot", "", "bot", "shop")
    append(database, "shop", "bot")
    settle(database)
    assert [(one["system"], one["n"]) for one in leaves(database)] == [
        ("bot", 0),
        ("", 0),
        ("bot", 1),
        ("shop", 0),
        ("shop", 1),
        ("bot", 2),
    ]
    assert verified(database).ok


def _append_no_leaf(database: Database) -> None:
    with database.write() as tx:
        tx.append(event(1))
        tx.append(event(2, score=0.5))  # type: ignore[arg-type]


def test_numbers_go_on_after_a_rollback_and_in_another_process(database: Database, database_url: str) -> None:
    append(database, "bot")
    assert database.audit is not None
    with pytest.raises(BadInput):
        _append_no_leaf(database)
    other = connect(database_url)
    assert isinstance(database.audit, SqlAuditLog)
    append(Database(other, SqlAuditLog(database.audit.signer, database.audit.clock)), "bot", "new")
    other.dispose()
    append(database, "bot", "new")
    settle(database)
    found = [(one["system"], one["n"]) for one in leaves(database)]
    assert found == [("bot", 0), ("bot", 1), ("new", 0), ("bot", 2), ("new", 1)]
    assert verified(database).ok


def test_a_clock_that_steps_back_is_flagged_and_no_failure(database: Database) -> None:
    append(database, "bot", "bot", "", "bot", after=[0, 7200, 10, 7300])
    settle(database)
    assert [one["late"] for one in leaves(database)] == [0, 0, 7_190_000_000, 7_190_000_000]
    found = verified(database)
    assert found.ok
    clock = next(one for one in found.checks if one.name == "clock")
    assert clock.outcome is Outcome.FLAGGED
    assert clock.detail.startswith("Event 2 happened 7,190 s before")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM audit_event WHERE seq = 2", "number 3 of the stream of bot, late 0; it should be number 2"),
        ("UPDATE audit_stream SET next = 7 WHERE system = 'bot'", "next number of the stream of bot"),
        ("DELETE FROM audit_stream", "next number of the stream of bot"),
        ("INSERT INTO audit_stream VALUES ('ghost', 3, 0)", "next number of the stream of ghost"),
        ("UPDATE audit_head SET late = 5", "lateness"),
        ("UPDATE audit_head SET latest = 5", "lateness"),
    ],
)
def test_what_is_changed_about_streams_is_found(database: Database, statement: str, words: str) -> None:
    append(database, "bot", "bot", "bot", "bot")
    settle(database)
    as_owner(database, statement)
    found = outcome(database, "streams")
    assert found.outcome is Outcome.FAILED
    assert any(words in place for place in found.places), found.places


def before_streams(engine: sa.Engine, signer: Signer, systems: Sequence[str], *, waiting: int = 0) -> None:
    migrate.upgrade(engine, "0008")
    late = [(FIRST + (n * 1_000_000 if n != 3 else 0), "call.recorded", system) for n, system in enumerate(systems)]
    older.write(engine, signer, late, waiting=waiting)
    migrate.upgrade(engine)


def test_an_older_log_is_upgraded_and_says_what_it_had(empty_engine: sa.Engine, signer: Signer, clock: Clock) -> None:
    systems = ["bot", "", "süß", "bot", "bot"] * 60
    before_streams(empty_engine, signer, systems)
    database = Database(empty_engine, SqlAuditLog(signer, clock))
    assert verified(database).ok, "an upgraded log that nothing was added to"
    fill(database, 5)
    found = leaves(database)
    assert [one["v"] for one in found] == [1] * 300 + [2] * 6
    upgraded = found[300]
    assert (upgraded["kind"], upgraded["system"], upgraded["n"], upgraded["late"]) == (
        "log.upgraded",
        "",
        60,
        2_000_000,
    )
    assert stated(upgraded["data"]) == {"": 60, "bot": 180, "süß": 60}
    assert [(one["system"], one["n"]) for one in found[301:]] == [("bot", 180 + n) for n in range(5)]
    again = verified(database)
    assert again.ok, again.checks
    assert "300 of them are older" in next(one.detail for one in again.checks if one.name == "streams")


def test_an_empty_older_log_has_nothing_to_say(empty_engine: sa.Engine, signer: Signer, clock: Clock) -> None:
    migrate.upgrade(empty_engine, "0008")
    migrate.upgrade(empty_engine)
    database = Database(empty_engine, SqlAuditLog(signer, clock))
    fill(database, 3)
    assert [(one["kind"], one["n"]) for one in leaves(database)] == [("call.recorded", n) for n in range(3)]
    assert verified(database).ok


def test_events_that_waited_at_the_upgrade_get_numbers(signer: Signer, clock: Clock, postgres_url: str) -> None:
    admin = sa.create_engine(
        sa.make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE waiting")
    engine = connect(sa.make_url(postgres_url).set(database="waiting").render_as_string(hide_password=False))
    before_streams(engine, signer, ["bot"] * 6, waiting=2)
    database = Database(engine, SqlAuditLog(signer, clock))
    settle(database)
    assert [(one["v"], one.get("n")) for one in leaves(database)] == [(1, None)] * 4 + [(2, 0), (2, 4), (2, 5)]
    assert verified(database).ok
    engine.dispose()
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE waiting WITH (FORCE)")
    admin.dispose()


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"streams": [{"system": "bot", "events": 2}]}},
        {"data": {}},
        {"kind": "audit.read"},
    ],
)
def test_a_log_that_states_another_past_is_found(
    empty_engine: sa.Engine, signer: Signer, clock: Clock, change: dict[str, Any]
) -> None:
    before_streams(empty_engine, signer, ["bot"] * 3)
    database = Database(empty_engine, SqlAuditLog(signer, clock))
    fill(database, 1)
    forged = {**leaves(database)[3], **change}
    leaf = json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()
    as_owner(
        database, "UPDATE audit_event SET leaf = :leaf, kind = :kind WHERE seq = 3", leaf=leaf, kind=forged["kind"]
    )
    assert outcome(database, "streams").outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "leaf",
    [
        "leaf",
        "convert_to(replace(convert_from(leaf, 'UTF8'), '\"call\":', '\"cell\":'), 'UTF8')",
        "leaf || ' '::bytea",
        "convert_to(replace(convert_from(leaf, 'UTF8'), ',\"subject\"', ',\"n\":1,\"late\":0,\"subject\"'), 'UTF8')",
    ],
)
def test_postgresql_lets_a_waiting_leaf_become_nothing_but_its_numbered_self(
    postgresql_url: str, signer: Signer, clock: Clock, leaf: str
) -> None:
    engine = connect(postgresql_url)
    fresh = Database(engine, SqlAuditLog(signer, clock))
    with fresh.write() as tx:
        tx.append(event(1))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE audit_event SET seq = 0, leaf = {leaf}")
    PostgresSealer(engine, signer, clock).seal()
    assert verified(fresh).ok
    engine.dispose()


def _write(url: str, start: int) -> None:
    engine = connect(url)
    database = Database(engine, SqlAuditLog(Signer.from_seed("test.local/audit", b"\x07" * 32), Clock()))
    for number in range(start, start + 150):
        append(database, *(f"s{(number + more) % 5}" for more in range(3)))
    engine.dispose()


def _seal(url: str) -> None:
    engine = connect(url)
    sealer = PostgresSealer(engine, Signer.from_seed("test.local/audit", b"\x07" * 32), Clock())
    while True:
        sealer.seal()


def test_numbers_have_no_gap_with_concurrent_writers_and_killed_sealers(
    postgresql_url: str, signer: Signer, clock: Clock
) -> None:
    context = multiprocessing.get_context("spawn")
    start: Callable[..., Any] = lambda target, *given: context.Process(target=target, args=(postgresql_url, *given))  # noqa: E731
    writers = [start(_write, 1000 * number) for number in range(2)]
    sealers = [start(_seal) for _ in range(4)]
    engine = connect(postgresql_url)
    for process in [*writers, *sealers]:
        process.start()
    seen = 0
    for sealer in sealers:
        with engine.connect() as connection:
            while True:  # each is killed while it works
                size = connection.exec_driver_sql("SELECT coalesce(max(size), 0) FROM audit_head").scalar_one()
                connection.rollback()
                if size > seen or not any(one.is_alive() for one in writers):
                    break
        seen = size
        assert sealer.pid is not None
        os.kill(sealer.pid, signal.SIGKILL)
        sealer.join()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    database = Database(engine, SqlAuditLog(signer, clock))
    settle(database)
    found = verified(database)
    assert found.ok, found.checks
    assert found.size == 900
    numbers = defaultdict[str, list[int]](list)
    for leaf in leaves(database):
        numbers[leaf["system"]].append(leaf["n"])
    assert numbers == {f"s{n}": list(range(180)) for n in range(5)}
    engine.dispose()
