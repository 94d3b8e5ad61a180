"""Alembic's entry: runs the migrations on the connection that `governance.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from governance.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    include_name=lambda name, kind, _parents: not (kind == "table" and str(name).startswith(("search_text", "procrastinate"))),
)
with context.begin_transaction():
    context.run_migrations()
