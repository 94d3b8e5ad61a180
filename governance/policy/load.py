"""Loads a folder of policy files into a policy set, or reports everything that is wrong with them at once."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from governance.detectors.patterns.recognisers import declared
from governance.errors import BadInput
from governance.policy import cedar
from governance.policy.floor import extended
from governance.policy.folder import ACCESS, CONSOLE, CONSOLE_SCHEMA, RULE, Files, walk
from governance.policy.lint import RULES
from governance.policy.lint.interface import Subject, Together
from governance.policy.policy import Budget, Exemption, Floor, Policy, PolicySet, PolicyTest, Scope, Then
from governance.policy.problems import Level, PolicyErrors, Problem, errors, order
from governance.policy.source import LARGEST, Place, Source, child, read

MOST_FILES = 5_000
_LARGEST_CEDAR = 2**20
_MOST_UNREAD = 100
_ATTEMPTS = 5
_IS_POLICY = re.compile(rb"^kind:[ \t]*[\"']?Policy\b", re.MULTILINE)
_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Policy,
    ("applies_to",): Scope,
    ("then",): Then,
    ("exceptions",): Exemption,
    ("tests",): PolicyTest,
    ("budget",): Budget,
    ("floor",): Floor,
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What is in a folder. `policy_set` is None where a mistake keeps it from being loaded."""

    policy_set: PolicySet | None
    problems: tuple[Problem, ...]
    files: Mapping[str, str]
    """The file of each policy that could be read, by the policy's id."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """The same files with the place of each value."""


def load(folder: Path, *, today: date | None = None, packaged: Path | None = None) -> PolicySet:
    """The folder's policy set. Raises `PolicyErrors` with every mistake; `BadInput` where there is no such folder."""
    loaded = examine(folder, today=today, packaged=packaged)
    if loaded.policy_set is None:
        raise PolicyErrors(errors(loaded.problems))
    return loaded.policy_set


def examine(folder: Path, *, today: date | None = None, packaged: Path | None = None) -> Loaded:
    """The folder's policy set with all its problems, warnings included.

    Files are `*.yaml` and `*.yml` at any depth, except in folders named `fixtures`; and the Cedar files of `access/`.
    `packaged` is the folder of policies that came with the product: its console schema counts where the folder has
    none. What a version that is replaced meanwhile (a mounted ConfigMap) leaves half read is read again.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.", advice="Set GOVERNANCE_POLICIES to the folder of policy files.")
    for _attempt in range(_ATTEMPTS):
        try:
            return _examine(folder, walk(folder), today, packaged)
        except FileNotFoundError:
            continue
    raise BadInput(f"{folder} changes while it is read.", advice="Try again when nothing is written to it.")


def _examine(folder: Path, files: Files, today: date | None, packaged: Path | None) -> Loaded:
    """Raises `FileNotFoundError` for a file that vanished since the walk."""
    problems: list[Problem] = [*files.problems]
    sources: list[Source] = []
    if len(files.policies) > MOST_FILES:
        raise BadInput(f"{folder} contains {len(files.policies)} policy files; at most {MOST_FILES} are read.")
    for name in sorted(files.policies):
        raw = _bytes(name, files.policies[name], problems)
        if raw is None:
            continue
        source, found = read(name, raw)
        problems.extend(found)
        if not found:
            sources.append(source)
    floors = {
        source.value["id"]: source.value
        for source in sources
        if isinstance(source.value, dict) and "floor" in source.value and isinstance(source.value.get("id"), str)
    }
    subjects: list[tuple[Source, Policy]] = []
    used: set[str] = set()
    for source in sources:
        policy, found = _policy(source, files, used, floors)
        problems.extend(found)
        if policy is not None:
            subjects.append((source, policy))
    if not files.policies:
        problems.append(
            Problem(file=str(folder), line=1, column=1, rule="no-policies", message="there are no policy files here")
        )
    problems.extend(_misplaced(files))
    problems.extend(_bounded(files.unread(frozenset(used))))
    problems.extend(lint(subjects, today=today))
    texts, found = _access(files)
    problems.extend(found)
    problems.extend(cedar.check(texts, {} if packaged is None else _access(_packaged(packaged))[0]))
    problems.sort(key=order)
    failed = bool(errors(problems))
    access = dict(texts) if packaged is None else _with_console(texts, packaged)
    return Loaded(
        policy_set=None if failed else PolicySet((policy for _, policy in subjects), access=access),
        problems=tuple(problems),
        files={policy.id: source.file for source, policy in subjects},
        sources={policy.id: source for source, policy in subjects},
    )


def _packaged(folder: Path) -> Files:
    return Files(access={f"{ACCESS}/{path.name}": path for path in (folder / ACCESS).glob("console.cedarschema")})


def _with_console(texts: Mapping[str, str], packaged: Path) -> dict[str, str]:
    """The Cedar files of a set: with the permissions that came with the product where the folder has none, so that they
    change as policies do, and nobody's rights change when a file appears."""
    own = CONSOLE in texts
    wanted = {
        name: (packaged / name).read_text("utf-8")
        for name in (CONSOLE, CONSOLE_SCHEMA)
        if (packaged / name).is_file() and not (own and name in texts)
    }
    return {**texts, **wanted}


def _bytes(name: str, path: Path, problems: list[Problem], most: int = LARGEST) -> bytes | None:
    """At most one byte more than `most`; None, and a problem, for what cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        problems.append(_unreadable(name, error))
        return None


def _misplaced(files: Files) -> Iterator[Problem]:
    """Policies where none is read: that must not be a warning, or a policy would be lost without anybody's doing."""
    for name, path in sorted(files.reserved.items()):
        raw = _bytes(name, path, [])
        if raw is not None and _IS_POLICY.search(raw):
            message = "there is a policy where none is read"
            hint = "Move it to a folder of another name."
            yield Problem(file=name, line=1, column=1, rule=RULE, message=message, hint=hint)


def _bounded(unread: list[Problem]) -> list[Problem]:
    rest = len(unread) - _MOST_UNREAD
    if rest <= 0:
        return unread
    kept = sorted(unread, key=order)[:_MOST_UNREAD]
    message = f"{rest:,} more files are not read"
    return [*kept, Problem(file=".", line=1, column=1, rule=RULE, message=message, level=Level.WARNING)]


def lint(subjects: Sequence[tuple[Source, Policy]], *, today: date | None = None) -> list[Problem]:
    """Every lint rule over every policy."""
    first: dict[str, str] = {}
    together = Together()
    for source, policy in subjects:
        first.setdefault(policy.id, source.file)
        together.setdefault(policy.id, policy)
    own = _recognisers(subjects)
    found: list[Problem] = []
    for source, policy in subjects:
        subject = Subject(
            source=source,
            policy=policy,
            first_file=first[policy.id],
            today=today or datetime.now(UTC).date(),
            recognisers=own,
            all=together,
        )
        for rule in RULES:
            found.extend(rule.problems(subject))
    return found


def _recognisers(subjects: Sequence[tuple[Source, Policy]]) -> dict[str, tuple[str, Mapping[str, object]]]:
    """By name, where each recogniser is declared first, and how."""
    first: dict[str, tuple[str, Mapping[str, object]]] = {}
    for source, policy in subjects:
        for detect in policy.detectors.values():
            for one in declared(detect.stated.options):
                first.setdefault(str(one.get("name", "")), (source.file, one))
    return first


def _unreadable(name: str, error: OSError) -> Problem:
    words = f"the file cannot be read: {error.strerror or type(error).__name__}"
    return Problem(file=name, line=1, column=1, rule="syntax", message=words)


def _access(files: Files) -> tuple[dict[str, str], list[Problem]]:
    """The Cedar files' texts by name."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, path in sorted(files.access.items()):
        raw = _bytes(name, path, problems, _LARGEST_CEDAR)
        if raw is None:
            continue
        if len(raw) > _LARGEST_CEDAR:
            message = f"the file is over {_LARGEST_CEDAR // 2**20} MiB"
            problems.append(Problem(file=name, line=1, column=1, rule="too-large", message=message))
            continue
        try:
            texts[name] = raw.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(Problem(file=name, line=1, column=1, rule="syntax", message="the file is not UTF-8"))
    return texts, problems


def _policy(
    source: Source, files: Files, used: set[str], floors: Mapping[Any, Any]
) -> tuple[Policy | None, list[Problem]]:
    """The policy of a file's value, with the calls of its tests read from the files they name; those go into `used`."""
    if not isinstance(source.value, dict):
        return None, [
            source.problem(Place(1, 1), "schema", "a policy file consists of keys and values", _keys_hint(Policy))
        ]
    value: dict[str, Any] = dict(source.value)
    problems: list[Problem] = []
    tests = value.get("tests")
    if isinstance(tests, list):
        value["tests"] = [
            _with_fixture(source, test, number, files, used, problems) for number, test in enumerate(tests)
        ]
    extends = value.get("extends")
    if isinstance(extends, str) and extends:
        floor = floors.get(extends)
        if floor is None:
            close = get_close_matches(extends, [name for name in floors if isinstance(name, str)], n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "A policy extends one that has `floor:` (folder floor/)."
            message = f"there is no floor {extends[:80]!r}"
            return None, [*problems, source.problem(source.place(("extends",)), "unknown-floor", message, hint)]
        value = extended(value, floor)
    try:
        policy = Policy.model_validate(value)
    except ValidationError as error:
        return None, [*problems, *_schema_problems(source, error)]
    return (None if problems else policy), problems


def _with_fixture(
    source: Source, test: object, number: int, files: Files, used: set[str], problems: list[Problem]
) -> object:
    """A test whose call is a file's name, with the file's call in its place."""
    if not isinstance(test, dict) or not isinstance(test.get("call"), str):
        return test
    stated = test["call"]

    def note(message: str, hint: str = "") -> object:
        problems.append(source.problem(source.place(("tests", number, "call")), "schema", message, hint))
        return {**test, "call": {}}

    name = posixpath.normpath(posixpath.join(posixpath.dirname(source.file), stated))
    if name.startswith("/") or name.split("/")[0] == ".." or name in files.outside:
        return note("the example's file lies outside the policies' folder")
    path = files.others.get(name) or files.reserved.get(name)
    reason = "No such file or directory"
    if path is not None:
        used.add(name)
        try:
            with path.open("rb") as stream:
                raw = stream.read(LARGEST + 1)
            if len(raw) > LARGEST:
                return note(f"the example's file is over {LARGEST // 1024} KiB")
            call = json.loads(raw)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not JSON"
        else:
            if not isinstance(call, dict):
                return note("the example's file must contain one call, a JSON object")
            return {**test, "call": call}
    return note(
        f"the example's file {stated[:80]!r} cannot be read: {reason}", "The name is relative to the policy file."
    )


def _schema_problems(source: Source, error: ValidationError) -> Iterator[Problem]:
    """pydantic's complaints, each at its place, in words for whoever wrote the file; one for a value."""
    seen: set[tuple[str | int, ...]] = set()
    for item in error.errors(include_url=False, include_input=False):
        path, rest = _reachable(source, item["loc"])
        kind = item["type"]
        if kind == "missing" and len(rest) == 1:
            message = f"{rest[0]!r} is missing"
            yield source.problem(source.place(path, key=True), "schema", message, _described(path, str(rest[0])))
            continue
        if path in seen:
            continue
        seen.add(path)
        name = path[-1] if path else "the file"
        if kind == "extra_forbidden":
            model = _model_at(path[:-1])
            close = get_close_matches(str(name), model.model_fields, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else _keys_hint(model)
            yield source.problem(source.place(path, key=True), "schema", f"unknown key {str(name)[:60]!r}", hint)
            continue
        message, hint = _readable(source, path, item)
        at_key = "[key]" in item["loc"]
        yield source.problem(source.place(path, key=at_key), "schema", message, hint)


def _readable(source: Source, path: tuple[str | int, ...], item: Any) -> tuple[str, str]:
    context = item.get("ctx", {})
    value = source.at_path(path)
    name = f"{path[-1]!r}" if path and isinstance(path[-1], str) else "this"
    if len(path) >= 2 and path[0] == "params" and "[key]" not in item["loc"]:
        return f"{name} must be true or false, a number, a word, or a list of words or of numbers", ""
    if item["type"] in ("enum", "literal_error"):
        expected = str(context.get("expected", "")).replace("'", "")
        known = expected.replace(" or ", ", ").split(", ")
        close = get_close_matches(value, known, n=1) if isinstance(value, str) else []
        name = name if name != "this" else repr(str(value)[:40])
        return f"{name} must be one of: {', '.join(known)}", f"Did you mean {close[0]!r}?" if close else ""
    if item["type"] == "list_type":
        return f"{name} must be a list", "Write [a, b], also for one: [a]."
    if item["type"] == "string_pattern_mismatch":
        return f"{name} is not spelled as it must be", f"It must match {context.get('pattern', '')}"
    words = str(item["msg"])
    return f"{name}: {words[:1].lower()}{words[1:]}", _described(path[:-1], str(path[-1])) if path else ""


def _reachable(source: Source, location: Sequence[str | int]) -> tuple[tuple[str | int, ...], tuple[str | int, ...]]:
    """The longest part of a location that exists in the file, and the rest: a missing key, or words of a union."""
    value: object = source.value
    for count, step in enumerate(location):
        inside = child(value, step)
        if inside is None:
            return tuple(location[:count]), tuple(location[count:])
        (value,) = inside
    return tuple(location), ()


def _model_at(path: Sequence[str | int]) -> type[BaseModel]:
    return _MODELS.get(tuple(step for step in path if isinstance(step, str)), Policy)


def _keys_hint(model: type[BaseModel]) -> str:
    return f"The keys here are: {', '.join(model.model_fields)}."


def _described(path: Sequence[str | int], name: str) -> str:
    field = _model_at(path).model_fields.get(name)
    return f"{name}: {field.description}" if field is not None and field.description else ""
