"""`governance access review`: who may do what and who read what in a month, and an officer's signature under it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, table
from governance.services.evidence.access import Review

app = typer.Typer(help="Who may do what, and who read what.", no_args_is_help=True, rich_markup_mode=None)
review = typer.Typer(help="The monthly access review.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(review, name="review")
_Month = Annotated[str, typer.Argument(help="As 2026-10.", metavar="MONTH")]


@review.command()
def show(month: _Month = "", json: JsonFlag = False) -> None:
    """Show a month's review: people with roles, keys, who read what how often. The last month by default."""
    found = running().access_reviews.show(acting(), month)
    emit(_document(found), lambda: _print(found), as_json=json)


@review.command()
def sign(
    month: _Month,
    digest: Annotated[str, typer.Option(help="Of the review as it was shown.")],
    note: Annotated[str, typer.Option(help="What was found, and what will be changed.")] = "",
    json: JsonFlag = False,
) -> None:
    """Sign a month's review that was shown."""
    found = running().access_reviews.sign(acting(), month, digest, note)
    emit(_document(found), lambda: typer.echo(f"The review of {month} is signed."), as_json=json)


def _document(found: Review) -> dict[str, Any]:
    signed = found.signed
    return {
        **found.document,
        "digest": found.digest,
        "signed_by": None if signed is None else signed.signed_by,
        "signed_at": None if signed is None else signed.signed_at,
        "note": "" if signed is None else signed.note,
    }


def _print(found: Review) -> None:
    application = running()
    document = found.document
    numbers = {int(one["person"].partition(":")[2]) for one in document["people"]}
    names = application.read_people.names(acting(), numbers)
    who = {f"person:{number}": name for number, name in names.items()}
    typer.echo(f"Access review of {found.month}")
    typer.echo("")
    table(
        ("Person", "Roles", "Disabled"),
        [
            (who.get(one["person"], one["person"]), ", ".join(one["roles"]), one["disabled"])
            for one in document["people"]
        ],
    )
    typer.echo("")
    table(
        ("Key", "Scopes", "System", "Expires", "Revoked"),
        [
            (one["prefix"], ", ".join(one["scopes"]), one["system"] or "any", one["expires"], one["revoked"])
            for one in document["keys"]
        ],
        empty="No API key.",
    )
    typer.echo("")
    table(
        ("Reader", "What", "System", "Entries"),
        [
            (who.get(one["reader"], one["reader"]), one["what"], one["system"] or None, one["events"])
            for one in document["reading"]
        ],
        empty="Nobody read anything.",
    )
    typer.echo("")
    if found.signed is not None:
        typer.echo(f"Signed by {found.signed.signed_by}, {found.signed.signed_at:%Y-%m-%d %H:%M} UTC.")
    elif found.ended:
        typer.echo(f"To sign it: governance access review sign {found.month} --digest {found.digest}")
    else:
        typer.echo("It can be signed when the month is over.")
