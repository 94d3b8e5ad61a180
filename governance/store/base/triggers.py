"""What the tables alone cannot say: the audit log only grows. SQL that the migration runs.

On PostgreSQL the sealer may give an event its place (`seq`), once, and change nothing else. Who owns the database can
remove a trigger; that shows in `governance audit verify`, which is what the proofs are for (docs/audit.md).
"""

from __future__ import annotations

_LOG = ("audit_event", "audit_tile", "audit_checkpoint")


def statements(dialect: str) -> list[str]:
    """The statements for "sqlite" or "postgresql", one each, safe to run again."""
    return _sqlite() if dialect == "sqlite" else _postgresql()


def _sqlite() -> list[str]:
    # INSERT OR REPLACE deletes first: these fire for it only with PRAGMA recursive_triggers=ON (dialects/sqlite.py).
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for table in _LOG
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql() -> list[str]:
    refuse = (
        "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    seal_only = (
        "CREATE OR REPLACE FUNCTION audit_seal_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.seq IS NULL AND NEW.seq IS NOT NULL "
        "AND (NEW.id, NEW.at, NEW.kind, NEW.actor, NEW.subject, NEW.system, NEW.leaf) "
        "= (OLD.id, OLD.at, OLD.kind, OLD.actor, OLD.subject, OLD.system, OLD.leaf) "
        "AND NEW.xid IS NOT DISTINCT FROM OLD.xid "
        "THEN RETURN NEW; END IF; RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    result = ["CREATE SEQUENCE IF NOT EXISTS audit_event_id", refuse, seal_only]
    for table in _LOG:
        forbidden = "DELETE" if table == "audit_event" else "UPDATE OR DELETE"
        result += [
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE {forbidden} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
            f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
        ]
    result.append(
        "CREATE OR REPLACE TRIGGER audit_event_seal_only BEFORE UPDATE ON audit_event "
        "FOR EACH ROW EXECUTE FUNCTION audit_seal_only()"
    )
    return result
