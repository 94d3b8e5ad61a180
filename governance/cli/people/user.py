"""`governance user`: local accounts, and the roles of everybody who signs in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain, table
from governance.domain.people import Person, Role, RoleBinding
from governance.errors import BadInput, NotFound

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The account's name.")]
Roles = Annotated[
    list[str] | None, typer.Option("--role", help=f"A role; repeat, or separate by commas: {', '.join(Role)}.")
]
System = Annotated[str, typer.Option("--system", help="Only for this system; default: everywhere.")]


@app.callback()
def user() -> None:
    """Local accounts and roles."""


@app.command()
def add(
    name: Name,
    role: Roles = None,
    system: System = "",
    email: Annotated[str, typer.Option(help="For people who want to write to them.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Add a local account. Its generated password is shown once."""
    new = running().people.add(acting(), name, _bindings(role, system), email=email)

    def human() -> None:
        typer.echo(f"Account:  {plain(new.person.subject)}")
        typer.echo(f"Roles:    {_spoken(new.person.bindings)}")
        typer.echo(f"Password: {new.password}")
        typer.echo("It is shown this once.")

    emit(_document(new.person) | {"password": new.password}, human, as_json=as_json)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List everybody who can sign in."""
    people = running().people.list(acting())

    def human() -> None:
        rows = [
            (person.id, person.name, person.issuer, _spoken(person.bindings), "yes" if person.disabled_at else "")
            for person in people
        ]
        table(("Number", "Name", "Signs in by", "Roles", "Disabled"), rows, empty="Nobody yet.")

    emit([_document(person) for person in people], human, as_json=as_json)


@app.command()
def roles(name: Name, role: Roles = None, system: System = "", as_json: JsonFlag = False) -> None:
    """Show somebody's roles; with --role, replace those that were given here (for the system named)."""
    people = running().people
    person = _find(name)
    if role is not None:
        # Roles that come from groups of the identity provider are not kept here; they return at the next sign-in.
        kept = [binding for binding in people.given_here(acting(), person.id) if binding.system != system]
        person = people.set_roles(acting(), person.id, [*kept, *_bindings(role, system)])
    emit(
        _document(person),
        lambda: typer.echo(f"{plain(person.name)}: {_spoken(person.bindings)}"),
        as_json=as_json,
    )


@app.command()
def disable(name: Name, as_json: JsonFlag = False) -> None:
    """Close an account and its sessions. What the person did stays on record."""
    person = _find(name)
    running().people.disable(acting(), person.id)
    emit(
        {"id": person.id, "disabled": True},
        lambda: typer.echo(f"{plain(person.name)} can no longer sign in."),
        as_json=as_json,
    )


@app.command()
def password(name: Name, as_json: JsonFlag = False) -> None:
    """Give a local account a new password, shown once. Unlocks it, and closes its sessions."""
    person = _find(name)
    new = running().people.reset_password(acting(), person.id)

    def human() -> None:
        typer.echo(f"New password of {plain(person.name)}: {new}")
        typer.echo("It is shown this once.")

    emit({"id": person.id, "name": person.name, "password": new}, human, as_json=as_json)


def _find(name: str) -> Person:
    """By account name, else by shown name, e-mail address or number. Raises `NotFound`, `BadInput` for several."""
    people = running().people.list(acting())
    local = [person for person in people if person.issuer == "local" and person.subject == name]
    found = local or [
        person for person in people if name in (person.name, person.email, person.subject, str(person.id))
    ]
    if not found:
        raise NotFound(f"There is nobody called {name!r}.", advice="List them: governance user list.")
    if len(found) > 1:
        raise BadInput(f"Several people are called {name!r}.", advice="Give a number from: governance user list.")
    return found[0]


def _bindings(names: Iterable[str] | None, system: str) -> list[RoleBinding]:
    wanted = [part.strip() for name in names or () for part in name.split(",") if part.strip()]
    for name in wanted:
        if name not in set(Role):
            raise BadInput(f"There is no role {name!r}.", advice=f"Roles are {', '.join(Role)}.")
    return [RoleBinding(role=Role(name), system=system) for name in wanted]


def _spoken(bindings: Iterable[RoleBinding]) -> str:
    said = [
        f"{binding.role} ({plain(binding.system)})" if binding.system else str(binding.role) for binding in bindings
    ]
    return ", ".join(said) or "none"


def _document(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "issuer": person.issuer,
        "subject": person.subject,
        "email": person.email,
        "roles": [{"role": binding.role, "system": binding.system} for binding in person.bindings],
        "created_at": person.created_at,
        "disabled_at": person.disabled_at,
    }
