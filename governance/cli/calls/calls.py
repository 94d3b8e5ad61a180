"""`governance calls`: look at what was recorded, texts redacted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, dump, emit, plain, table
from governance.errors import BadInput, NotFound
from governance.services.calls.read import CallFilter

app = typer.Typer(help="List, show and explain calls.", no_args_is_help=True, rich_markup_mode=None)
_STATUSES = ("recorded", "checked", "failed")


@app.command("list")
def list_calls(
    trace_id: Annotated[str, typer.Option("--trace-id", help="Only this trace.")] = "",
    status: Annotated[str, typer.Option(help="recorded, checked or failed.")] = "",
    system: Annotated[str, typer.Option(help="Only this system.")] = "",
    flagged: Annotated[bool, typer.Option("--flagged", help="Only what a policy stopped or sent to review.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List calls, the latest first."""
    if status and status not in _STATUSES:
        raise BadInput(f"There is no status {status!r}.", advice=f"Use one of: {', '.join(_STATUSES)}.")
    if trace_id and (len(trace_id) != 32 or not set(trace_id.lower()) <= set("0123456789abcdef")):
        raise BadInput("A trace id is 32 hexadecimal digits.")
    read, who = running().read_calls, acting()
    systems = (system,) if system else ()
    if trace_id:
        numbers = [step.id for step in read.steps(who, trace_id.lower(), systems=systems, most=limit)]
    else:
        want = CallFilter(systems=systems, status=status, flagged=flagged)
        numbers = [row.id for row in read.page(who, want, limit=limit).rows]
    found = [one for one in read.documents(who, numbers) if not status or one["status"] == status]
    emit(
        found,
        lambda: table(
            ["Id", "Started", "System", "Kind", "Name", "Status", "Action", "Review"],
            [
                [
                    one["id"],
                    datetime.fromisoformat(one["started_at"]),
                    one["system"],
                    one["kind"],
                    one["name"],
                    one["status"],
                    one["action"] or None,
                    one["queue"] or None,
                ]
                for one in found
            ],
            empty="No calls. Send some (docs/api.md), or load the sample: governance demo.",
        ),
        as_json=json,
    )


@app.command("show")
def show(call_id: Annotated[int, typer.Argument(metavar="ID", min=0, max=2**53)], json: JsonFlag = False) -> None:
    """Show one call: what went in and out, what was found, what was decided."""
    call = running().read_calls.document(acting(), call_id)
    emit(call, lambda: _print(call), as_json=json)


@app.command("explain")
def explain(call_id: Annotated[int, typer.Argument(metavar="ID", min=0, max=2**53)], json: JsonFlag = False) -> int:
    """Explain a call's decision: make it again, and say what would have turned it. Exit 1 when it does not replay."""
    application = running()
    decisions = application.read_calls.document(acting(), call_id)["decisions"]
    if not decisions:
        raise NotFound("No decision was made of this call yet.", advice="See its status: governance calls show.")
    told = application.explain.explain(acting(), int(decisions[0]["id"]))
    emit(told.document(), lambda: _print_explanation(told.document()), as_json=json)
    return 0 if told.replays else 1


def _print_explanation(told: dict[str, Any]) -> None:
    review = f", with review in {told['queue']}" if told["queue"] else ""
    typer.echo(f"{told['action']}{review}, decided {told['decided_at']} by policy set {told['policy_set'][:12]}")
    if told["replays"]:
        typer.echo("Made again from what was known then, the same comes out.")
    else:
        typer.echo(f"Made again, it differs in: {', '.join(told['differs'])}.")
        if told["call_changed_since"]:
            typer.echo("The call has got further content since.")
    for policy in told["policies"]:
        said = policy["outcome"] or "did not fire"
        typer.echo(f"\n{policy['policy']} ({said})")
        if policy["explanation"]:
            typer.echo(f"  {plain(policy['explanation'])}")
        for part in policy["parts"]:
            came_to = "failed" if part["failed"] else "true" if part["true"] else "false" if part["false"] else "-"
            typer.echo(f"  {came_to:<7}{plain(' '.join(part['text'].split()))}")
        for finding in policy["findings"]:
            place = f"{finding['part']} {finding['index'] + 1}" if finding["part"] else "the call"
            typer.echo(f"  found  {plain(finding['rule'])} ({finding['score']:.2f}) in {plain(place)}")
        for flip in policy["flips"]:
            would = "would fire" if flip["condition"] else "would not fire"
            typer.echo(f"  {would} if {flip['param']} were {dump(flip['to'])} (now {dump(flip['value'])})")


def _print(call: dict[str, Any]) -> None:
    typer.echo(plain(f"{call['name'] or call['kind']} of {call['system']}, {call['started_at']}"))
    facts = [
        ("Id", call["id"]),
        ("Trace", f"{call['trace_id']} {call['span_id']}"),
        ("Model", " ".join(word for word in (call["provider"], call["model"]) if word)),
        ("Status", call["status"] + (f": {call['failure']}" if call["failure"] else "")),
        ("Error", call["error"]),
        ("Cases", ", ".join(str(number) for number in call["case_ids"])),
    ]
    for label, value in facts:
        if value:
            typer.echo(f"  {label:<8}{plain(value)}")
    if not call["content_captured"]:
        typer.echo("\nNo content was captured: there was nothing to check.")
    for way, messages in (("in", call["input"]), ("out", call["output"])):
        for message in messages:
            typer.echo(f"\n[{way}] {plain(message['role'])}\n{plain(message['text'])}")
    for document in call["documents"]:
        typer.echo(f"\n[document] {plain(document['id'])}\n{plain(document['text'])}")
    for tool in call["tool_calls"]:
        typer.echo(f"\n[tool] {plain(tool['name'])} {plain(tool['arguments'])}")
        if tool["result"] is not None:
            typer.echo(f"  gave back: {plain(tool['result'])}")
    for decision in call["decisions"][:1]:
        typer.echo(f"\nDecision: {decision['action']}. {plain(decision['explanation'])}")
        for policy in decision["policies"]:
            typer.echo(f"  {policy['outcome']:<9}{plain(policy['title'])} ({plain(policy['policy'])})")
