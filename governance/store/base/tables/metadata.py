"""The metadata of all tables, their ids, and the sequence that ids come from."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from governance.audit.commitment import new_salt

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a rowid alias (and so a cheap primary key) only to a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def id_column(**kw: object) -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=False, **kw)  # type: ignore[arg-type]


def salt_column() -> Column[bytes]:
    """The secret of a row whose texts are committed to in the audit log (`store.base.stated`)."""
    return Column(
        "salt",
        LargeBinary(16),
        nullable=True,
        default=new_salt,
        comment="Opens the audit log's commitments to this row's texts; NULL once erased.",
    )


id_block = Table(
    "id_block",
    metadata,
    Column("name", String(16), primary_key=True, comment="Always 'all': one sequence of ids for all tables."),
    Column("next", BigInteger, nullable=False, comment="First id of the next block that a process may take."),
)
