"""`governance erase`: ask for an erasure, look at those asked for, approve what another person asked for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, plain, table
from governance.domain.privacy import Erasable, Erasure, ErasureState

app = typer.Typer(
    help="Erase conversations, calls, end users or reports; two persons agree.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Reason = Annotated[str, typer.Option("--reason", help="Why, in words that do not repeat what is to go.")]
_Erasure = Annotated[int, typer.Argument(help="The erasure's number from the list.", metavar="N", min=0, max=2**53)]


@app.command()
def conversation(
    number: Annotated[str, typer.Argument(metavar="ID", help="Its number, as a call shows it.")],
    reason: _Reason,
    as_json: JsonFlag = False,
) -> None:
    """Ask that a conversation be erased: its content, and what names people in its calls, cases and reports."""
    _ask(Erasable.CONVERSATION, number, reason, as_json=as_json)


@app.command()
def call(
    number: Annotated[str, typer.Argument(metavar="ID", help="The call's number.")],
    reason: _Reason,
    as_json: JsonFlag = False,
) -> None:
    """Ask that a call be erased; the same text in other calls of its conversation goes with it."""
    _ask(Erasable.CALL, number, reason, as_json=as_json)


@app.command()
def subject(
    who: Annotated[str, typer.Argument(metavar="ID", help="The end user's id, as the application sends it.")],
    reason: _Reason,
    system: Annotated[str, typer.Option(help="Only in this system.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Ask that all conversations of an end user be erased."""
    _ask(Erasable.SUBJECT, who, reason, system=system, as_json=as_json)


@app.command()
def report(
    number: Annotated[str, typer.Argument(metavar="ID", help="Its number, or its reference (R-...).")],
    reason: _Reason,
    as_json: JsonFlag = False,
) -> None:
    """Ask that the words of a user's report be erased."""
    _ask(Erasable.REPORT, number, reason, as_json=as_json)


@app.command("list")
def list_erasures(
    before: Annotated[int | None, typer.Option(help="Only smaller numbers.", min=0, max=2**53)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List erasures, the newest first."""
    found = running().erase.list(acting(), limit=limit, before=before)

    def human() -> None:
        columns = ("No", "What", "State", "Asked by", "Settled by", "Erased", "Rewritten", "Calls", "Reason")
        rows = [
            (
                one.id,
                _what(one),
                one.state,
                one.requested_name,
                one.settled_name or None,
                one.erased_at,
                one.purged_at,
                one.calls,
                one.reason,
            )
            for one in found
        ]
        table(columns, rows, empty="No erasure.")

    emit([document(one) for one in found], human, as_json=as_json)


@app.command()
def approve(number: _Erasure, as_json: JsonFlag = False) -> None:
    """Agree with an erasure that another person asked for; a worker then carries it out."""
    done = running().erase.approve(acting(), number)
    emit(
        document(done),
        lambda: typer.echo(f"Erasure {number} is approved; a worker carries it out. See: governance erase list."),
        as_json=as_json,
    )


@app.command()
def reject(number: _Erasure, as_json: JsonFlag = False) -> None:
    """Turn an erasure down, or take your own request back."""
    done = running().erase.reject(acting(), number)
    emit(document(done), lambda: typer.echo(f"Erasure {number} is rejected."), as_json=as_json)


def _ask(what: Erasable, target: str, reason: str, *, system: str = "", as_json: bool) -> None:
    asked = running().erase.request(acting(), what, target, reason=reason, system=system)

    def human() -> None:
        if asked.state is ErasureState.DONE:
            typer.echo(f"It was erased on {asked.erased_at:%Y-%m-%d} (erasure {asked.id}): {plain(asked.reason)}")
        elif asked.state is ErasureState.APPROVED:
            typer.echo(f"Erasure {asked.id} is approved and under way.")
        else:
            typer.echo(
                f"Erasure {asked.id} waits for another person: in the console, or from another account with "
                f"governance erase approve {asked.id}."
            )

    emit(document(asked), human, as_json=as_json)


def _what(one: Erasure) -> str:
    if one.what is Erasable.SUBJECT and one.erased_at is not None:
        return f"a subject, {counted(one.conversations, 'conversation')}"
    return f"{one.what} {one.target}" + (f" of {one.system}" if one.system else "")


def document(one: Erasure) -> dict[str, Any]:
    """An erasure as `--json` prints it."""
    return {
        "id": one.id,
        "what": one.what,
        "target": one.target,
        "system": one.system,
        "code": one.code,
        "reason": one.reason,
        "state": one.state,
        "requested_by": one.requested_by,
        "requested_at": one.requested_at,
        "settled_by": one.settled_by or None,
        "settled_at": one.settled_at,
        "erased_at": one.erased_at,
        "purged_at": one.purged_at,
        "conversations": one.conversations,
        "calls": one.calls,
        "reports": one.reports,
    }
