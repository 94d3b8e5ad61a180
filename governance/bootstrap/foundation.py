"""What every wing stands on: folders, keys, the database, rights, detectors."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from governance.bootstrap.resources import resource
from governance.bootstrap.settings import Settings
from governance.errors import BadInput, Misconfigured, Tampered
from governance.services.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy as sa

    from governance.access.permissions import PermissionsInForce
    from governance.audit.note import Signer
    from governance.detectors.interface import DetectorUse
    from governance.detectors.runner import Runner
    from governance.privacy.keys import KeyRing
    from governance.privacy.redaction import Redactor
    from governance.services.access_log import AccessLog
    from governance.services.authorise import Authority
    from governance.services.systems.read import ReadSystems
    from governance.services.visible import Visible
    from governance.store.base.in_use import Hold
    from governance.store.base.integrity import Integrity, IntegrityWatch
    from governance.store.systems.queries import SystemQueries
    from governance.store.transaction import Database, Transaction


_ALWAYS = ("pii", "secrets")
"""The detectors whose findings are hidden from those who may not see the original."""


class Foundation:
    """The parts that belong to no wing. Each is made when it is first asked for.

    `migrate` lets it bring an older database up to date (`serve`, `db upgrade`); an empty database is always set up.
    """

    def __init__(self, settings: Settings, *, clock: Clock, migrate: bool = False) -> None:
        self.settings = settings
        self.clock = clock
        self._migrate = migrate
        self._hold: Hold | None = None
        self.prepares = False
        """Whether scanners are loaded as soon as a policy set wants them (a worker), not when they are first asked."""
        self.answers = False
        """Whether senders wait for what is recorded (a server): they must hear within seconds that it cannot be."""

    @cached_property
    def data_dir(self) -> Path:
        """The data directory, made with mode 0700 when absent. Raises `Misconfigured`."""
        folder = self.settings.data_dir.absolute()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise Misconfigured(
                f"The data directory {folder} cannot be used: {error.strerror}.",
                advice="Check its rights, or set GOVERNANCE_DATA_DIR.",
            ) from None
        return folder

    @cached_property
    def policies_dir(self) -> Path:
        """The policy files; those that came with the package where no folder was named and none is here. Raises
        `Misconfigured` for a named folder that is absent: others than those that were meant must not decide."""
        chosen = self.settings.policies
        if chosen.is_dir():
            return chosen
        if "policies" in self.settings.model_fields_set:
            raise Misconfigured(
                f"The policy folder {chosen} does not exist.", advice="Check GOVERNANCE_POLICIES, or leave it unset."
            )
        return resource("policies")

    @cached_property
    def database_url(self) -> str:
        return self.settings.database_url or f"sqlite:///{self.data_dir / 'governance.db'}"

    @cached_property
    def key_ring(self) -> KeyRing:
        """Content keys, under the key-encryption key: from the setting, else from the data directory (0600)."""
        from governance.privacy.keys import KeyRing

        key, old = self._key_encryption_keys()
        return KeyRing(key, old=old, stored=self._stored_secret, again=self._key_encryption_keys)

    def _key_encryption_keys(self) -> tuple[bytes, bytes | None]:
        """The key-encryption key, and during a rotation the one before."""
        from governance.privacy.keys import given_secret, secret_of

        settings = self.settings
        given, old = settings.key_encryption_key.get_secret_value(), settings.key_encryption_key_old.get_secret_value()
        return (
            secret_of("GOVERNANCE_KEY_ENCRYPTION_KEY", given, self.data_dir / "key-encryption.key"),
            given_secret("GOVERNANCE_KEY_ENCRYPTION_KEY_OLD", old, self.data_dir / "key-encryption.old.key"),
        )

    def _stored_secret(self, purpose: bytes) -> bytes | None:
        from governance.store.base import keys

        with self.engine.connect() as connection:
            return keys.stored_secret(connection, purpose.decode())

    @cached_property
    def signing_seed(self) -> bytes:
        """The Ed25519 seed that signs checkpoints: from the setting, else from the data directory (0600)."""
        from governance.privacy.keys import secret_of

        given = self.settings.signing_key.get_secret_value()
        return secret_of("GOVERNANCE_SIGNING_KEY", given, self.data_dir / "signing.key")

    @cached_property
    def engine(self) -> sa.Engine:
        """Connected, and at the schema this code speaks. Raises `Misconfigured`."""
        from governance.store.base import in_use, migrate
        from governance.store.base.database import connect, reachable

        if (file := in_use.embedded_file(self.database_url)) is not None:
            self._hold = in_use.hold(file)
        engine = connect(self.database_url)
        reachable(engine)
        with engine.connect() as connection:
            empty = migrate.current(connection) is None
        if empty or self._migrate:
            migrate.upgrade(engine)
        else:
            migrate.check(engine)
        return engine

    @cached_property
    def signer(self) -> Signer:
        from governance.audit.note import Signer

        return Signer.from_seed(self.settings.log_origin, self.signing_seed)

    @cached_property
    def database(self) -> Database:
        """The database with its audit log. Raises `Misconfigured`, also for keys that are lost or another's."""
        from governance.services.evidence.adopt import adopt_state
        from governance.store.evidence.audit_log import SqlAuditLog
        from governance.store.transaction import Database

        self._refuse_lost_keys()
        database = Database(self.engine, SqlAuditLog(self.signer, self.clock))
        adopt_state(database, self.clock)
        return database

    @cached_property
    def integrity(self) -> Integrity:
        """Looks at the database's pages, and remembers what was found."""
        from governance.store.base.integrity import Integrity

        return Integrity(self.engine, self.clock)

    @cached_property
    def integrity_watch(self) -> IntegrityWatch:
        """Looks once, at the start. `serve` starts it."""
        from governance.store.base.integrity import IntegrityWatch

        return IntegrityWatch(self.integrity, embedded=self.database.dialect == "sqlite")

    def _refuse_lost_keys(self) -> None:
        """A new key beside old data would make that data unreadable, or the log a different one: never silently."""
        from governance.store.base import keys

        with self.engine.connect() as connection:
            some = keys.some_wrapped(connection)
            note = keys.latest_note(connection)
        if some:
            if not self.settings.key_encryption_key.get_secret_value():
                self._need(self.data_dir / "key-encryption.key", "key-encryption key", "GOVERNANCE_KEY_ENCRYPTION_KEY")
            for wrapped in some:
                self.key_ring.unwrap(wrapped)
        if note is not None:
            if not self.settings.signing_key.get_secret_value():
                self._need(self.data_dir / "signing.key", "signing key", "GOVERNANCE_SIGNING_KEY")
            try:
                self.signer.verifier.open(note)
            except (BadInput, Tampered):
                raise Misconfigured(
                    "The signing key or the log's name does not fit this database's audit log.",
                    advice="Restore the key (GOVERNANCE_SIGNING_KEY) and GOVERNANCE_LOG_ORIGIN that it was made with.",
                ) from None

    @staticmethod
    def _need(file: Path, name: str, setting: str) -> None:
        if not file.exists():
            raise Misconfigured(
                f"The {name} is missing: there is data made with it, but no {file}.",
                advice=f"Restore that file from the backup, or set {setting}.",
            )

    @cached_property
    def permissions(self) -> PermissionsInForce:
        from governance.access.permissions import CedarPermissions, PermissionsInForce
        from governance.store.policies.rollouts import access_in_force, digest_in_force

        def digest() -> str:
            with self.database.read() as connection:
                return digest_in_force(connection)

        def texts() -> tuple[str, Mapping[str, str]]:
            with self.database.read() as connection:
                return access_in_force(connection)

        return PermissionsInForce(digest, texts, CedarPermissions.load(self.policies_dir, resource("policies")))

    @cached_property
    def authority(self) -> Authority[Transaction]:
        from governance.services.authorise import Authority

        return Authority(self.database, self.permissions, self.clock)

    @cached_property
    def access_log(self) -> AccessLog:
        """Records who reads what; all that is read tells it."""
        from governance.services.access_log import AccessLog

        return AccessLog(self.database, self.clock)

    @cached_property
    def visible(self) -> Visible:
        """Which systems an actor may see: all that is read asks it."""
        from governance.services.visible import Visible

        return Visible(self.authority, self._system_queries)

    @cached_property
    def read_systems(self) -> ReadSystems:
        from governance.services.systems.read import ReadSystems

        return ReadSystems(self.visible, self._system_queries)

    @cached_property
    def _system_queries(self) -> SystemQueries:
        from governance.store.systems.queries import SystemQueries

        return SystemQueries(self.database)

    def build_runner(self, uses: Iterable[DetectorUse], access: Mapping[str, str], *, thorough: bool = False) -> Runner:
        """The detectors that are asked for. `access` are a set's own Cedar files, text by name: what is in force is
        what was promoted, not what the folder holds; where a set has none, those that came with the package count.
        `thorough` as in `registry.build`. What redaction stands on is there whatever is asked for: a set without a
        policy about personal data must not mean that people are shown all of it."""
        from governance.detectors import registry
        from governance.detectors.interface import DetectorUse, JudgeEndpoint, ScannerLimits

        settings = self.settings
        return registry.build(
            [*uses, *(DetectorUse(name=name) for name in _ALWAYS)],
            access_policies=resource("policies") / "access",
            access_texts=access,
            data_dir=settings.data_dir.absolute(),
            scanners=ScannerLimits(memory_mib=settings.scanners_memory_mib, online=settings.scanners_online),
            judge=JudgeEndpoint(
                url=settings.judge_url,
                key=settings.judge_key.get_secret_value(),
                model=settings.judge_model,
                timeout=settings.judge_timeout,
                calls_a_day=settings.judge_calls_a_day,
                tokens_a_day=settings.judge_tokens_a_day,
            ),
            thorough=thorough,
        )

    @cached_property
    def redactor(self) -> Redactor:
        from governance.privacy.redaction import Redactor

        return Redactor(lambda: self.key_ring)
