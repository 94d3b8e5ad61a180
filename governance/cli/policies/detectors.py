"""`governance detectors`: what looks at content and calls here, whether it works, and how scanners are installed."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.output import JsonFlag, emit, table
from governance.detectors import registry
from governance.detectors.host import environment
from governance.detectors.interface import Condition, DetectorDescription, DetectorUse
from governance.detectors.patterns.packs import load_pack, pack_names
from governance.detectors.runner import Health, Runner
from governance.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None)

LOADING_SECONDS = 120.0
"""How long `list --try` waits for what is loading."""


@app.callback(invoke_without_command=True)
def detectors(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Detectors. Without a command: list them."""
    if context.invoked_subcommand is None:
        list_(as_json=as_json)
    elif as_json:
        raise BadInput("--json stands before the command.", advice=f"detectors {context.invoked_subcommand} --json.")


@app.command("list")
def list_(
    try_: Annotated[bool, typer.Option("--try", help="Start scanners, and wait until they are ready or fail.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the detectors: what they find and cost, and their health with the policy files."""
    application = running()
    policies = application.policy_files
    runner = application.build_runner(policies.detector_uses(), policies.access)
    conditions = settled(runner) if try_ else runner.conditions
    rows: list[dict[str, Any]] = []
    for description in registry.available():
        name = registry.resolved(DetectorUse(name=description.name)).name
        health, condition = runner.health.get(name), conditions.get(name)
        rows.append(
            asdict(description)
            | {
                "used": health is not None,
                "available": _available(description, condition),
                "state": _state(description, health, condition),
                "restarts": condition.restarts if condition else 0,
            }
        )
    runner.close()
    packs = [
        {"name": pack.name, "title": pack.title, "rules": len(pack.rules), "digest": pack.digest}
        for pack in map(load_pack, pack_names())
    ]

    def human() -> None:
        table(
            ("Detector", "Version", "Works", "Cost", "Looks at", "State", "States"),
            [
                (
                    row["name"],
                    row["version"],
                    _works(row["name"], offline=row["offline"]),
                    row["cost"],
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


@app.command()
def install(
    name: Annotated[str, typer.Argument(help=f"What to install: {environment.NAME}.")],
    find_links: Annotated[
        Path | None, typer.Option("--find-links", help="A folder of wheels, for machines without an index.")
    ] = None,
    no_index: Annotated[bool, typer.Option("--no-index", help="Take nothing from an index.")] = False,
) -> None:
    """Install model scanners into an environment of their own, below the data directory."""
    if name not in (environment.NAME, environment.NAME.replace("-", "_")):
        raise BadInput(f"There is nothing called {name[:40]!r} to install.", advice=f"There is: {environment.NAME}.")
    options = ["--no-index"] if no_index else []
    if find_links is not None:
        if not find_links.is_dir():
            raise BadInput(f"{find_links} is no folder.")
        options += ["--find-links", str(find_links.absolute())]
    data_dir = running().data_dir
    environment.install(data_dir, say=lambda text: typer.echo(f"{text} ...", err=True), options=options)
    typer.echo(f"Installed in {environment.folder_of(data_dir)}.")


def settled(runner: Runner) -> dict[str, Condition]:
    """How detectors fare once scanners have been started and are ready or have failed."""
    runner.prepare()
    until = time.monotonic() + LOADING_SECONDS
    while True:
        conditions = runner.conditions
        if time.monotonic() > until or all(one.state in ("ready", "failed") for one in conditions.values()):
            return conditions
        time.sleep(0.1)


def _available(description: DetectorDescription, condition: Condition | None) -> bool:
    if condition is not None:
        return condition.state != "failed"
    if description.name in registry.HOSTED:
        return bool(environment.installed(running().settings.data_dir.absolute()))
    return description.name != "judge" or bool(running().settings.judge_url)


def _state(description: DetectorDescription, health: Health | None, condition: Condition | None) -> str:
    if condition is not None and condition.state == "failed":
        return f"unavailable: {condition.detail}"
    if health is None:
        missing = not _available(description, None)
        return "not used by a policy" + ("; not installed" if missing and description.name in registry.HOSTED else "")
    if condition is not None and condition.state != "ready":
        return {"idle": "starts when it is first needed", "loading": "loading"}[condition.state]
    stale = description.name in registry.HOSTED and environment.stale(running().settings.data_dir.absolute())
    return health.last_failure or ("ready; installed for another version, install it again" if stale else "ready")


def _works(name: str, *, offline: bool) -> str:
    if name in registry.HOSTED:
        return "offline, needs installing; models need weights"
    return "offline" if offline else "needs a service"
