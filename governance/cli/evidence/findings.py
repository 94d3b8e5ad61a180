"""`governance audit acknowledge`: what verifications of the log found wrong, and who answers for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain
from governance.services.evidence.ports import Finding


def acknowledge(
    finding: Annotated[int, typer.Argument(help="Its number, from: audit status.", metavar="ID", min=0, max=2**53)],
    note: Annotated[str, typer.Option(help="What happened, and what was done about it.")],
    json: JsonFlag = False,
) -> None:
    """Answer for a finding by name: it alarms no more, and stays until a kept checkpoint is met."""
    found = running().findings.acknowledge(acting(), finding, note)
    emit(document(found), lambda: typer.echo(f"Finding {found.id} is acknowledged."), as_json=json)


def document(finding: Finding) -> dict[str, Any]:
    """A finding as `--json` prints it."""
    return {
        "id": finding.id,
        "kind": finding.kind,
        "at": finding.at,
        "detail": finding.detail,
        "seen_at": finding.seen_at,
        "times": finding.times,
        "acknowledged_by": finding.acknowledged_by,
        "acknowledged_at": finding.acknowledged_at,
        "note": finding.note,
    }


def lines(findings: Sequence[Finding]) -> None:
    """Prints findings, those that alarm marked."""
    for one in findings:
        state = "OPEN" if one.open else f"acknowledged by {one.acknowledged_by}"
        typer.echo(plain(f"Finding    {one.id}, {one.kind}, {one.at:%Y-%m-%d %H:%M} UTC, {state}: {one.detail}"))
    if any(one.open for one in findings):
        typer.echo("           To answer for one: governance audit acknowledge ID --note TEXT")
