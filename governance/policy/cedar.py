"""Checks the Cedar files of `access/` as the server does when it starts, and says where a mistake stands.

Cedar names the policy and what is wrong, not the line: the place is found in the policy's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cedarpy

from governance.policy.folder import CONSOLE, CONSOLE_SCHEMA, DATA, DATA_SCHEMA
from governance.policy.problems import Level, Problem
from governance.policy.source import Place

RULE = "cedar"
_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|[;{}]', re.DOTALL)
_NAMED = re.compile(r"`([^`]+)`|'([^']+)'|: ([A-Za-z_][A-Za-z0-9_:]*)$")
_POLICY = re.compile(r"policy(\d+)")


@dataclass(frozen=True, slots=True)
class _Statement:
    """A policy or a declaration, and the offset of its first character in the file."""

    text: str
    start: int


def check(texts: Mapping[str, str], packaged: Mapping[str, str]) -> list[Problem]:
    """All mistakes in Cedar files, given by name. `packaged` are the files that came with the product: the console's
    policies are read against its schema there where the folder has none."""
    found: list[Problem] = []
    for policies, schema in ((DATA, DATA_SCHEMA), (CONSOLE, CONSOLE_SCHEMA)):
        if policies not in texts:
            if schema in texts:
                hint = f"It counts together with {policies}."
                found.append(_problem(schema, "", Place(1, 1), "the file is not read", hint, Level.WARNING))
            continue
        against = texts.get(schema, packaged.get(schema) if policies == CONSOLE else None)
        if against is None and policies == DATA:
            message = f"{schema} is missing: nothing says what the policies may refer to"
            found.append(_problem(policies, texts[policies], Place(1, 1), message, "Add the schema."))
        found += _pair(policies, texts[policies], schema, against)
    return found


def _pair(file: str, text: str, schema_file: str, schema: str | None) -> Iterator[Problem]:
    if schema is not None:
        try:
            cedarpy.Schema.from_str(schema)
        except ValueError as error:
            message = str(error).removeprefix("error parsing schema: ")
            yield _problem(schema_file, schema, _schema_place(schema, message), message)
            schema = None
    statements = _statements(text, blocks=False)
    broken = False
    for statement in statements:
        try:
            cedarpy.PolicySet.from_str(statement.text)
        except ValueError as error:
            broken = True
            yield _problem(file, text, _place(text, statement, str(error)), str(error))
    if not broken:
        try:
            cedarpy.PolicySet.from_str(text)
        except ValueError as error:
            broken = True
            yield _problem(file, text, Place(1, 1), str(error))
    if broken or schema is None:
        return
    said: set[tuple[Place, str]] = set()
    for mistake in cedarpy.validate_policies(text, schema).errors:
        message = re.sub(r"^for policy `[^`]*`, ", "", str(mistake.error))
        number = _POLICY.fullmatch(str(mistake.policy_id))
        at = int(number[1]) if number else len(statements)
        place = _place(text, statements[at], message) if at < len(statements) else Place(1, 1)
        if (place, message) not in said:
            said.add((place, message))
            yield _problem(file, text, place, message)


def _statements(text: str, *, blocks: bool) -> list[_Statement]:
    """The statements of Cedar text: each ends with a semicolon outside comments and strings; with `blocks`, also with
    the brace that closes a namespace."""
    found: list[_Statement] = []
    start = depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        ends = token[0] == ";" if not blocks else depth <= 0 and token[0] in (";", "}")
        if ends:
            found.append(_trimmed(text, start, token.end()))
            start = token.end()
    rest = _trimmed(text, start, len(text))
    return [*found, rest] if rest.text else found


def _trimmed(text: str, start: int, end: int) -> _Statement:
    """Without the comments and white space before it."""
    before = re.compile(r"(?:\s|//[^\n]*(?:\n|$))*").match(text, start, end)
    start = before.end() if before else start
    return _Statement(text[start:end], start)


def _schema_place(schema: str, message: str) -> Place:
    """In the first declaration without which all before it can be parsed."""
    statements = _statements(schema, blocks=True)
    for statement in statements:
        try:
            cedarpy.Schema.from_str(statement.text)
        except ValueError as error:
            if str(error).removeprefix("error parsing schema: ") == message:
                return _place(schema, statement, message)
    return _place(schema, _Statement(schema, 0), message)


def _place(text: str, statement: _Statement, message: str) -> Place:
    """Of what the message names, within the statement; else the statement's own; its end, where the end is missing."""
    offset = statement.start
    if "end of input" in message:
        offset += max(0, len(statement.text.rstrip()) - 1)
    else:
        for named in _NAMED.finditer(message):
            word = next(group for group in named.groups() if group)
            inside = re.search(rf"(?<![\w=!<>]){re.escape(word)}(?![\w=])", statement.text)
            if inside is not None:
                offset += inside.start()
                break
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _problem(file: str, text: str, place: Place, message: str, hint: str = "", level: Level = Level.ERROR) -> Problem:
    lines = text.split("\n")
    source = lines[place.line - 1].rstrip("\r") if place.line <= len(lines) else ""
    return Problem(
        file=file,
        line=place.line,
        column=place.column,
        rule=RULE,
        message=message[:300],
        hint=hint,
        source=source,
        level=level,
    )
