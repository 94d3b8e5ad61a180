"""`governance doctor`: what is wrong with this installation, and how to fix it. Changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import Application, open_application, resource
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, plain
from governance.cli.people import sign_in as sign_in_checks
from governance.cli.policies.detectors import settled
from governance.cli.verdict import Verdict, ok, warning, wrong
from governance.detectors import registry
from governance.detectors.host import environment
from governance.errors import GovernanceError, Overloaded
from governance.policy.folder import CONSOLE, not_read
from governance.policy.policy import PolicySet
from governance.policy.problems import errors
from governance.store.base.in_use import embedded_file
from governance.store.base.probe import try_write
from governance.store.calls import health as health_queries
from governance.systems.health import Backlog

app = typer.Typer(rich_markup_mode=None)
_FREE_BYTES = 1 << 30
_LOOK_BYTES = 2 << 30
_CLOCK_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)


@app.command()
def doctor(
    port: Annotated[int, typer.Option(help="The port that serve is to listen on.", min=1, max=65535)] = 8501,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="Only sign-in: asks the identity provider, shows the last sign-ins.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Say what is wrong with this installation, and how to fix it. Exit code 1 when something is."""
    more: dict[str, object] = {}
    if sign_in:
        verdicts, more["sign_ins"] = sign_in_checks.examine(open_application())
    else:
        verdicts = examine(open_application(), port)
    marks = {"ok": "ok     ", "warning": "look   ", "wrong": "WRONG  "}

    def show() -> None:
        for verdict in verdicts:
            typer.echo(f"{marks[verdict.state]} {verdict.check}: {plain(verdict.says)}")
            if verdict.fix:
                typer.echo(f"         {plain(verdict.fix)}")

    emit({"ok": not _any_wrong(verdicts), "checks": verdicts, **more}, show, as_json=json)
    if _any_wrong(verdicts):
        raise typer.Exit(1)


def _any_wrong(verdicts: list[Verdict]) -> bool:
    return any(verdict.state == "wrong" for verdict in verdicts)


def examine(application: Application, port: int) -> list[Verdict]:
    """All checks; one that cannot be made is itself a finding."""
    found: list[Verdict] = []
    checks: list[tuple[str, Callable[[], Iterator[Verdict]]]] = [
        ("python", _python),
        ("clock", lambda: _clock(application)),
        ("files", _files),
        ("data directory", lambda: _data_dir(application)),
        ("database", lambda: _database(application)),
        ("jobs", lambda: _jobs(application)),
        ("audit log", lambda: _findings(application)),
        ("checkpoint copies", lambda: _copies(application)),
        ("keys", lambda: _keys(application)),
        ("policies", lambda: _policies(application)),
        ("detectors", lambda: _detectors(application)),
        ("sign-in", lambda: _sign_in(application)),
        ("port", lambda: _port(port)),
    ]
    for name, check in checks:
        try:
            found.extend(check())
        except GovernanceError as error:
            # What depends on the same broken thing is not told twice.
            if all(error.message != verdict.says for verdict in found):
                found.append(wrong(name, error.message, error.advice))
        except Exception as error:
            found.append(wrong(name, f"could not be checked ({type(error).__name__}).", "Report this, please."))
    return found


def _python() -> Iterator[Verdict]:
    yield ok("python", ".".join(str(number) for number in sys.version_info[:3]))


def _clock(application: Application) -> Iterator[Verdict]:
    now = application.clock()
    if now < _CLOCK_EARLIEST:
        yield wrong("clock", f"says {now:%Y-%m-%d}.", "Set the machine's clock: times are evidence.")
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _files() -> Iterator[Verdict]:
    missing = [name for name in ("app", "migrations", "policies") if not resource(name).is_dir()]
    if missing:
        yield wrong("installation", f"{', '.join(missing)} missing.", "Install the package again.")
    else:
        yield ok("installation", str(resource("app").parent))


def _data_dir(application: Application) -> Iterator[Verdict]:
    folder = application.settings.data_dir.absolute()
    if not folder.exists():
        yield warning("data directory", f"{folder} does not exist yet.", "The first start makes it.")
        return
    folder = application.data_dir
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        yield warning("data directory", f"{folder} can be read by others ({mode:o}).", f"chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES:
        yield warning("disk", f"only {free // 2**20} MiB are free.", "Make room: a full disk takes no calls.")
    else:
        yield ok("data directory", f"{folder}, {free // 2**30} GiB free")


def _database(application: Application) -> Iterator[Verdict]:
    if not application.settings.database_url and not application.settings.data_dir.exists():
        yield warning("database", "there is none yet.", "The first start makes it.")
        return
    with application.database.read() as connection:
        from governance.store.base import keys
        from governance.store.calls import health

        waiting = health.waiting(connection)
        workers = health.workers(connection)
        events = keys.log_size(connection)
        late = health.backlog(connection, application.clock())
    yield ok("database", f"{application.database.dialect}, schema current, {events} sealed events")
    yield _recording(application)
    yield _integrity(application)
    yield _checking(application, late)
    silent = application.clock() - workers[0].seen_at if workers else None
    if silent is None or silent > timedelta(seconds=30):
        if waiting:
            yield wrong("worker", f"none is alive and {waiting} calls wait.", "Start: governance serve, or worker.")
        else:
            yield warning("worker", "none is alive.", "governance serve starts one.")
    else:
        yield ok("worker", f"alive, {waiting} calls wait")


def _recording(application: Application) -> Verdict:
    try:
        try_write(application.database)
    except Overloaded as error:
        return wrong("recording", error.message, f"Calls get 503 until then. {error.advice}")
    return ok("recording", "the database takes a write")


def _integrity(application: Application) -> Verdict:
    """Looks for itself at a database of up to `_LOOK_BYTES`; of a larger one it says what the server found last."""
    file = embedded_file(application.database_url)
    small = file is None or file.stat().st_size <= _LOOK_BYTES
    found = application.integrity.look() if small else application.integrity.last()
    if found is None:
        return warning("integrity", "nobody has looked yet.", "governance serve looks daily; or: governance db check.")
    if found.problems:
        return wrong("integrity", found.words, "Stop, and restore a backup: docs/operations.md, Disaster.")
    return ok("integrity", found.words)


def _checking(application: Application, late: Backlog) -> Verdict:
    settings = application.settings
    if late.oldest_seconds >= settings.check_lag_failure:
        return wrong("checking", f"{late.words}.", "Add workers: GOVERNANCE_WORKERS, or governance worker.")
    if late.oldest_seconds >= settings.check_lag_warning:
        return warning("checking", f"{late.words}.", "Watch whether it grows; add workers where it does.")
    return ok("checking", late.words)


def _jobs(application: Application) -> Iterator[Verdict]:
    if not application.settings.database_url and not application.settings.data_dir.exists():
        return
    figures, unknown = application.background.figures(), application.background.unknown()
    other = figures.failed - figures.messages_dead
    if figures.messages_dead:
        dead = counted(figures.messages_dead, "message")
        yield warning(
            "messages",
            f"{dead} could not be sent, and no attempt is left.",
            "See: governance jobs list --state failed --kind outbox.deliver. Then: governance jobs retry ID.",
        )
    if other:
        yield warning(
            "jobs",
            f"{counted(other, 'job')} failed, and no attempt is left.",
            "See: governance jobs list --state failed. Then: governance jobs retry ID, or cancel ID.",
        )
    if unknown:
        yield warning(
            "jobs",
            f"{counted(unknown, 'job')} of a kind that this version does not know.",
            "They wait for the newer version that added them. To drop one: governance jobs cancel ID.",
        )
    if figures.overdue > unknown:
        yield warning(
            "jobs",
            f"{counted(figures.overdue - unknown, 'job')} could have run a quarter of an hour ago.",
            "Start a worker: governance serve, or worker.",
        )
    if not (figures.failed or unknown or figures.overdue):
        alerts = "" if application.alerts.wanted else "; alerts go nowhere (GOVERNANCE_ALERT_WEBHOOK_URL)"
        yield ok("jobs", f"{figures.waiting} wait, none failed{alerts}")


def _findings(application: Application) -> Iterator[Verdict]:
    """What verifications found wrong, until somebody answers for it."""
    if not application.settings.database_url and not application.settings.data_dir.exists():
        return
    standing = [one for one in application.findings.standing(acting()) if one.open]
    for one in standing:
        yield wrong(
            "audit log",
            f"finding {one.id} of {one.at:%Y-%m-%d %H:%M} UTC ({one.kind}): {one.detail}",
            "Secure the database and the kept checkpoints. Then: governance audit acknowledge ID --note TEXT.",
        )
    if not standing:
        yield ok("audit log", "no verification found anything that nobody answers for")


def _copies(application: Application) -> Iterator[Verdict]:
    """Whether checkpoints are kept where nobody here can change them, and how old the last ones are."""
    if not application.settings.database_url and not application.settings.data_dir.exists():
        return
    state = application.checkpoint_copies.state()
    if not state:
        yield warning(
            "checkpoint copies",
            "none is kept elsewhere, so a log that is cut or written anew cannot be told.",
            "Set GOVERNANCE_CHECKPOINT_COPY_FOLDER, _URL, _BUCKET or _MAIL_TO: docs/operations.md, Checkpoint copies.",
        )
    for one in state:
        said = "none yet" if one.copied_at is None else f"the last one {one.copied_at:%Y-%m-%d %H:%M} UTC"
        if one.late or one.error:
            make = wrong if one.late else warning
            yield make("checkpoint copies", f"{one.name}, {said}. {one.error}".strip(), f"Look at {one.where}.")
        else:
            yield ok("checkpoint copies", f"{one.name}, {said}")


def _keys(application: Application) -> Iterator[Verdict]:
    settings = application.settings
    for name, given, file in (
        ("key-encryption key", settings.key_encryption_key, "key-encryption.key"),
        ("signing key", settings.signing_key, "signing.key"),
    ):
        path = settings.data_dir / file
        if given.get_secret_value():
            yield ok(name, "from the environment")
        elif not path.exists():
            yield warning(name, "there is none yet.", "The first start makes it. Keep a copy elsewhere.")
        elif (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            yield wrong(name, f"{path} can be read by others ({mode:o}).", f"chmod 600 {path}")
        elif path.stat().st_uid != os.getuid() and os.getuid() != 0:
            yield warning(name, f"{path} belongs to another account.", "Run as that account.")
        else:
            yield ok(name, _fits(application, path))


def _fits(application: Application, path: Path) -> str:
    """Opening the database has compared the keys with what is stored; it raises where they do not fit."""
    _ = application.database
    return f"{path}, fits the database"


def _policies(application: Application) -> Iterator[Verdict]:
    """The files, and how they differ from what is in force; broken files keep nothing from governing."""
    loaded = application.examine_policies()
    files: PolicySet | None = loaded.policy_set
    if files is not None:
        yield ok("policy files", f"{len(files.policies)} in {application.policies_dir}, digest {files.digest[:12]}")
    else:
        many = f"{counted(len(errors(loaded.problems)), 'mistake')} in {application.policies_dir}."
        yield warning("policy files", many, "See: governance policy lint.")
    if unread := not_read(loaded.problems):
        yield warning("policy files", f"not read: {unread}.", "See: governance policy lint.")
    if not application.settings.database_url and not application.settings.data_dir.exists():
        yield warning("policies in force", "there are none yet.", "The first start puts the files into force.")
        return
    standing = application.rollout.standing()
    if standing.enforce is None:
        yield warning("policies in force", "there are none yet.", "The first start puts the files into force.")
        return
    if altered := application.rollout.altered():
        named = ", ".join(digest[:12] for digest in altered)
        yield wrong(
            "policies in force",
            f"{named} was changed in the database: its policies do not give its digest. No process starts with it.",
            "Restore a backup (docs/operations.md). What else was changed: governance audit verify.",
        )
        return
    in_force = application.rollout.in_force()
    if in_force is not None and CONSOLE not in in_force.access:
        yield warning(
            "permissions",
            "access/console.cedar is not part of the set in force: whoever can write the file changes rights.",
            "Propose the files, which now hold it: governance policy promote.",
        )
    beside = "" if standing.shadow is None else f"; rollout {standing.shadow.rollout} decides in shadow"
    said = f"rollout {standing.enforce.rollout}, digest {standing.enforce.digest[:12]}{beside}"
    changes = application.rollout.drift(files) if files is not None else None
    if changes is not None and changes.count:
        yield warning(
            "policies in force",
            f"{said}; the files differ: {changes.words}.",
            "See: governance policy diff. To propose them: governance policy promote.",
        )
    else:
        yield ok("policies in force", said)


def _absent(application: Application) -> Mapping[str, str]:
    """Since when workers have said that a detector is not there, by name."""
    with application.database.read() as connection:
        known = health_queries.detectors(connection)
    return {one.name: f" Since {one.absent_since:%Y-%m-%d %H:%M} UTC." for one in known if one.absent_since is not None}


def _detectors(application: Application) -> Iterator[Verdict]:
    """Those of the policies in force; of the files where there is no database yet."""
    there = application.settings.database_url or application.settings.data_dir.exists()
    policies = (application.rollout.in_force() if there else None) or application.policy_files
    runner = application.build_runner(policies.detector_uses(), policies.access)
    absent = _absent(application) if there else {}
    try:
        conditions = settled(runner)
        for name, health in sorted(runner.health.items()):
            condition, since = conditions.get(name), absent.get(name, "")
            if condition is not None and condition.state != "ready":
                said = condition.detail or f"still {condition.state}."
                yield wrong(f"detector {name}", said + since, "Its policies answer on_error. See docs/detectors.md.")
            elif health.last_failure:
                yield wrong(f"detector {name}", health.last_failure + since, "See: governance detectors list.")
            elif name in registry.HOSTED and environment.stale(application.settings.data_dir.absolute()):
                yield warning(f"detector {name}", "made for another version.", "governance detectors install llm-guard")
            else:
                yield ok(f"detector {name}", runner.versions.get(name, ""))
    finally:
        runner.close()


def _sign_in(application: Application) -> Iterator[Verdict]:
    settings = application.settings
    if not settings.oidc_issuer:
        yield ok("sign-in", "local accounts, on this machine only")
    elif not settings.public_url.startswith("https:"):
        yield warning("sign-in", "OpenID Connect without https.", "Set GOVERNANCE_PUBLIC_URL to the https address.")
    else:
        yield ok("sign-in", f"OpenID Connect at {settings.oidc_issuer}; to try it: governance doctor --sign-in")


def _port(port: int) -> Iterator[Verdict]:
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            yield warning("port", f"{port} is in use.", "Fine when the server runs; else stop it, or use --port.")
        else:
            yield ok("port", f"{port} is free")
