"""`governance cases`: look at the queue of human review."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain, table
from governance.domain.review import CaseState
from governance.errors import BadInput, NotFound
from governance.services.review.documents import case_document, case_with_verdicts
from governance.services.review.read import CaseFilter

app = typer.Typer(help="List and show cases.", no_args_is_help=True, rich_markup_mode=None)
_OPEN = [state.value for state in CaseState if state is not CaseState.DECIDED]


@app.command("list")
def list_cases(
    state: Annotated[str, typer.Option(help="open, claimed, escalated or approval.")] = "",
    queue: Annotated[str, typer.Option(help="Only this queue.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List cases that are not decided yet, the most urgent first."""
    if state and state not in _OPEN:
        raise BadInput(f"There is no open state {state!r}.", advice=f"Use one of: {', '.join(_OPEN)}.")
    read, who = running().read_cases, acting()
    if queue:
        read.need_queue(who, queue)
    rows, _ = read.page(who, CaseFilter(state=state, queues=(queue,) if queue else ()), limit=limit)
    found = [case_document(row) for row in rows]
    emit(
        found,
        lambda: table(
            ["Case", "Severity", "Due", "State", "Queue", "System", "Title"],
            [
                [
                    one["id"],
                    one["severity"],
                    datetime.fromisoformat(one["due_at"]),
                    one["state"],
                    one["queue"],
                    one["system"],
                    one["title"],
                ]
                for one in found
            ],
            empty="No case is open.",
        ),
        as_json=json,
    )


@app.command("show")
def show(case_id: Annotated[int, typer.Argument(metavar="ID", min=0, max=2**53)], json: JsonFlag = False) -> None:
    """Show one case and the verdicts given on it."""
    view = running().read_cases.view(acting(), case_id)
    if view is None:
        raise NotFound(f"There is no case {case_id}.")
    case = case_with_verdicts(view)
    emit(case, lambda: _print(case), as_json=json)


def _print(case: dict[str, Any]) -> None:
    typer.echo(plain(f"Case {case['id']}: {case['title']}"))
    for label, value in (
        ("State", case["state"]),
        ("Severity", case["severity"]),
        ("Queue", case["queue"]),
        ("System", case["system"]),
        ("Policy", case["policy"]),
        ("Call", case["call_id"]),
        ("Opened", case["opened_at"]),
        ("Due", case["due_at"]),
        ("Closed", case["closed_at"]),
    ):
        if value:
            typer.echo(f"  {label:<10}{plain(value)}")
    if case["excerpt"]:
        typer.echo(f"\n{plain(case['excerpt'])}")
    for verdict in case["verdicts"]:
        withdrawn = " (returned)" if verdict["returned_at"] else ""
        typer.echo(plain(f"\n{verdict['outcome']}, {verdict['reason']}{withdrawn}: {verdict['note']}"))
