"""`governance hold`: legal holds, which stop every erasure of what they cover."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, table
from governance.domain.privacy import Holdable, LegalHold
from governance.errors import BadInput

app = typer.Typer(help="Place, list and release legal holds.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def add(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of: {', '.join(Holdable)}.")],
    target: Annotated[str, typer.Argument(metavar="ID", help="A number, a system's name, or an end user's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Which matter it is for.")],
    as_json: JsonFlag = False,
) -> None:
    """Place a legal hold: nothing that it covers is erased while it stands."""
    if what not in set(Holdable):
        raise BadInput(f"A hold cannot be placed on {what[:40]!r}.", advice=f"On: {', '.join(Holdable)}.")
    held = running().hold.place(acting(), Holdable(what), target, reason=reason)
    emit(document(held), lambda: typer.echo(f"Legal hold {held.id} stands."), as_json=as_json)


@app.command("list")
def list_holds(
    standing: Annotated[bool, typer.Option("--standing", help="Only those that were not released.")] = False,
    before: Annotated[int | None, typer.Option(help="Only smaller numbers.", min=0, max=2**53)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List legal holds, the newest first."""
    found = running().hold.list(acting(), standing=standing, limit=limit, before=before)

    def human() -> None:
        rows = [
            (one.id, one.what, one.target, one.placed_name, one.placed_at, one.released_at, one.reason) for one in found
        ]
        table(("No", "What", "Which", "By", "Since", "Released", "Reason"), rows, empty="No legal hold.")

    emit([document(one) for one in found], human, as_json=as_json)


@app.command()
def release(
    number: Annotated[int, typer.Argument(metavar="N", help="The hold's number.", min=0, max=2**53)],
    as_json: JsonFlag = False,
) -> None:
    """Release a legal hold; approved erasures that waited for it go on."""
    done = running().hold.release(acting(), number)
    emit(document(done), lambda: typer.echo(f"Legal hold {number} is released."), as_json=as_json)


def document(one: LegalHold) -> dict[str, Any]:
    """A hold as `--json` prints it."""
    return {
        "id": one.id,
        "what": one.what,
        "target": one.target,
        "reason": one.reason,
        "placed_by": one.placed_by,
        "placed_at": one.placed_at,
        "released_by": one.released_by or None,
        "released_at": one.released_at,
    }
