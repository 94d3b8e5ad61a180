"""`governance audit`: the state of the log, its verification, its latest checkpoint. Verifying a package needs nothing
but the file."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.audit.note import Checkpoint, Verifier
from governance.audit.verify import OWN, Outcome, Verification, verify_package
from governance.cli.evidence import findings, trail
from governance.cli.output import JsonFlag, emit, plain, progress
from governance.errors import BadInput, Misconfigured

if TYPE_CHECKING:
    from governance.bootstrap import Application

app = typer.Typer(help="State and verification of the audit log.", no_args_is_help=True, rich_markup_mode=None)
app.command("acknowledge")(findings.acknowledge)
app.command("list")(trail.list_events)

_MARKS = {
    Outcome.PASSED: "ok",
    Outcome.FAILED: "FAILED",
    Outcome.NOT_PROVEN: "NOT PROVEN",
    Outcome.NOT_CHECKED: "not checked",
    Outcome.FLAGGED: "look at",
}
_LARGEST_NOTE = 1_000_000


@app.command("status")
def status(json: JsonFlag = False) -> None:
    """Size, latest checkpoint, what waits to be sealed, the last verification, and what verifications found wrong."""
    from governance.bootstrap import open_application
    from governance.cli.acting import acting
    from governance.cli.output import dump

    application = open_application()
    state = application.read_audit.status(acting())
    standing = application.findings.standing(acting())
    copies = application.checkpoint_copies.standing(acting())
    head, lag = state.head, state.lag_seconds
    found: dict[str, Any] = {
        "origin": application.signer.name,
        "key": str(application.signer.verifier),
        "size": 0 if head is None else head.size,
        "root": None if head is None else _root(head.checkpoint),
        "sealed_at": state.sealed_at,
        "seal_lag_seconds": lag,
        "verified": None if state.verified is None else {"at": state.verified.at, **state.verified.data},
        "findings": [findings.document(one) for one in standing],
        "copies": [
            {"to": one.name, "size": one.size, "copied_at": one.copied_at, "error": one.error, "late": one.late}
            for one in copies
        ],
    }
    application.close()

    def human() -> None:
        typer.echo(f"Log        {found['origin']}")
        typer.echo(f"Events     {found['size']:,}")
        if head is not None:
            typer.echo(f"Root       {found['root']}")
            typer.echo(f"Sealed     {found['sealed_at']:%Y-%m-%d %H:%M:%S} UTC")
        typer.echo(f"Waiting    {f'{lag:.1f} s' if lag else 'nothing'}")
        last = found["verified"]
        words = (
            "never" if last is None else f"{last['at']:%Y-%m-%d %H:%M:%S} UTC, {'ok' if last.get('ok') else 'FAILED'}"
        )
        typer.echo(f"Verified   {words}")
        for one in copies:
            when = "none yet" if one.copied_at is None else f"{one.copied_at:%Y-%m-%d %H:%M} UTC, size {one.size:,}"
            trouble = f"{', TOO OLD' if one.late else ''}{f': {one.error}' if one.error else ''}"
            typer.echo(f"Copy       {one.name}, {when}{trouble}")
        findings.lines(standing)
        typer.echo(f"Key        {found['key']}")

    if json:
        typer.echo(dump(found))
    else:
        human()


@app.command("verify")
def verify(
    package: Annotated[Path | None, typer.Argument(help="An evidence package; without it the whole log.")] = None,
    database: Annotated[
        str,
        typer.Option(
            help="The log of this database (sqlite:////path/governance.db, postgresql://...), read-only and without "
            "this installation's settings and secrets; needs --key."
        ),
    ] = "",
    checkpoint: Annotated[Path | None, typer.Option(help="A signed checkpoint that was kept elsewhere.")] = None,
    key: Annotated[
        str,
        typer.Option(
            help="The log's public key that you trust: a file (key.txt or PEM), or the key itself. 'own': that of the "
            "package, for which nobody vouches."
        ),
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Verify the whole log, or an evidence package offline. Exit 1 when a check failed, or when what was asked for is
    not proven: a package without --key, or a checkpoint that it has no proof for."""
    kept = "" if checkpoint is None else _text(checkpoint)
    trusted = _key(key)
    if package is None and trusted == OWN:
        raise BadInput("'--key own' is for a package.", advice="Without --key, the log is verified with its own key.")
    if database and package is not None:
        raise BadInput("Give a package or --database, not both.")
    if database and not trusted:
        raise BadInput("--database needs --key.", advice="The key is what governance audit status shows as Key.")
    if database:
        found = _database(database, kept, trusted)
    else:
        found = _log(kept, trusted) if package is None else _package(package, kept, trusted)
    emit(_document(found), lambda: _print(found), as_json=json)
    if not found.ok:
        raise typer.Exit(1)


@app.command("checkpoint")
def checkpoint(json: JsonFlag = False) -> None:
    """Print the latest signed checkpoint: keep it outside, and nothing before it can be changed unseen."""
    from governance.bootstrap import open_application
    from governance.errors import NotFound

    application = open_application()
    application.audit_log.settle()
    with application.audit_log.snapshot() as snapshot:
        head = snapshot.head
    application.close()
    if head is None:
        raise NotFound("The audit log is empty.")
    document = {"size": head.size, "root": _root(head.checkpoint), "checkpoint": head.checkpoint}
    emit(document, lambda: typer.echo(head.checkpoint, nl=False), as_json=json)


def _package(path: Path, kept: str, trusted: str) -> Verification:
    try:
        with path.open("rb") as file, progress("Verifying") as advance:
            return verify_package(file, key=trusted, kept=kept, advance=advance)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None


def _database(url: str, kept: str, trusted: str) -> Verification:
    from governance.bootstrap.outside import verify_database

    with progress("Verifying") as advance:
        return verify_database(url, trusted, kept=kept, advance=advance)


def _log(kept: str, trusted: str) -> Verification:
    from governance.bootstrap import open_application
    from governance.cli.acting import acting
    from governance.services.evidence.verify import verify_snapshot

    application = open_application()
    verifier = Verifier.parse(trusted, name=application.settings.log_origin) if trusted else None
    try:
        with progress("Verifying") as advance:
            try:
                return application.verify.verify(acting(), kept=kept, verifier=verifier, advance=advance)
            except Misconfigured:
                # The latest checkpoint does not fit the key, so nothing can be written; but why is what is asked.
                if verifier is None and not _has_key(application):
                    raise
                verifier = verifier or application.signer.verifier
                with application.unkeyed_audit_log.snapshot() as snapshot:
                    return verify_snapshot(snapshot, verifier, kept=kept, advance=advance)
    finally:
        application.close()


def _has_key(application: Application) -> bool:
    """Whether there is a signing key already; asking for the signer would make one."""
    given = application.settings.signing_key.get_secret_value()
    return bool(given) or (application.data_dir / "signing.key").exists()


def _key(given: str) -> str:
    """The key that `--key` gives, itself or by a file."""
    if given in ("", OWN):
        return given
    if not Path(given).exists():
        with suppress(BadInput):
            return str(Verifier.parse(given))
    return _text(Path(given))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_NOTE).decode()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text.") from None


def _root(note: str) -> str:
    root = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n").root
    return base64.b64encode(root).decode()


def _document(found: Verification) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "empty": found.empty,
        "origin": found.origin,
        "size": found.size,
        "events": found.events,
        "key": found.key,
        "results": [
            {
                "result": one.result.value,
                "of": one.of,
                "meaning": one.result.meaning,
                "advice": one.result.advice,
            }
            for one in found.results
        ],
        "failed": list(found.failed),
        "unproven": list(found.unproven),
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome.value,
                "detail": check.detail,
                "failures": check.failures,
                "places": list(check.places),
            }
            for check in found.checks
        ],
    }


def _print(found: Verification) -> None:
    for check in found.checks:
        typer.echo(plain(f"{_MARKS[check.outcome]:<12} {check.name:<12} {check.detail}"))
        for place in check.places[1:] if check.places[:1] == (check.detail,) else check.places:
            typer.echo(plain(f"{'':<26}{place}"))
        if check.failures > len(check.places):
            typer.echo(f"{'':<26}and {check.failures - len(check.places)} more")
    typer.echo()
    for one in found.results:
        typer.echo(plain(one.result.value + (f": {one.of}." if one.of else "")))
        typer.echo(f"  {one.result.meaning} {one.result.advice}")
    typer.echo()
    if found.failed:
        typer.echo("NOT VERIFIED: " + ", ".join(found.failed) + ".")
    elif found.unproven:
        typer.echo(
            "NOT PROVEN: " + ", ".join(found.unproven) + ". Nothing was found wrong, and what was asked is open."
        )
    elif found.key_unknown:
        typer.echo("CONSISTENT: nothing contradicts it, but the package chose its own key.")
    elif found.empty:
        holder = "package is genuine" if found.manifest else "log is genuine"
        typer.echo(f"Verified: the {holder}, and there is nothing in it.")
    else:
        typer.echo("Verified: nothing was changed.")
