"""Reads one YAML file into plain values, keeping the place of each: a mistake found later is shown where it was made.

A strict part of YAML 1.1: one document, string keys, no duplicate keys, no anchors or aliases (so that a short file
stays a small value), no tags, at most `LARGEST` bytes and `DEEPEST` levels.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from governance.policy.problems import Problem

LARGEST = 256 * 1024
DEEPEST = 40

Value: TypeAlias = "bool | int | float | str | dt.date | list[Value] | dict[str, Value] | None"
Path: TypeAlias = "tuple[str | int, ...]"
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map")}


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column from 1; for a scalar also what is needed to find a place within its text."""

    line: int
    column: int
    style: str | None = None
    start: int = 0
    end: int = 0


class Source:
    """A policy file: its text, its value, and the place of every key and value."""

    def __init__(
        self, file: str, text: str, value: Value, places: Mapping[Path, Place], keys: Mapping[Path, Place]
    ) -> None:
        self.file = file
        self.text = text
        self.value = value
        self._lines = _split(text)
        self._places = places
        self._keys = keys

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value at `path` stands (or its key); of what is missing, where its parent stands."""
        wanted = tuple(path)
        while wanted:
            found = (self._keys if key else self._places).get(wanted) or self._places.get(wanted)
            if found is not None:
                return found
            wanted, key = wanted[:-1], True
        return self._places.get((), Place(1, 1))

    def inside(self, path: Path, line: int, column: int) -> Place:
        """The place in the file of a line and column (from 1) within the scalar at `path`.

        YAML folds and indents blocks, but never changes their characters other than white space: the n-th visible
        character of the value is the n-th of the source.
        """
        place = self.place(path)
        value = self.at_path(path)
        if not isinstance(value, str) or place.style is None:
            return place
        rows = value.split("\n")
        offset = sum(len(row) + 1 for row in rows[: line - 1]) + column - 1
        return self._at_offset(place, value, offset)

    def at(self, path: Path, offset: int) -> Place:
        """The place in the file of an offset (in code points) within the scalar at `path`."""
        place = self.place(path)
        value = self.at_path(path)
        return self._at_offset(place, value, offset) if isinstance(value, str) and place.style is not None else place

    def _at_offset(self, place: Place, value: str, offset: int) -> Place:
        wanted = sum(not character.isspace() for character in value[:offset])
        position, end = place.start, place.end
        if place.style in ("|", ">"):
            header = self.text.find("\n", position, end)
            position = end if header < 0 else header + 1
        elif place.style in ("'", '"'):
            position, end = position + 1, end - 1
        while position < end:
            character = self.text[position]
            if character.isspace():
                position += 1
                continue
            if wanted == 0:
                break
            if place.style == "'" and self.text.startswith("''", position):
                position += 1
            elif place.style == '"' and character == "\\":
                position += 1
                if self.text[position : position + 1] in "\nntr ":
                    position += 1
                    continue
            wanted -= 1
            position += 1
        position = min(position, max(place.start, end - 1))
        before = self.text[:position]
        return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)

    def at_path(self, path: Path) -> object:
        """The value at that path, or None."""
        value: object = self.value
        for step in path:
            inside = child(value, step)
            if inside is None:
                return None
            (value,) = inside
        return value

    def problem(self, place: Place, rule: str, message: str, hint: str = "") -> Problem:
        """A mistake at a place of this file."""
        line = self._lines[place.line - 1] if 0 < place.line <= len(self._lines) else ""
        return Problem(
            file=self.file, line=place.line, column=place.column, rule=rule, message=message, hint=hint, source=line
        )


def child(value: object, step: str | int) -> tuple[object] | None:
    """The value under a key or number, or None where there is none."""
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        return (value[step],)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return (value[step],)
    return None


def read(file: str, raw: bytes) -> tuple[Source, list[Problem]]:
    """The file's source, and the problems that keep its value from being used."""
    empty = Source(file, "", None, {}, {})
    if len(raw) > LARGEST:
        hint = "Split it: one policy a file."
        return empty, [empty.problem(Place(1, 1), "too-large", f"the file is over {LARGEST // 1024} KiB", hint)]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = Place(before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1)
        return empty, [empty.problem(place, "syntax", "the file is not UTF-8", "Save it as UTF-8.")]
    bare = Source(file, text, None, {}, {})
    builder = _Builder(bare)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        words = error.problem or "this is not YAML"
        return bare, [bare.problem(place, "syntax", words, error.context or "")]
    except yaml.reader.ReaderError as error:
        before_text = text[: error.position] if isinstance(error.position, int) else ""
        place = Place(before_text.count("\n") + 1, len(before_text) - (before_text.rfind("\n") + 1) + 1)
        return bare, [bare.problem(place, "syntax", "the file contains a character that YAML does not allow")]
    except _Stop:
        return bare, builder.problems
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        return bare, [bare.problem(Place(1, 1), "syntax", str(error)[:200] or "this is not YAML")]
    if not builder.documents:
        return bare, [bare.problem(Place(1, 1), "syntax", "the file is empty", "Start from a policy that exists.")]
    return Source(file, text, builder.value, builder.places, builder.keys), builder.problems


class _Stop(Exception):
    """Reading further is of no use."""


class _Builder:
    """Makes values from YAML events, without recursion."""

    def __init__(self, source: Source) -> None:
        self.value: Value = None
        self.places: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.documents = 0
        self._source = source
        self._resolver = yaml.SafeLoader("")
        self._open: list[tuple[list[Value] | dict[str, Value], Path]] = []
        self._key: list[str | None] = []

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._stop(event, "a second document begins here", "One policy a file.")
        elif isinstance(event, yaml.AliasEvent):
            self._stop(event, "aliases are not allowed", "Write the value out.")
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                self._stop(event, "anchors are not allowed", "Write the value out where it is needed.")
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if event.anchor:
                self._stop(event, "anchors are not allowed", "Write the value out where it is needed.")
            if event.tag is not None and event.tag not in _TAGS:
                self._stop(event, f"the tag {event.tag} is not allowed")
            if len(self._open) >= DEEPEST:
                self._stop(event, f"nested deeper than {DEEPEST} levels")
            if self._wants_key():
                self._stop(event, "a key must be a word")
            container: list[Value] | dict[str, Value] = {} if isinstance(event, yaml.MappingStartEvent) else []
            path = self._put(container, event)
            self._open.append((container, path))
            self._key.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._key.pop()

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._key[-1] is None

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._wants_key():
            container, path = self._open[-1]
            # A key is the word that is written: `on:` and `no:` are no booleans here.
            if event.value == "<<" and event.implicit[0]:
                self._stop(event, "merge keys are not allowed", "Write the values out.")
            if event.value in container:
                place = self.keys[(*path, event.value)]
                self._note(
                    event, f"the key {event.value!r} is there already, in line {place.line}", "Remove one of them."
                )
            self.keys[(*path, event.value)] = _place(event)
            self._key[-1] = event.value
            return
        self._put(self._resolved(event), event)

    def _resolved(self, event: yaml.ScalarEvent) -> Value:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        if tag not in _TAGS:
            self._stop(event, f"the tag {tag} is not allowed")
        node = yaml.ScalarNode(tag, event.value)
        try:
            made = self._resolver.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, KeyError, IndexError, AttributeError):
            # The last two are PyYAML's answers to an empty `!!int` and to `!!timestamp x`.
            self._stop(
                event, f"{event.value[:40]!r} is no {tag.rsplit(':', 1)[-1]}", "Put quotes around it if it is text."
            )
        if isinstance(made, dt.datetime):
            return made.isoformat()
        value: Value = made
        return value

    def _put(self, value: Value, event: yaml.NodeEvent) -> Path:
        path: Path = ()
        if self._open:
            container, parent = self._open[-1]
            if isinstance(container, dict):
                key = self._key[-1] or ""
                path = (*parent, key)
                container[key] = value
                self._key[-1] = None
            else:
                path = (*parent, len(container))
                container.append(value)
        else:
            self.value = value
        self.places[path] = _place(event)
        return path

    def _note(self, event: yaml.Event, message: str, hint: str = "") -> None:
        self.problems.append(self._source.problem(_place(event), "syntax", message, hint))

    def _stop(self, event: yaml.Event, message: str, hint: str = "") -> None:
        self._note(event, message, hint)
        raise _Stop


def _place(event: yaml.Event) -> Place:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        return Place(1, 1)
    style = (event.style or "") if isinstance(event, yaml.ScalarEvent) else None
    return Place(start.line + 1, start.column + 1, style, start.index, end.index)


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")
