"""`governance detectors`: what looks at content and calls here, and whether it works."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from governance.bootstrap import running
from governance.cli.output import JsonFlag, emit, table
from governance.detectors import registry
from governance.detectors.interface import DetectorUse
from governance.detectors.packs import load_pack, pack_names
from governance.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def detectors(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Detectors. Without a command: list them."""
    if context.invoked_subcommand is None:
        list_(as_json)
    elif as_json:
        raise BadInput("--json stands before the command.", advice=f"detectors {context.invoked_subcommand} --json.")


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the detectors: what they find, and their health with the policy files."""
    application = running()
    policies = application.policy_files
    runner = application.build_runner(policies.detector_uses(), policies.access)
    rows: list[dict[str, Any]] = []
    for description in registry.available():
        health = runner.health.get(registry.resolved(DetectorUse(name=description.name)).name)
        state = "not used by a policy" if health is None else health.last_failure or "ready"
        rows.append(asdict(description) | {"state": state})
    packs = [
        {"name": pack.name, "title": pack.title, "rules": len(pack.rules), "digest": pack.digest}
        for pack in map(load_pack, pack_names())
    ]

    def human() -> None:
        table(
            ("Detector", "Version", "Works", "Looks at", "State", "States"),
            [
                (
                    row["name"],
                    row["version"],
                    "offline" if row["offline"] else "needs weights",
                    row["scope"],
                    row["state"],
                    ", ".join(row["categories"]),
                )
                for row in rows
            ],
        )
        typer.echo("")
        table(
            ("Pack of patterns", "Rules", "What it finds"),
            [(pack["name"], pack["rules"], pack["title"]) for pack in packs],
        )

    emit({"detectors": rows, "packs": packs, "digest": runner.digest}, human, as_json=as_json)
