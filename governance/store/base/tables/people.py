"""Tables of people, roles, sessions and API keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from governance.store.base.tables.metadata import Id, id_column, metadata, salt_column

principal = Table(
    "principal",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("issuer", String(300), nullable=False, comment="'local' or the OpenID Connect issuer."),
    Column("subject", String(300), nullable=False, comment="The account name, or the `sub` claim."),
    Column("name", String(200), nullable=False),
    Column("email", String(300), nullable=False),
    Column("password_hash", String(300), nullable=False, comment="argon2id; '' for OpenID Connect."),
    Column("must_change_password", Boolean, nullable=False),
    Column("failed_sign_ins", Integer, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("disabled_at", BigInteger, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    salt_column(),
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

role_binding = Table(
    "role_binding",
    metadata,
    id_column(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False),
    Column("role", String(20), nullable=False),
    Column("system", String(200), nullable=False, comment="'' is everywhere."),
    Column("source", String(10), nullable=False, comment="'local', or 'claim' when set at each sign-in."),
    UniqueConstraint("principal_id", "role", "system", "source"),
)

session = Table(
    "session",
    metadata,
    id_column(),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True, comment="SHA-256 of the cookie's token."),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=True),
    Column(
        "browser_hash",
        LargeBinary(32),
        nullable=True,
        comment="SHA-256 of the browser's device id: a sign-out ends all its sessions of the person.",
    ),
)

provider_sign_in = Table(
    "provider_sign_in",
    metadata,
    id_column(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("claim", String(200), nullable=False, comment="GOVERNANCE_ROLES_CLAIM as it was then."),
    Column("shape", String(20), nullable=False, comment="access.claims.ClaimShape"),
    Column("names", Text, nullable=False, comment="JSON list: the first names of the claim, each cut."),
    Column("names_count", Integer, nullable=False),
    Column("problem", String(200), nullable=False, comment="Why the claim could not be read; '' when it could."),
    Column("roles", String(200), nullable=False, comment="The roles that the claim gave, by commas."),
    Column("outcome", String(10), nullable=False, comment="'admitted' or 'disabled'"),
    comment="The latest sign-ins through the identity provider: what came in the roles claim, and what followed.",
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("prefix", String(16), nullable=False, unique=True, comment="The part that is shown in lists."),
    Column(
        "secret_hash", LargeBinary(32), nullable=False, comment="SHA-256 of the whole key: it has 256 bits of its own."
    ),
    Column("scopes", String(100), nullable=False),
    Column("system", String(200), nullable=False, comment="'' is any system; else the key speaks for this one alone."),
    Column("created_by", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=True),
    Column("revoked_at", BigInteger, nullable=True),
    Column("last_used_at", BigInteger, nullable=True, comment="To the hour."),
    sqlite_autoincrement=True,
)
