"""`governance key`: API keys of applications."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain, table
from governance.domain.people import ApiKey, Scope
from governance.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3650)


@app.callback()
def key() -> None:
    """API keys."""


@app.command()
def create(
    scope: Annotated[list[str], typer.Option(help=f"What it is for; repeat, or use commas: {', '.join(Scope)}.")],
    system: Annotated[str, typer.Option(help="The one system it speaks for; default: any.")] = "",
    expires: Annotated[str, typer.Option(help="For how long, for example 90d, 12h; default: for ever.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Create a key. It is shown once."""
    new = running().keys.create(acting(), _scopes(scope), system=system, expires_in=_duration(expires))

    def human() -> None:
        typer.echo(f"Key {new.key.id}: {new.secret}")
        typer.echo("It is shown this once. Send it as: Authorization: Bearer <key>")

    emit(_document(new.key) | {"key": new.secret}, human, as_json=as_json)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the keys, without their secrets."""
    keys = running().keys.list(acting())

    def human() -> None:
        rows = [
            (each.id, each.prefix, ", ".join(each.scopes), each.system or "any", each.last_used_at, _standing(each))
            for each in keys
        ]
        table(("Number", "Begins with", "Scopes", "System", "Last used", "State"), rows, empty="No keys yet.")

    emit([_document(each) for each in keys], human, as_json=as_json)


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(help="The key's number from the list.", metavar="ID")],
    as_json: JsonFlag = False,
) -> None:
    """Revoke a key for ever."""
    running().keys.revoke(acting(), number)
    emit({"id": number, "revoked": True}, lambda: typer.echo(f"Key {number} is revoked."), as_json=as_json)


def _scopes(names: list[str]) -> list[Scope]:
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    for name in wanted:
        if name not in set(Scope):
            raise BadInput(f"There is no scope {name!r}.", advice=f"Scopes are {', '.join(Scope)}.")
    return [Scope(name) for name in wanted]


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text.strip())
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if span is None or span > _LONGEST:
        raise BadInput(f"{text!r} is no time span.", advice="Examples: 12h, 90d, 26w; ten years at most.")
    return span


def _standing(each: ApiKey) -> str:
    if each.revoked_at is not None:
        return f"revoked {each.revoked_at:%Y-%m-%d}"
    if each.expires_at is None:
        return "valid"
    over = each.expires_at <= datetime.now(UTC)
    return f"{'expired' if over else 'valid until'} {each.expires_at:%Y-%m-%d}"


def _document(each: ApiKey) -> dict[str, Any]:
    return {
        "id": each.id,
        "prefix": plain(each.prefix),
        "scopes": list(each.scopes),
        "system": each.system,
        "created_by": each.created_by,
        "created_at": each.created_at,
        "expires_at": each.expires_at,
        "revoked_at": each.revoked_at,
        "last_used_at": each.last_used_at,
    }
