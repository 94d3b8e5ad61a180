"""Edits outside the log: `audit verify` finds each by comparing the log with the tables, and names the row.

Every edit is made by SQL in a transaction that is undone, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governance.audit import standalone
from governance.audit.verify import Check, Outcome, verify_package
from governance.services.evidence.adopt import adopt_state
from governance.services.evidence.export import EvidenceFilter
from governance.store.base import stated
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from tests.audit.stated import ROOT, Clock, World, build


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stated")
    url = f"sqlite:///{folder / 'governance.db'}"
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres_url")
        admin = sa.create_engine(sa.make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS stated WITH (FORCE)")
            connection.exec_driver_sql("CREATE DATABASE stated TEMPLATE template_governance")
        admin.dispose()
        url = sa.make_url(server).set(database="stated").render_as_string(hide_password=False)
    made = build(url, folder / "made", Clock())
    made.application.audit_log.settle()
    yield made
    made.application.close()


def failures(checks: tuple[Check, ...]) -> list[str]:
    return [place for check in checks for place in check.places]


def test_an_honest_database_passes(world: World) -> None:
    with world.edited() as connection:
        checks = world.check(connection)
    assert [(check.name, check.outcome, check.places) for check in checks] == [
        ("state", Outcome.PASSED, ()),
        ("texts", Outcome.PASSED, ()),
        ("policies", Outcome.PASSED, ()),
    ]


def test_without_the_key_encryption_key_all_but_the_texts_is_compared(world: World) -> None:
    with world.edited("UPDATE decision SET action = 'allow' WHERE action = 'block' AND shadow = 0") as connection:
        state, texts, _ = world.check(connection, keyed=False)
    assert state.outcome is Outcome.FAILED
    assert texts.outcome is Outcome.NOT_CHECKED


@dataclass(frozen=True)
class Edit:
    name: str
    sql: str | tuple[str, ...]
    found: str
    """A pattern that one of the failures has: the row and, where there is one, the column."""


EDITS = [
    # What people saw
    Edit(
        "a redacted text",
        "UPDATE examination SET redacted = 'harmless', sealed = NULL WHERE findings LIKE '%injection%'",
        r"Examination \d+:\w+: redacted",
    ),
    Edit(
        "a text is shown unredacted",
        "UPDATE examination SET redacted = 'anna@example.org', sealed = NULL WHERE findings NOT LIKE '%injection%'",
        r"Examination \d+",
    ),
    Edit(
        "findings of a text",
        "UPDATE examination SET findings = '{\"findings\":[],\"failures\":[]}' WHERE findings LIKE '%override%' OR findings LIKE '%injection%'",
        r"Examination \d+:\w+: redacted or findings",
    ),
    Edit(
        "an invented text",
        "INSERT INTO examination (subject_id, detector_set, findings, redacted) SELECT subject_id, 'ffffffffffffffff', findings, 'all is well' FROM examination WHERE findings LIKE '%injection%'",
        r"Examination \d+:f{16} is not in the log",
    ),
    Edit(
        "findings of a decision",
        "UPDATE decision SET detail = replace(detail, '\"score\":', '\"score\":0.0, \"was\":') WHERE action = 'block'",
        r"Decision \d+: detail",
    ),
    Edit(
        "an explanation",
        "UPDATE decision SET detail = replace(detail, '\"explanation\":\"', '\"explanation\":\"Nothing to see: ') WHERE action = 'block'",
        r"Decision \d+: detail",
    ),
    # What was decided
    Edit(
        "a call's action",
        "UPDATE call SET action = 'allow', queue = '' WHERE action = 'block'",
        r"Call {flagged}: action is \"allow\"; the log says \"block\"",
    ),
    Edit(
        "a decision's action",
        "UPDATE decision SET action = 'allow' WHERE action = 'block' AND shadow = 0",
        r"Decision \d+: action is \"allow\"; the log says \"block\"",
    ),
    Edit(
        "a flagged call is deleted",
        ("DELETE FROM decision WHERE call_id = {flagged}", "DELETE FROM call WHERE id = {flagged}"),
        r"Call {flagged} is missing",
    ),
    Edit(
        "an invented decision",
        "INSERT INTO decision SELECT id + 1000000, call_id, revision + 7, policy_set_id, 'allow', '', 0, detail, decided_at, 0, detector_set FROM decision WHERE call_id = {flagged} AND shadow = 0",
        r"Decision 10\d+ is not in the log",
    ),
    Edit(
        "a decision made by another set",
        "UPDATE decision SET policy_set_id = 424242 WHERE call_id = {flagged} AND shadow = 0",
        r"Decision \d+: policy_set",
    ),
    # What reviewers wrote
    Edit(
        "a verdict's note", "UPDATE verdict SET note = 'Never mind.' WHERE note = 'A clear leak.'", r"Verdict \d+: note"
    ),
    Edit("a case's note", "UPDATE case_note SET note = 'All good.' WHERE kind = 'escalated'", r"Case note \d+: note"),
    Edit(
        "an outcome",
        "UPDATE verdict SET outcome = 'false_alarm' WHERE case_id = {critical} AND returned_at IS NULL",
        r"Verdict \d+: outcome is \"false_alarm\"; the log says \"violation\"",
    ),
    Edit(
        "an approver is changed",
        "UPDATE verdict SET approved_by = {officer} WHERE approved_by IS NOT NULL",
        r"Verdict \d+: approved_by is {officer}; the log says {senior}",
    ),
    Edit(
        "an approval is invented",
        "UPDATE verdict SET approved_by = {senior}, approved_at = 1 WHERE case_id = {case}",
        r"Verdict \d+: approved_by is {senior}; the log says null",
    ),
    Edit(
        "a return is undone",
        "UPDATE verdict SET returned_by = NULL, returned_at = 5 WHERE returned_by IS NOT NULL",
        r"Verdict \d+: returned_by is null",
    ),
    Edit(
        "a verdict is another's",
        "UPDATE verdict SET given_by = {officer} WHERE case_id = {case}",
        r"Verdict \d+: given_by",
    ),
    Edit("a verdict is deleted", "DELETE FROM verdict WHERE case_id = {case}", r"Verdict \d+ is missing"),
    # Cases
    Edit(
        "a severity",
        'UPDATE "case" SET severity = 1 WHERE id = {critical}',
        r"Case {critical}: severity is 1; the log says 4",
    ),
    Edit("a title", "UPDATE \"case\" SET title = 'A test' WHERE id = {critical}", r"Case {critical}: title"),
    Edit("an excerpt", "UPDATE \"case\" SET excerpt = 'hello' WHERE id = {critical}", r"Case {critical}: excerpt"),
    Edit(
        "a deadline",
        'UPDATE "case" SET due_at = due_at + 86400000000 WHERE id = {reported}',
        r"Case {reported}: due_at",
    ),
    Edit(
        "a case's state",
        "UPDATE \"case\" SET state = 'decided', closed_at = 1 WHERE id = {reported}",
        r"Case {reported}: state is \"decided\"; the log says \"open\"",
    ),
    Edit(
        "a case is moved to another queue",
        "UPDATE \"case\" SET queue = 'nobody' WHERE id = {reported}",
        r"Case {reported}: queue",
    ),
    Edit(
        "an invented case",
        'INSERT INTO "case" (id, kind, state, queue, severity, title, excerpt, system_id, policy, reports, opened_at, due_at, escalated, version) SELECT 777, kind, state, queue, severity, title, excerpt, system_id, policy, reports, opened_at, due_at, escalated, version FROM "case" WHERE id = {reported}',
        r"Case 777 is not in the log",
    ),
    Edit("a further call leaves its case", "DELETE FROM case_call", r"Case call \d+:{case} is missing"),
    Edit(
        "a claim is another's",
        "UPDATE assignment SET principal_id = {officer} WHERE ended_at IS NULL",
        r"Assignment \d+: principal_id",
    ),
    # Reveals and reports
    Edit("a reveal's reason", "UPDATE reveal SET reason = 'routine' WHERE case_id IS NOT NULL", r"Reveal \d+: reason"),
    Edit(
        "a reveal lasts longer", "UPDATE reveal SET until = until + 1 WHERE case_id IS NOT NULL", r"Reveal \d+: until"
    ),
    Edit("reveals are deleted", "DELETE FROM reveal", r"Reveal \d+ is missing"),
    Edit(
        "a report points to another call",
        "UPDATE report SET call_id = {flagged} WHERE call_id = {ordinary}",
        r"Report \d+: call_id is {flagged}; the log says {ordinary}",
    ),
    Edit(
        "a report's state",
        "UPDATE report SET state = 'not_confirmed' WHERE call_id = {ordinary}",
        r"Report \d+: state is \"not_confirmed\"",
    ),
    Edit(
        "a report's words are taken away",
        "UPDATE report SET body = NULL WHERE call_id = {ordinary}",
        r"Report \d+: body",
    ),
    # People and rights
    Edit(
        "a reviewer's name",
        "UPDATE principal SET name = 'Somebody Else' WHERE id = {reviewer}",
        r"Principal {reviewer}: name",
    ),
    Edit(
        "a person's password",
        "UPDATE principal SET password_hash = 'mine' WHERE id = {senior}",
        r"Principal {senior}: password_hash",
    ),
    Edit(
        "an administrator's role is granted",
        "INSERT INTO role_binding (id, principal_id, role, system, source) VALUES (999999, {reviewer}, 'admin', '', 'local')",
        r"Role binding 999999 is not in the log",
    ),
    Edit(
        "a role is raised",
        "UPDATE role_binding SET role = 'admin' WHERE principal_id = {reviewer}",
        r"Role binding \d+: role is \"admin\"; the log says \"reviewer\"",
    ),
    Edit(
        "a disabled person is let in",
        "UPDATE principal SET disabled_at = NULL WHERE disabled_at IS NOT NULL",
        r"Principal \d+: disabled_at is null",
    ),
    Edit(
        "a key's scopes are widened",
        "UPDATE api_key SET scopes = 'ingest,check,report,read' WHERE system = 'support-bot'",
        r"Api key \d+: scopes is \"ingest,check,report,read\"; the log says \"ingest\"",
    ),
    Edit(
        "a key speaks for every system",
        "UPDATE api_key SET system = '' WHERE system = 'support-bot'",
        r"Api key \d+: system",
    ),
    Edit(
        "a revoked key is revived",
        "UPDATE api_key SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
        r"Api key \d+: revoked_at is null",
    ),
    Edit(
        "a forged session",
        "INSERT INTO session (id, token_hash, principal_id, created_at, expires_at) SELECT 999998, secret_hash, {senior}, created_at, created_at + 1 FROM api_key WHERE id = 1",
        r"Session 999998 is not in the log",
    ),
    # Policies
    Edit(
        "every policy is switched off",
        'UPDATE policy_set SET policies = replace(policies, \'"status":"enforce"\', \'"status":"shadow"\')',
        r"Policy set \d+: policies do not give its digest",
    ),
    Edit(
        "another set is put into force",
        (
            "UPDATE policy_rollout SET state = 'proposed' WHERE state = 'enforce'",
            "UPDATE policy_rollout SET state = 'enforce' WHERE id = 2",
        ),
        r"Policy rollout 2: state is \"enforce\"; the log says \"retired\"",
    ),
    Edit(
        "who approved a set",
        "UPDATE policy_rollout_step SET \"by\" = 'person:1' WHERE state = 'approved'",
        r"Policy rollout step \d+: by is \"person:1\"",
    ),
    Edit("what a backtest found", "UPDATE policy_backtest SET result = '{}'", r"Policy backtest \d+: result"),
    # What was recorded
    Edit(
        "a system is renamed",
        "UPDATE system SET name = 'another-bot' WHERE name = 'support-bot'",
        r"Call \d+: system is \"another-bot\"; the log says \"support-bot\"",
    ),
    Edit("who used a call", "UPDATE call SET user_role = 'staff' WHERE id = {flagged}", r"Call {flagged}: facts"),
    Edit(
        "the order of what was said",
        "UPDATE call SET parts = replace(parts, '\"user\"', '\"system\"') WHERE id = {flagged}",
        r"Call {flagged}: parts",
    ),
    Edit(
        "what a release is made of",
        "UPDATE release SET parts = replace(parts, 'gpt-x', 'gpt-y')",
        r"Release \d+: parts do not give",
    ),
    Edit(
        "an invented call",
        "INSERT INTO call SELECT id + 1000000, span_id || trace_id, span_id, parent_span_id, system_id, release_id, conversation_id, kind, name, session_id, user_id, user_role, started_at, duration_us, model, provider, input_tokens, output_tokens, cached_tokens, error, content_captured, parts, attributes, span_digest, revision, status, action, queue, failure, counted, received_at FROM call WHERE id = {ordinary}",
        r"Call 10\d+ is not in the log",
    ),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_by_sql_is_found_and_its_row_named(world: World, edit: Edit) -> None:
    known = {
        "flagged": world.flagged, "ordinary": world.ordinary, "case": world.case, "critical": world.critical,
        "reported": world.reported, "reviewer": world.reviewer.id, "senior": world.senior.id,
        "officer": world.officer.id,
    }  # fmt: skip

    def fill(text: str) -> str:
        for name, number in known.items():
            text = text.replace(f"{{{name}}}", str(number))
        return text

    statements = (edit.sql,) if isinstance(edit.sql, str) else edit.sql
    with world.edited(*map(fill, statements)) as connection:
        found = failures(world.check(connection))
    pattern = re.compile(fill(edit.found))
    assert any(pattern.search(one) for one in found), found


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_of_an_earlier_version_are_stated_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(UnitOfWork, "rows", lambda self, **keys: {})
        earlier.setattr(stated, "of_tuple", lambda table, row: {})
        made = build(request.getfixturevalue(f"{kind}_url"), tmp_path / "made", Clock())
    application = made.application
    application.audit_log.settle()
    with application.engine.begin() as connection:
        for name, one in stated.STATED.items():
            if one.committed:
                connection.execute(t.metadata.tables[name].update().values(salt=None))
        connection.execute(t.state_adoption.insert().values(id=1))
    with made.edited() as connection:
        state, *_ = made.check(connection)
        assert state.outcome is Outcome.NOT_CHECKED
    assert adopt_state(application.database, application.clock) > 20
    assert adopt_state(application.database, application.clock) == 0
    application.audit_log.settle()
    with made.edited() as connection:
        assert failures(made.check(connection)) == []
    with made.edited("UPDATE verdict SET note = 'Never mind.' WHERE note = 'A clear leak.'") as connection:
        assert any(re.match(r"Verdict \d+: note", one) for one in failures(made.check(connection)))
    # What the log states is never adopted again.
    with application.engine.begin() as connection:
        connection.execute(t.verdict.update().values(note="Never mind.", salt=None))
        connection.execute(t.state_adoption.update().values(adopted_at=None))
    application.people.add(ROOT, "Nina", [])
    assert adopt_state(application.database, application.clock) > 20
    application.audit_log.settle()
    with made.edited() as connection:
        assert any("adopts rows" in one for one in failures(made.check(connection)))
    application.close()


def covered() -> dict[str, list[str]]:
    """The columns that the check covers, by table, but for the parts of keys."""
    found = {name: list(one.columns) for name, one in stated.STATED.items()}
    for table, named in stated.BY_OTHER_EVENTS.items():
        found.setdefault(table, []).extend(named)
    return {
        table: columns
        for table, named in found.items()
        if (columns := [column for column in named if not t.metadata.tables[table].c[column].primary_key])
    }


@pytest.mark.parametrize("table", covered())
def test_a_change_of_any_covered_column_is_found(world: World, table: str) -> None:
    """Each column of a row, whatever it is about, changed to another value of its type."""
    one = t.metadata.tables[table]
    key = list(one.primary_key.columns)
    edits = [(column, another(one.c[column])) for column in covered()[table]]
    if world.application.engine.dialect.name == "sqlite":  # which keeps values of any type
        texts = (sa.String, sa.Text)
        edits += [
            (column, sa.literal_column("x'ff00'" if isinstance(one.c[column].type, texts) else "'zz'"))
            for column, _ in edits
        ]
    for column, value in edits:
        with world.edited() as connection:
            row = connection.execute(sa.select(*key).order_by(*key).limit(1)).one()
            which = sa.and_(*(part == getattr(row, part.name) for part in key))
            connection.execute(one.update().where(which).values({column: value}))
            found = failures(world.check(connection))
        named = ":".join(str(getattr(row, part.name)) for part in key)
        spoken = f"{table.replace('_', ' ').capitalize()} {named}:"
        by_its_calls = table in ("system", "release")
        assert found if by_its_calls else any(place.startswith(spoken) for place in found), (column, found)


def another(column: sa.Column[Any]) -> Any:
    """Another value than any that the column has."""
    if isinstance(column.type, sa.Boolean):
        return sa.not_(column)
    if isinstance(column.type, sa.LargeBinary):
        return b"\x01" * (column.type.length or 20)
    if isinstance(column.type, sa.String):
        return "[]" if column.name == "policies" else "zz"
    return sa.func.coalesce(column, 0) + 1_000


def test_every_column_of_the_database_has_its_place() -> None:
    """A new column is stated by the log, or it is written down why not."""
    missing = []
    for name, table in t.metadata.tables.items():
        one = stated.STATED.get(name)
        known = {*(one.columns if one else ()), *(one.key if one else ()), *stated.BY_OTHER_EVENTS.get(name, ())}
        for column in table.columns:
            place = f"{name}.{column.name}"
            if column.name not in known and name not in stated.UNSTATED and place not in stated.UNSTATED:
                missing.append(place)
    assert missing == []


def test_what_is_left_out_exists_and_is_not_stated_too() -> None:
    for place, reason in stated.UNSTATED.items():
        table, _, column = place.partition(".")
        assert reason
        assert table in t.metadata.tables
        one = stated.STATED.get(table)
        if column:
            assert column in t.metadata.tables[table].c
            assert one is None or column not in one.columns
        else:
            assert one is None


def test_the_threat_model_has_every_edit_and_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    for edit in EDITS:
        assert edit.name in rows
    for table, columns in covered().items():
        for column in columns:
            assert f"`{column}`" in rows[f"`{table}`"], (table, column)
    for place, reason in stated.UNSTATED.items():
        assert reason in rows[f"`{place}`"]


@pytest.mark.parametrize(
    "leaf",
    [b"7", b'{"data":{}}', b'{"at":"soon","data":{},"kind":"decision.made","system":""}']
    + [
        b'{"at":"2026-11-23T09:40:00.000000%s","data":{"policy_set":"","decision":1},"kind":%s,"system":""}'
        % (zone, kind)
        for zone, kind in ((b"", b'"decision.made"'), (b"Z", b"7"), (b"Z", b"null"))
    ],
)
def test_a_leaf_of_another_shape_does_not_end_the_comparison(world: World, leaf: bytes) -> None:
    kind = "decision.made"
    number = world.one(f"SELECT max(id) FROM audit_event WHERE kind = '{kind}'")
    edit = f"UPDATE audit_event SET leaf = '\\x{leaf.hex()}'::bytea WHERE id = {number}"
    statements = [edit]
    if world.application.database.dialect == "sqlite":
        statements = ["DROP TRIGGER audit_event_no_update", edit.replace("'\\x", "X'").replace("::bytea", "")]
    with world.edited(*statements) as connection:
        assert [check.name for check in world.check(connection)] == ["state", "texts", "policies"]


def test_packages_of_an_honest_installation_verify(world: World, tmp_path: Path) -> None:
    """Also where a report came before its call, whose system its row and its case took later."""
    key = str(world.application.signer.verifier)
    for system in ("", "support-bot", "late-bot"):
        out = tmp_path / f"package-{system}.zip"
        world.application.export.to_file(world.officer, EvidenceFilter(system=system), out)
        with out.open("rb") as file:
            found = verify_package(file, key=key)
        assert found.ok, [(one.name, one.places) for one in found.checks if one.places]
        standalone.verify(str(out), key, "")
