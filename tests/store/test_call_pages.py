"""Pages of calls: what no index answers is looked for among so many calls at a time, on either database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from governance.domain.calls import CallKind
from governance.domain.people import Systems
from governance.services.calls.read import CallFilter
from governance.store.base import tables as t
from governance.store.calls import queries as calls
from governance.store.calls.record import CallWriter
from governance.store.transaction import Database
from tests.store.conftest import TEXTS, Batch, make_call


@pytest.fixture
def many(database: Database, writer: CallWriter, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A hundred calls of four systems; each 25th is a tool's and flagged. Pages look at 30 calls at a time."""
    kinds = [CallKind.LLM if number % 25 else CallKind.TOOL for number in range(100)]
    made = [make_call(n, kind=kind, system=f"system-{n % 4}", model=f"M-{n % 10}_x") for n, kind in enumerate(kinds)]
    writer.write([Batch(calls=tuple(made))])
    with database.write() as transaction:
        transaction.connection.execute(t.call.update().where(t.call.c.kind == "tool").values(queue="security"))
    monkeypatch.setattr(calls, "SCAN", 30)
    return database


def spans(database: Database, want: CallFilter, systems: Systems = None, limit: int = 50) -> tuple[list[int], int]:
    """The numbers of all calls found, over all pages, and the number of pages."""
    found: list[int] = []
    after, pages = None, 0
    with database.read() as connection:
        while True:
            page = calls.page(connection, TEXTS, want, systems, after=after, limit=limit)
            rows = connection.execute(sa.select(t.call.c.id, t.call.c.span_id)).all()
            number = {row.id: int.from_bytes(row.span_id, "big") - 1 for row in rows}
            found += [number[row.id] for row in page.rows]
            pages += 1
            if page.next is None:
                return found, pages
            after = page.next


@pytest.mark.parametrize(
    ("want", "expected"),
    [
        (CallFilter(kind="tool"), [75, 50, 25, 0]),
        (CallFilter(flagged=True), [75, 50, 25, 0]),
        (CallFilter(flagged=True, model="m-5"), [75, 25]),
        (CallFilter(model="M-7"), list(range(97, 0, -10))),
        (CallFilter(model="M_7"), []),
        (CallFilter(status="checked"), []),
        (CallFilter(status="recorded"), list(range(99, -1, -1))),
    ],
)
def test_every_call_that_fits_is_found_in_order_however_far_apart(
    many: Database, want: CallFilter, expected: list[int]
) -> None:
    assert spans(many, want)[0] == expected
    assert spans(many, want, limit=2)[0] == expected


def test_calls_of_one_of_some_and_of_no_system(many: Database) -> None:
    with many.read() as connection:
        ids = {row.name: row.id for row in connection.execute(sa.select(t.system.c.name, t.system.c.id))}
    one, two = ids["system-1"], ids["system-2"]
    assert spans(many, CallFilter(), (one,))[0] == list(range(97, 0, -4))
    assert spans(many, CallFilter(kind="tool"), (one,))[0] == [25]
    assert spans(many, CallFilter(flagged=True), (two,))[0] == [50]
    some = [number for number in range(99, -1, -1) if number % 4 in (1, 2)]
    assert spans(many, CallFilter(), (one, two))[0] == some
    assert spans(many, CallFilter(), ())[0] == []


def test_a_page_says_how_far_it_looked(many: Database) -> None:
    with many.read() as connection:
        page = calls.page(connection, TEXTS, CallFilter(kind="agent"))
    assert page.rows == ()
    assert page.looked_until == make_call(70).started_at
    assert spans(many, CallFilter(kind="agent")) == ([], 4)


@pytest.mark.parametrize("flagged", [False, True])
def test_no_condition_reaches_past_the_calls_looked_at(postgresql_url: str, flagged: bool) -> None:
    """PostgreSQL would otherwise read the whole table for something rare."""
    engine = sa.create_engine(sa.make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    asked: list[tuple[str, object]] = []
    with engine.connect() as connection:
        sa.event.listen(engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        calls.page(connection, TEXTS, CallFilter(kind="tool", flagged=flagged))
        statement, values = asked[0]
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))  # type: ignore[arg-type]
    engine.dispose()
    assert "Subquery Scan on looked" in plan
    _, _, inside = plan.partition("Subquery Scan on looked")
    condition, _, looking = inside.partition("->")
    assert "kind" in condition
    assert "kind" not in looking
