"""`governance policy`: lint, test, list and show policies, for a terminal or a pipeline. These need no database; how
policies are tried on recorded calls and come into force is in `backtest` and `rollout`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, plain, progress_of, table
from governance.cli.policies import backtest, controls, rollout
from governance.cli.policies.backtest import counting
from governance.cli.policies.junit import junit
from governance.engine.coverage import Coverage, coverage
from governance.engine.trial import Trial, trials
from governance.errors import BadInput
from governance.policy.load import Loaded, examine, load
from governance.policy.policy import Policy, PolicySet
from governance.policy.problems import Level
from governance.policy.schema import schema_text
from governance.policy.source import Source
from governance.policy.subconditions import SubCondition
from governance.services.named import unknown
from governance.services.policies.suggest import Suggestion

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Argument(help="Folder of policies; default: GOVERNANCE_POLICIES.", metavar="[FOLDER]")
]
FolderOption = Annotated[
    Path | None, typer.Option("--policies", help="Folder of policies; default: GOVERNANCE_POLICIES.")
]


@app.callback()
def policy() -> None:
    """Lint, test, try, promote and roll back policies."""


@app.command()
def lint(folder: Folder = None, as_json: JsonFlag = False) -> int:
    """Say everything that is wrong with the policy files, with places and hints. Exit 1 if there is anything."""
    where = folder or running().policies_dir
    loaded = running().examine_policies(where)

    def human() -> None:
        for problem in loaded.problems:
            typer.echo(plain(problem.render()) + "\n")
        typer.echo(_verdict(loaded, where))

    emit(
        {
            "folder": str(where),
            "policies": len(loaded.files),
            "digest": loaded.policy_set.digest if loaded.policy_set else None,
            "problems": [problem.document() for problem in loaded.problems],
        },
        human,
        as_json=as_json,
    )
    return 1 if loaded.problems else 0


def _verdict(loaded: Loaded, folder: Path) -> str:
    errors = sum(problem.level is Level.ERROR for problem in loaded.problems)
    warnings = len(loaded.problems) - errors
    if loaded.policy_set is not None and not warnings:
        policy_set = loaded.policy_set
        return f"{len(policy_set.policies)} policies in {folder}, nothing wrong. Set {policy_set.digest[:12]}."
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')} in {folder}."


@app.command("test")
def run_tests(
    folder: Folder = None,
    only: Annotated[str, typer.Option("--policy", help="Only this policy's tests.")] = "",
    with_coverage: Annotated[
        bool, typer.Option("--coverage", help="Say which parts of each condition no test has seen true, or false.")
    ] = False,
    least: Annotated[
        float | None,
        typer.Option("--min-coverage", min=0, max=100, help="Exit 1 if a policy's coverage is below, in percent."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, too.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Run the tests that policies carry.

    Exit 0: all is as it was promised. 1: a test fails, a `todo` test passes, or coverage is too low. 2: the policies
    cannot be loaded, or wrong use.
    """
    where = folder or running().policies_dir
    loaded = examine(where)
    policy_set = loaded.policy_set if loaded.policy_set is not None else load(where)
    if only:
        _policy(policy_set, only)
    measured = with_coverage or least is not None
    results = list(
        trials(
            policy_set,
            lambda uses: running().build_runner(uses, policy_set.access, thorough=True),
            only=only,
            observe=measured,
        )
    )
    covered = coverage(policy_set, results, only=only) if measured else ()
    below = [one for one in covered if least is not None and one.percent < least]
    if junit_file is not None:
        try:
            junit_file.write_text(junit(results, covered, loaded.sources, least=least), "utf-8")
        except OSError as error:
            raise BadInput(f"{junit_file} cannot be written: {error.strerror}.") from None

    def human() -> None:
        _show_trials(results)
        if measured:
            _show_coverage(covered, loaded.sources)
        for one in below:
            typer.echo(f"{one.policy}: {one.percent:.0f}% seen, {least:g}% are needed.")

    document: dict[str, object] = {"tests": [_trial(result) for result in results]}
    if measured:
        document["coverage"] = [_coverage(one, loaded.sources) for one in covered]
    emit(document, human, as_json=as_json)
    return 0 if all(result.passed for result in results) and not below else 1


def _coverage(one: Coverage, sources: Mapping[str, Source]) -> dict[str, object]:
    return {
        "policy": one.policy,
        "parts": len(one.parts),
        "seen": one.seen,
        "wanted": one.wanted,
        "percent": round(one.percent, 1),
        "missing": [
            {"place": _where(one.policy, seen.part, sources), "text": seen.part.text, "never": list(seen.missing)}
            for seen in one.parts
            if seen.missing
        ],
    }


def _show_coverage(covered: Sequence[Coverage], sources: Mapping[str, Source]) -> None:
    typer.echo("")
    table(
        ["Policy", "Parts", "Seen", "Coverage"],
        [[one.policy, len(one.parts), f"{one.seen} of {one.wanted}", f"{one.percent:.0f}%"] for one in covered],
    )
    for one in covered:
        for seen in one.parts:
            if seen.missing:
                text = " ".join(seen.part.text.split())
                typer.echo(
                    f"{_where(one.policy, seen.part, sources)}: never {' or '.join(seen.missing)}: {plain(text)}"
                )
    wanted, found = sum(one.wanted for one in covered), sum(one.seen for one in covered)
    if wanted:
        typer.echo(f"Parts of conditions seen true and seen false: {found} of {wanted}, {100 * found / wanted:.0f} %.")


def _where(policy: str, part: SubCondition, sources: Mapping[str, Source]) -> str:
    source = sources[policy]
    place = source.at(("when",), part.start)
    return f"{source.file}:{place.line}:{place.column}"


def _trial(result: Trial) -> dict[str, object]:
    return {
        "policy": result.policy,
        "test": result.name,
        "expected": result.expected,
        "got": result.got,
        "todo": result.todo,
        "passed": result.passed,
        "reason": result.reason,
        "seconds": round(result.seconds, 4),
    }


def _show_trials(results: list[Trial]) -> None:
    for result in results:
        if result.passed:
            continue
        if result.todo:
            typer.echo(f"PASSES {result.policy}: {plain(result.name)}: it is `todo`, but passes now: make it `expect`")
        else:
            words = f"expected {result.expected}, got {result.got}"
            typer.echo(f"FAILED {result.policy}: {plain(result.name)}: {words}. {plain(result.reason)}".rstrip())
    passed = sum(result.passed and not result.todo for result in results)
    todo = sum(result.passed and result.todo for result in results)
    failed = sum(not result.passed for result in results)
    typer.echo(f"{passed} passed, {failed} failed, {todo} to do.")


@app.command()
def suggest(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The policy.")],
    folder: FolderOption = None,
    write: Annotated[int, typer.Option(min=0, help="Write this suggestion into the policy's file.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Suggest a threshold, an exception and a test from what reviewers decided on a policy's cases.

    Nothing is changed unless --write names a suggestion; an exception then still needs somebody who approves it.
    """
    where = folder or running().policies_dir
    loaded = examine(where)
    policy_set = loaded.policy_set or load(where)
    policy = _policy(policy_set, identifier)
    path = where / loaded.files[policy.id]
    with progress_of("Checking on history") as progress:
        found = running().suggest.suggest(
            acting(),
            policy_set,
            policy,
            path.read_text("utf-8"),
            file=loaded.files[policy.id],
            processes=counting(),
            progress=progress,
        )
    if write > len(found):
        raise BadInput(f"There is no suggestion {write}.", advice=f"There are {len(found)}.")
    if write:
        try:
            path.write_text(found[write - 1].text, "utf-8")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}.") from None
    emit(
        [_suggestion(one, number) for number, one in enumerate(found, 1)],
        lambda: _show_suggestions(found, policy, written=path if write else None),
        as_json=as_json,
    )


def _suggestion(one: Suggestion, number: int) -> dict[str, object]:
    lesson = one.lesson
    return {
        "number": number,
        "param": lesson.param or None,
        "value": lesson.value if lesson.param else None,
        "to": lesson.to if lesson.param else None,
        "exception": lesson.exception or None,
        "stops_cases": list(lesson.stops),
        "leaves_cases": list(lesson.left),
        "keeps_violations": lesson.keeps,
        "raised_by_another": one.shared,
        "undecided": one.undecided,
        "undecided_stopped": one.undecided_stopped,
        "history": None
        if one.history is None
        else {
            "calls": one.history.calls,
            "no_longer": one.history.no_longer,
            "newly": one.history.newly,
            "undecided": one.history.undecided,
        },
        "example": one.example,
        "without_example": one.without_example,
        "diff": one.diff,
    }


def _show_suggestions(found: Sequence[Suggestion], policy: Policy, *, written: Path | None) -> None:
    if not found:
        typer.echo(f"Nothing to suggest: no change of {policy.id} would stop a false alarm and keep every violation.")
    for number, one in enumerate(found, 1):
        lesson = one.lesson
        false = len(lesson.stops) + len(lesson.left)
        what = f"{lesson.param}: {lesson.value} -> {lesson.to}" if lesson.param else "an exception"
        typer.echo(
            f"{number}. {plain(what)}: stops {len(lesson.stops)} of {counted(false, 'false alarm')}, keeps all of "
            f"{counted(lesson.keeps, 'violation')}"
            + (f"; another policy raises {one.shared} of them too" if one.shared else "")
            + (f"; of {one.undecided} undecided it stops {one.undecided_stopped}." if one.undecided else ".")
        )
        if one.history is not None:
            asked = one.history
            left = f"; {counted(asked.undecided, 'call')} could not be asked" if asked.undecided else ""
            anew = f" and on {asked.newly} anew" if asked.newly else ""
            calls = counted(asked.calls, "call")
            typer.echo(
                f"   Checked on {calls} of the last 30 days: it fires on {asked.no_longer} no longer{anew}{left}."
            )
        if one.without_example:
            typer.echo(f"   Without a test: {one.without_example}.")
        typer.echo(plain(one.diff))
    if written is not None:
        typer.echo(f"Written to {written}. Look at it, then: governance policy test, policy backtest.")


@app.command("list")
def list_(folder: FolderOption = None, as_json: JsonFlag = False) -> None:
    """List the policies."""
    policy_set = load(folder or running().policies_dir)
    emit(
        {"digest": policy_set.digest, "policies": [_row(one) for one in policy_set.policies]},
        lambda: _show_list(policy_set),
        as_json=as_json,
    )


def _row(one: Policy) -> dict[str, object]:
    return {
        "id": one.id,
        "title": one.title,
        "owner": one.owner,
        "status": one.status.value,
        "severity": one.severity.value,
        "action": one.then.action.value,
        "queue": one.then.queue,
        "tests": len(one.tests),
        "controls": one.controls,
    }


def _show_list(policy_set: PolicySet) -> None:
    table(
        ["Policy", "Status", "Severity", "Action", "Queue", "Title"],
        [
            [one.id, one.status.value, one.severity.value, one.then.action.value, one.then.queue or None, one.title]
            for one in policy_set.policies
        ],
    )
    typer.echo(f"\n{len(policy_set.policies)} policies. Set {policy_set.digest[:12]}.")


@app.command()
def show(identifier: str, folder: FolderOption = None, as_json: JsonFlag = False) -> None:
    """Show one policy: its file, or with --json what was understood of it."""
    where = folder or running().policies_dir
    loaded = examine(where)
    file = loaded.files.get(identifier)
    if loaded.policy_set is None:
        load(where)
    if loaded.policy_set is None or file is None:
        raise unknown("policy", identifier, loaded.files)
    found = _policy(loaded.policy_set, identifier)
    emit(found.document(), lambda: _show_file(where, file), as_json=as_json)


def _show_file(folder: Path, file: str) -> None:
    try:
        text = (folder / file).read_text("utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from None
    typer.echo(f"# {file}")
    typer.echo(plain(text), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for editors that complete and check them."""
    sys.stdout.write(schema_text())


def _policy(policy_set: PolicySet, identifier: str) -> Policy:
    found = policy_set.get(identifier)
    if found is None:
        raise unknown("policy", identifier, (one.id for one in policy_set.policies))
    return found


backtest.add(app)
rollout.add(app)
controls.add(app)
