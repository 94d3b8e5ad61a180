"""The `governance` command. One module a command, imported when it is called, so that `governance --help` stays fast.

A module `governance.cli.<name>` has `app`, a `typer.Typer` with one command or several. It raises `GovernanceError`
for what a user can fix; `main` turns that into one line on stderr and the exit code of the contract:
0 done, 1 a check failed (flagged, invalid, tampered), 2 wrong use or bad input.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from governance.errors import CheckFailed, GovernanceError, Tampered

COMMANDS = {
    "serve": ("serve", "Run the console, the API and the checking."),
    "worker": ("worker", "Run a further checking process."),
    "demo": ("demo", "Send sample traffic of three systems."),
    "ingest": ("calls.ingest", "Import calls from files."),
    "check": ("calls.check", "Check a text or a call without storing it."),
    "policy": ("policies.policy", "Lint, test, try, promote and roll back policies."),
    "detectors": ("policies.detectors", "List the detectors and their health."),
    "calls": ("calls.calls", "List and show calls."),
    "cases": ("review.cases", "List and show cases."),
    "audit": ("evidence.audit", "State and verification of the audit log."),
    "access": ("evidence.access", "Show and sign the monthly access review."),
    "export": ("evidence.export", "Write an evidence package."),
    "erase": ("evidence.erase", "Erase conversations, calls, end users or reports; two persons agree."),
    "hold": ("evidence.hold", "Place, list and release legal holds."),
    "retention": ("evidence.retention", "Show, change and apply retention rules."),
    "subject": ("evidence.subject", "Export what is held about an end user."),
    "keys": ("evidence.keys", "Rotate the key-encryption key."),
    "key": ("people.key", "Create, list and revoke API keys."),
    "user": ("people.user", "Local accounts and roles."),
    "jobs": ("jobs", "List, retry and cancel background jobs."),
    "db": ("db", "Upgrade, check, back up and restore the database."),
    "doctor": ("doctor", "Say what is wrong with this installation, and how to fix it."),
}
"""A command's module under `governance.cli`, and what it does."""


class _Root(TyperGroup):
    """Knows the commands by name; imports one when it is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=text, callback=None) for name, (_, text) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            module = importlib.import_module(f"governance.cli.{COMMANDS[args[0]][0]}")
            command = get_command(module.app)
            command.name = args[0]
            self.commands[args[0]] = command
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Root, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Checks every model call, queues what people must see, and proves what happened."""
    context.obj = {"debug": debug}
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("governance-console"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(args: list[str] | None = None) -> None:
    """Entry of the console script. Leaves by `SystemExit`, never with a traceback."""
    arguments = sys.argv[1:] if args is None else args
    try:
        code = get_command(app)(arguments, prog_name="governance", standalone_mode=False)
        sys.stdout.flush()
    except GovernanceError as error:
        _complain(str(error))
        code = 1 if isinstance(error, Tampered | CheckFailed) else 2
    except TyperException as error:
        message = error.format_message()
        _complain(message if "\n" in message else f"{message.rstrip('.')}. Try --help.")
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        # The reader of a pipe has seen enough; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if "--debug" in arguments:
            raise
        _complain(f"unexpected {type(error).__name__}. Run again as: governance --debug {' '.join(arguments[:1])} ...")
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    """One line on stderr; a message's own line breaks (several lint errors) stay."""
    sys.stderr.write(f"governance: {message}\n")
