"""Puts the parts together; the only place that reads `Settings` and knows every implementation.

`open_application(load())` costs nothing: each part is made when it is first asked for, so a command that needs no
database opens none.
"""

from __future__ import annotations

import importlib
import os
import sys
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import BadInput, GovernanceError, Misconfigured, Tampered
from governance.services.ports import Clock
from governance.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy as sa

    from governance.audit.note import Signer
    from governance.detectors.interface import DetectorUse
    from governance.detectors.runner import Runner
    from governance.domain.rollout import StandingSet
    from governance.intake import Intake
    from governance.intake.recording import Recording
    from governance.policy.policy import PolicySet
    from governance.privacy.keys import KeyRing
    from governance.privacy.redaction import Redactor
    from governance.review.permissions import CedarPermissions
    from governance.services.authorise import Authority
    from governance.services.backtest import BacktestService, HandsFor
    from governance.services.evidence.restored import RecordRestore
    from governance.services.explain import ExplainService
    from governance.services.export import ExportEvidence
    from governance.services.in_force import InForce, ReadySet
    from governance.services.inline import InlineService
    from governance.services.keys import KeyService
    from governance.services.people import PeopleService
    from governance.services.record import Recorder
    from governance.services.reports import ReportService
    from governance.services.reveal import RevealService
    from governance.services.review import ReviewService
    from governance.services.rollout import RolloutService
    from governance.services.sessions import SessionService
    from governance.services.suggest import SuggestService
    from governance.services.verify import VerifyLog
    from governance.store.audit_log import PostgresSealer
    from governance.store.base.in_use import Hold
    from governance.store.base.integrity import Integrity, IntegrityWatch
    from governance.store.calls import AttributeReader
    from governance.store.checkpoints import Checkpointer
    from governance.store.checks import SqlCheckStore
    from governance.store.database import Database
    from governance.store.decisions import SqlDecisions
    from governance.store.jobs import JobQueue
    from governance.store.queries.audit import AuditReader
    from governance.store.traffic import SqlTraffic

PACKAGE = Path(__file__).parent
SENDER_SECONDS = 3.0
"""How long a request waits for a database that others hold; its answer must come within 5 seconds."""
_ALWAYS = ("pii", "secrets")
"""The detectors whose findings are hidden from those who may not see the original."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def resource(name: str) -> Path:
    """The folder `app`, `migrations` or `policies`: inside the installed package, or beside it in a checkout."""
    packaged = PACKAGE / f"_{'console' if name == 'app' else name}"
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def console_package() -> Path:
    """Makes `import app` mean the console, also where it is installed as `governance._console`; gives its folder."""
    folder = resource("app")
    if "app" not in sys.modules:
        if folder.parent == PACKAGE:
            sys.modules["app"] = importlib.import_module("governance._console")
        else:
            sys.path.insert(0, str(folder.parent))
            importlib.import_module("app")
    return folder


class Application:
    """The product, wired. Parts are attributes, made on first use; `close()` when done.

    `migrate` lets it bring an older database up to date (`serve`, `db upgrade`); an empty database is always set up.
    """

    def __init__(self, settings: Settings, *, clock: Clock = utc_now, migrate: bool = False) -> None:
        self.settings = settings
        self.clock = clock
        self._migrate = migrate
        self._hold: Hold | None = None
        self.prepares = False
        """Whether scanners are loaded as soon as a policy set wants them (a worker), not when they are first asked."""

        self.answers = False
        """Whether senders wait for what is recorded (a server): they must hear within seconds that it cannot be."""

    # Where things lie

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

    # Keys

    @cached_property
    def key_ring(self) -> KeyRing:
        """Content keys, under the key-encryption key: from the setting, else from the data directory (0600)."""
        from governance.privacy.keys import KeyRing, secret_of

        given = self.settings.key_encryption_key.get_secret_value()
        return KeyRing(secret_of("GOVERNANCE_KEY_ENCRYPTION_KEY", given, self.data_dir / "key-encryption.key"))

    @cached_property
    def signing_seed(self) -> bytes:
        """The Ed25519 seed that signs checkpoints: from the setting, else from the data directory (0600)."""
        from governance.privacy.keys import secret_of

        given = self.settings.signing_key.get_secret_value()
        return secret_of("GOVERNANCE_SIGNING_KEY", given, self.data_dir / "signing.key")

    # The database

    @cached_property
    def engine(self) -> sa.Engine:
        """Connected, and at the schema this code speaks. Raises `Misconfigured`."""
        from governance.store import migrate
        from governance.store.base import in_use
        from governance.store.database import connect, reachable

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
        from governance.store.audit_log import SqlAuditLog
        from governance.store.database import Database

        self._refuse_lost_keys()
        return Database(self.engine, SqlAuditLog(self.signer, self.clock))

    def _refuse_lost_keys(self) -> None:
        """A new key beside old data would make that data unreadable, or the log a different one: never silently."""
        from governance.store.queries import keys

        with self.engine.connect() as connection:
            wrapped = keys.any_wrapped(connection)
            note = keys.latest_note(connection)
        if wrapped is not None:
            if not self.settings.key_encryption_key.get_secret_value():
                self._need(self.data_dir / "key-encryption.key", "key-encryption key", "GOVERNANCE_KEY_ENCRYPTION_KEY")
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

    # Who may

    @cached_property
    def permissions(self) -> CedarPermissions:
        from governance.review.permissions import CedarPermissions

        return CedarPermissions.load(self.policies_dir, resource("policies"))

    @cached_property
    def authority(self) -> Authority:
        from governance.services.authorise import Authority

        return Authority(self.database, self.permissions, self.clock)

    @cached_property
    def sessions(self) -> SessionService:
        from governance.services.sessions import SessionService

        return SessionService(self.authority, lasts=timedelta(hours=self.settings.session_hours))

    @cached_property
    def people(self) -> PeopleService:
        from governance.services.people import PeopleService

        try:
            return PeopleService(self.authority, group_roles=self.settings.role_map)
        except ValueError as error:
            raise Misconfigured(f"GOVERNANCE_ROLE_MAP: {error}.", advice="See docs/settings.md.") from None

    @cached_property
    def keys(self) -> KeyService:
        from governance.services.keys import KeyService

        return KeyService(self.authority)

    # Human review

    @cached_property
    def review(self) -> ReviewService:
        from governance.services.review import ReviewService

        lease = timedelta(minutes=self.settings.lease_minutes)
        return ReviewService(self.authority, lease=lease, redact=self.redact_text)

    @cached_property
    def reports(self) -> ReportService:
        from governance.services.reports import ReportService

        return ReportService(self.authority, self.key_ring, redact=self.redact_text)

    @cached_property
    def reveal(self) -> RevealService:
        from governance.services.reveal import RevealService
        from governance.store.calls import SqlOriginals

        originals = SqlOriginals(self.database, self.key_ring)
        lasts = timedelta(minutes=self.settings.reveal_minutes)
        return RevealService(self.authority, originals, lasts=lasts, redact=self.redact_text)

    @cached_property
    def explain(self) -> ExplainService:
        from governance.services.explain import ExplainService

        return ExplainService(self.authority, self._decisions)

    @cached_property
    def suggest(self) -> SuggestService:
        from governance.services.suggest import SuggestService

        return SuggestService(self.authority, self._decisions, partial(self.build_runner, thorough=True), self.backtest)

    @cached_property
    def _decisions(self) -> SqlDecisions:
        from governance.store.decisions import SqlDecisions

        return SqlDecisions(self.database, self.key_ring, self.read_call)

    # Policies and their way into force

    @cached_property
    def rollout(self) -> RolloutService:
        """Proposes, approves, promotes and restores policy sets."""
        from governance.services.gate import PolicyGate
        from governance.services.rollout import RolloutService

        gate = PolicyGate(
            partial(self.build_runner, thorough=True), self.backtest, processes=min(2, os.cpu_count() or 1)
        )
        return RolloutService(self.authority, gate)

    @cached_property
    def backtest(self) -> BacktestService:
        """Tries policy sets on recorded calls."""
        from governance.services.backtest import BacktestService

        return BacktestService(self.authority, self.new_traffic, self.build_runner, self._hands)

    @cached_property
    def _hands(self) -> HandsFor:
        from governance.services.hands import hands

        return partial(
            hands,
            build=self.build_runner,
            command=[sys.executable, "-m", "governance.cli.backtester"],
            environment=lambda: {**os.environ, **self.settings.environment()},
        )

    def new_traffic(self, snapshot: str | None = None) -> SqlTraffic:
        """Where one thread reads recorded calls from, for a backtest: as of one moment, which may be another
        process's (`SqlTraffic.shared`). To be closed."""
        from governance.store.traffic import SqlTraffic

        return SqlTraffic(self.database, lambda: self.key_ring, snapshot=snapshot)

    # The audit log

    @cached_property
    def audit_log(self) -> AuditReader:
        """Snapshots of the log, for verification, export and display."""
        from governance.store.audit_log import SqlAuditLog
        from governance.store.queries.audit import AuditReader

        writer = self.database.audit
        assert isinstance(writer, SqlAuditLog)
        return AuditReader(self.engine, writer)

    @cached_property
    def sealer(self) -> PostgresSealer:
        """Seals what PostgreSQL's transactions have committed; does nothing on SQLite. `serve` starts it."""
        from governance.store.audit_log import PostgresSealer

        _ = self.database
        return PostgresSealer(self.engine, self.signer, self.clock)

    @cached_property
    def checkpointer(self) -> Checkpointer:
        """Keeps SQLite's write-ahead log short; does nothing on PostgreSQL. `serve` starts it."""
        from governance.store.checkpoints import Checkpointer

        return Checkpointer(self.engine)

    @cached_property
    def integrity(self) -> Integrity:
        """Looks at the database's pages, and remembers what was found."""
        from governance.store.base.integrity import Integrity

        return Integrity(self.engine, self.clock)

    @cached_property
    def integrity_watch(self) -> IntegrityWatch:
        """Looks at the start and daily. `serve` starts it."""
        from governance.store.base.integrity import IntegrityWatch

        return IntegrityWatch(self.integrity, embedded=self.database.dialect == "sqlite")

    @cached_property
    def export(self) -> ExportEvidence:
        from governance.services.export import ExportEvidence
        from governance.store.evidence import Records

        return ExportEvidence(self.authority, self.audit_log, Records(self.engine, self.attributes))

    @cached_property
    def restored(self) -> RecordRestore:
        from governance.services.evidence.restored import RecordRestore

        return RecordRestore(self.authority)

    @cached_property
    def verify(self) -> VerifyLog:
        from governance.services.verify import VerifyLog

        return VerifyLog(self.authority, self.audit_log)

    # Calls

    def read_call(self, call_id: int) -> dict[str, Any]:
        """The call object of docs/api.md, its texts and attributes redacted. Raises `NotFound`."""
        from governance.store.calls import read_call

        with self.database.read() as connection:
            return read_call(connection, call_id, attributes=self.attributes)

    @cached_property
    def attributes(self) -> AttributeReader:
        from governance.store.calls import AttributeReader

        return AttributeReader(self.key_ring, self.redact_text)

    def redact_text(self, text: str) -> str:
        """A text without what the detectors find in it that must not be shown; costly detectors are not asked."""
        from governance.domain.content import Content, ContentKind
        from governance.services.check import WITHHELD, unseen

        found = self.in_force.latest().enforce.runner.glance(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
        return WITHHELD if unseen(found) else self.redactor.redact(text, found.findings)

    @cached_property
    def inline(self) -> InlineService:
        from governance.services.inline import InlineService

        return InlineService(
            self.recorder,
            self.new_check_store,
            self.in_force.current,
            self.redactor.redact,
            self.redact_text,
            self.read_call,
        )

    @cached_property
    def jobs(self) -> JobQueue:
        """The queue of calls to check: a table on SQLite, Procrastinate on PostgreSQL."""
        from governance.store.jobs import ProcrastinateQueue, TableQueue

        return ProcrastinateQueue() if self.database.dialect == "postgresql" else TableQueue(self.database.ids)

    @cached_property
    def recorder(self) -> Recorder:
        from governance.services.record import Recorder
        from governance.store.base import patience
        from governance.store.record import CallWriter

        patient = SENDER_SECONDS if self.answers else patience.LONGEST_SECONDS
        return Recorder(CallWriter(self.database, self.key_ring, self.jobs, self.clock, patient_seconds=patient))

    @property
    def policy_files(self) -> PolicySet:
        """The policies of `policies_dir`, read anew: the source, not what is in force. Raises `PolicyErrors`."""
        from governance.policy.load import load as load_policies

        return load_policies(self.policies_dir)

    @cached_property
    def in_force(self) -> InForce:
        """The policy sets that decide now. On the first start of all that is the files' set."""
        from governance.services.in_force import InForce

        return InForce(lambda: self.rollout.ensure(lambda: self.policy_files), self._ready_set, _not_ready)

    def _ready_set(self, wanted: StandingSet) -> ReadySet:
        from governance.engine.check import Checker
        from governance.engine.decide import Engine
        from governance.services.in_force import ReadySet
        from governance.store.checks import register
        from governance.store.rollouts import stored_set

        try:
            with self.database.read() as connection:
                policy_set = stored_set(connection, wanted.policy_set_id)
        except ValueError as error:
            raise Misconfigured(
                f"The policy set {wanted.digest[:12]} cannot be read by this version ({type(error).__name__}).",
                advice="Roll back to another: governance policy history.",
            ) from None
        runner = self.build_runner(policy_set.detector_uses(), policy_set.access)
        register(self.database, self.clock, digest=runner.digest, units=runner.units | runner.heeds)
        if self.prepares:
            runner.prepare()
        checker = Checker(runner, Engine(policy_set, clock=self.clock))
        return ReadySet(policy_set_id=wanted.policy_set_id, policy_set=policy_set, runner=runner, checker=checker)

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

    def new_check_store(self) -> SqlCheckStore:
        """Where one thread that checks reads calls from and writes decisions to: it keeps caches of its own."""
        from governance.services.review import open_for_decision
        from governance.store.checks import SqlCheckStore

        return SqlCheckStore(self.database, self.key_ring, self.clock, open_for_decision)

    @cached_property
    def intake(self) -> Intake:
        """Where the receiver's bodies go: this process, until a server sets a process of its own."""
        from governance.intake import LocalIntake

        return LocalIntake(lambda: self.recorder)

    @cached_property
    def recording(self) -> Recording:
        """Whether calls are recorded now."""
        from governance.intake.recording import Recording
        from governance.store.base.probe import try_write

        return Recording(lambda: self.intake, lambda: try_write(self.database))

    def close(self) -> None:
        """Commits what waits, then lets go of the database."""
        if "recorder" in self.__dict__:
            self.recorder.close()
        if "sealer" in self.__dict__:
            self.sealer.stop()
        if "checkpointer" in self.__dict__:
            self.checkpointer.stop()
        if "integrity_watch" in self.__dict__:
            self.integrity_watch.stop()
        if "in_force" in self.__dict__:
            self.in_force.close()
        if "engine" in self.__dict__:
            self.engine.dispose()
        if self._hold is not None:
            self._hold.release()


def _not_ready(wanted: StandingSet, error: Exception) -> None:
    import structlog

    reason = str(error) if isinstance(error, GovernanceError) else type(error).__name__
    log = structlog.get_logger("governance.policies")
    log.error("a policy set cannot be used here; the one before goes on", digest=wanted.digest, reason=reason)


def open_application(settings: Settings | None = None, *, clock: Clock = utc_now, migrate: bool = False) -> Application:
    """The application over `settings` (default: the environment)."""
    return Application(settings if settings is not None else load(), clock=clock, migrate=migrate)


_running: Application | None = None


def running() -> Application:
    """This process's application: what `run_as` set (the server, a test), else one over the environment."""
    global _running
    if _running is None:
        _running = open_application()
    return _running


def run_as(application: Application | None) -> None:
    """Makes `application` the one that the console's pages and the API of this process use."""
    global _running
    _running = application
