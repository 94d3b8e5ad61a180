"""Alembic's entry: runs the migrations on the connection that `governance.store.base.migrate` hands over."""

from __future__ import annotations

from alembic import context

from governance.store.base.tables import metadata

connection = context.config.attributes["connection"]
_OTHERS = ("search_text", "procrastinate")  # made by SQL of their own


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not str(name).startswith(_OTHERS)


context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    include_name=_is_ours,
)
with context.begin_transaction():
    context.run_migrations()
