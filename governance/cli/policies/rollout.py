"""`governance policy promote|approve|reject|retire|rollback|history|diff`: how policy files come into force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from governance.bootstrap import Application, running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain, progress_of, table
from governance.domain.policies import Rollout, RolloutState
from governance.errors import BadInput, Conflict
from governance.policy.difference import Difference, difference
from governance.policy.load import load
from governance.policy.policy import PolicySet

Number = Annotated[int, typer.Argument(help="The rollout's number (governance policy history).", min=1)]
Note = Annotated[str, typer.Option("--note", help="For whoever decides on it; kept beside the audit log.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept beside the audit log.")]
FILES, FORCE = "files", "force"
_SHOWN = 70


def promote(
    what: Annotated[
        str, typer.Argument(help="A folder to propose, or a rollout's number to move on.", metavar="[FOLDER|NUMBER]")
    ] = "",
    to: Annotated[str, typer.Option("--to", help="Where a rollout is to be moved: shadow or enforce.")] = "",
    note: Note = "",
    reason: Reason = "",
    despite: Annotated[
        str, typer.Option("--despite-budget", help="Propose although a budget is broken, and why.")
    ] = "",
    as_json: JsonFlag = False,
) -> int:
    """Propose a folder's policies (default: the files), or move an approved rollout on to shadow or into force."""
    application = running()
    if to:
        if to not in ("shadow", "enforce"):
            raise BadInput(f"--to is shadow or enforce, not {to[:40]!r}.")
        if not what.isdecimal():
            raise BadInput("Name the rollout to move.", advice=f"governance policy promote NUMBER --to {to}")
        step = application.rollout.shadow if to == "shadow" else application.rollout.enforce
        return _done(step(acting(), int(what), note=reason or note), as_json)
    if what.isdecimal():
        raise BadInput(f"Where to? governance policy promote {what} --to shadow|enforce.")
    candidate = load(Path(what)) if what else application.policy_files
    with progress_of("Trying it on recorded calls") as progress:
        made = application.rollout.propose(acting(), candidate, note=note, despite=despite, progress=progress)
    return _done(made, as_json)


def approve(number: Number, note: Note = "", as_json: JsonFlag = False) -> int:
    """Approve a rollout that somebody else proposed."""
    return _done(running().rollout.approve(acting(), number, note=note), as_json)


def reject(number: Number, note: Note = "", as_json: JsonFlag = False) -> int:
    """Turn a rollout down, or take one's own back."""
    return _done(running().rollout.reject(acting(), number, note=note), as_json)


def retire(number: Number, note: Note = "", as_json: JsonFlag = False) -> int:
    """Take a rollout out of shadow."""
    return _done(running().rollout.retire(acting(), number, note=note), as_json)


def rollback(
    to: Annotated[
        str, typer.Argument(help="A rollout's number or a digest; default: what was in force before.", metavar="[SET]")
    ] = "",
    reason: Reason = "",
    as_json: JsonFlag = False,
) -> int:
    """Restore a whole set that was in force before, at once."""
    return _done(running().rollout.rollback(acting(), reason=reason, to=to), as_json)


def history(
    limit: Annotated[int, typer.Option("--limit", help="How many.", min=1, max=1000)] = 20, as_json: JsonFlag = False
) -> None:
    """List rollouts, the latest first: what is in force, what is on its way, what was."""
    found = running().rollout.history(limit=limit)

    def human() -> None:
        table(
            ("Rollout", "State", "Set", "From", "Proposed by", "At", "Last step by", "At", "Why"),
            [
                (
                    one.id,
                    _STATES[one.state],
                    one.digest[:12],
                    one.origin.value,
                    one.steps[0].by_name if one.steps else one.proposed_by,
                    one.proposed_at,
                    one.steps[-1].by_name if one.steps else "",
                    one.steps[-1].at if one.steps else None,
                    next((step.note for step in reversed(one.steps) if step.note), "")[:_SHOWN],
                )
                for one in found
            ],
            empty="Nothing is in force yet. Start: governance serve.",
        )

    emit([document(one) for one in found], human, as_json=as_json)


def diff(
    before: Annotated[str, typer.Argument(help="What it was.", metavar="[A]")] = FORCE,
    after: Annotated[str, typer.Argument(help="What it would be.", metavar="[B]")] = FILES,
    as_json: JsonFlag = False,
) -> None:
    """Show what differs, policy by policy and field by field; default: what is in force against the files.

    A set is named by `force`, `files`, a folder, a rollout's number, or the beginning of a digest.
    """
    application = running()
    (old, old_name), (new, new_name) = named_set(application, before), named_set(application, after)
    found = difference(old, new)

    def human() -> None:
        typer.echo(f"{plain(old_name)} → {plain(new_name)}: {found.words}.")
        for line in lines(found):
            typer.echo(plain(line))

    emit({"before": old.digest, "after": new.digest, "count": found.count, **found.document()}, human, as_json=as_json)


def named_set(application: Application, name: str) -> tuple[PolicySet, str]:
    """A policy set by what people call it, and that in words."""
    if name == FILES:
        return application.policy_files, f"the files in {application.policies_dir}"
    if name == FORCE:
        found = application.rollout.in_force()
        if found is None:
            raise Conflict("Nothing is in force yet.", advice="Start: governance serve.")
        return found, f"in force ({found.digest[:12]})"
    if Path(name).is_dir():
        return load(Path(name)), f"the files in {name}"
    policy_set, digest = application.rollout.policy_set(name)
    return policy_set, f"rollout {name}" if len(name) < 8 else f"set {digest[:12]}"


def lines(found: Difference) -> Sequence[str]:
    """A difference for a terminal."""
    said = [f"+ {name}" for name in found.added] + [f"- {name}" for name in found.removed]
    for change in found.changed:
        said.append(f"~ {change.policy}")
        said += [f"    {one.path}: {_value(one.was)} → {_value(one.now)}" for one in change.fields]
    said += [f"~ {one.path}" for one in found.files]
    return said


def _value(value: Any) -> str:
    if value is None:
        return "(not written)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def document(one: Rollout) -> dict[str, Any]:
    """A rollout as JSON."""
    return {
        "rollout": one.id,
        "state": one.state.value,
        "origin": one.origin.value,
        "digest": one.digest,
        "against": one.against,
        "proposed_by": one.proposed_by,
        "proposed_at": one.proposed_at,
        "gate": dict(one.gate),
        "steps": [
            {"state": step.state.value, "by": step.by, "by_name": step.by_name, "at": step.at, "note": step.note}
            for step in one.steps
        ],
    }


def _done(one: Rollout, as_json: bool) -> int:
    emit(
        document(one),
        lambda: typer.echo(plain(_SAID[one.state].format(n=one.id, set=one.digest[:12]))),
        as_json=as_json,
    )
    return 0


_STATES = {
    RolloutState.PROPOSED: "proposed",
    RolloutState.APPROVED: "approved",
    RolloutState.REJECTED: "rejected",
    RolloutState.SHADOW: "in shadow",
    RolloutState.ENFORCE: "in force",
    RolloutState.RETIRED: "retired",
}
_SAID = {
    RolloutState.PROPOSED: "Rollout {n} is proposed. Somebody else approves it: governance policy approve {n}.",
    RolloutState.APPROVED: "Rollout {n} is approved. Next: governance policy promote {n} --to shadow.",
    RolloutState.REJECTED: "Rollout {n} is rejected.",
    RolloutState.SHADOW: "Rollout {n} decides in shadow. Next: governance policy promote {n} --to enforce.",
    RolloutState.ENFORCE: "Rollout {n} is in force (set {set}).",
    RolloutState.RETIRED: "Rollout {n} is retired.",
}


def add(app: typer.Typer) -> None:
    """Registers the commands."""
    for command in (promote, approve, reject, retire, rollback, history, diff):
        app.command()(command)
