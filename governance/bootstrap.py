"""Puts the parts together; the only place that reads `Settings` and knows every implementation.

`open_application(load())` costs nothing: each part is made when it is first asked for, so a command that needs no
database opens none.
"""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from governance.errors import Misconfigured
from governance.services.ports import Clock
from governance.settings import Settings, load

if TYPE_CHECKING:
    import sqlalchemy as sa

    from governance.privacy.keys import KeyRing
    from governance.store.database import Database

PACKAGE = Path(__file__).parent


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
        """The policy files; those that came with the package where the configured folder is absent."""
        chosen = self.settings.policies
        return chosen if chosen.is_dir() else resource("policies")

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
        from governance.store.database import connect, reachable

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
    def database(self) -> Database:
        from governance.store.database import Database

        return Database(self.engine)

    def close(self) -> None:
        if "engine" in self.__dict__:
            self.engine.dispose()


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
