"""`governance export`: an evidence package for an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import open_application
from governance.cli.acting import acting
from governance.cli.options import moment
from governance.cli.output import JsonFlag, counted, emit, progress
from governance.domain.events import EventKind
from governance.errors import BadInput
from governance.services.evidence.export import NOTHING, EvidenceFilter
from governance.services.named import nearest

app = typer.Typer(rich_markup_mode=None)


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="Where the package is written, for example evidence.zip.")],
    since: Annotated[str, typer.Option(help="From this day or time on (RFC 3339; UTC unless it says otherwise).")] = "",
    until: Annotated[str, typer.Option(help="Up to, without, this day or time.")] = "",
    system: Annotated[str, typer.Option(help="Only this system.")] = "",
    policy: Annotated[str, typer.Option(help="Only what this policy had a say in.")] = "",
    case: Annotated[int | None, typer.Option(help="Only this case.", min=1, max=2**53)] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of event; may be given several times.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint the auditor kept: prove that the log continues it.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write an evidence package that `governance audit verify FILE` checks offline."""
    chosen = EvidenceFilter(
        since=moment("--since", since),
        until=moment("--until", until),
        system=system,
        policy=policy,
        case=case,
        kinds=tuple(_kind(one) for one in kind or ()),
    )
    if chosen.since is not None and chosen.until is not None and chosen.since >= chosen.until:
        raise BadInput("--since is not before --until.")
    kept = "" if checkpoint is None else _note(checkpoint)
    application = open_application()
    key = str(application.signer.verifier)
    try:
        with progress("Exporting") as advance:
            done = application.export.to_file(acting(), chosen, out, kept=kept, advance=advance)
    finally:
        application.close()
    document = {
        "file": str(out),
        "events": done.events,
        "empty": done.empty,
        "records": done.records,
        "absent": done.absent,
        "size": done.size,
        "manifest_sha256": done.manifest,
        "complete": done.complete,
    }

    def human() -> None:
        if done.empty:
            typer.echo(f"{out} HOLDS NOTHING. {NOTHING}")
            return
        found = [counted(number, name.removesuffix("s")) for name, number in done.records.items() if number]
        records = ", ".join(found) or "no records"
        typer.echo(f"{out}: {counted(done.events, 'event')}, {records}; proven against a log of {done.size}.")
        typer.echo(
            f"Complete: nothing is left out of {done.complete}."
            if done.complete
            else "A selection by policy, case or kind: it does not show that nothing was left out."
        )
        typer.echo(f"Verify it with: governance audit verify {out} --key {key}")

    emit(document, human, as_json=json)


def _kind(text: str) -> EventKind:
    try:
        return EventKind(text)
    except ValueError:
        known = [kind.value for kind in EventKind]
        advice = f"{nearest(text, known)} All: {', '.join(known)}." if "mean" in nearest(text, known) else ""
        raise BadInput(
            f"There is no kind of event {text[:80]!r}.", advice=advice or f"Use one of: {', '.join(known)}."
        ) from None


def _note(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.") from None
