"""The policy files of this installation: read again when one of them changes, with what is wrong in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from app.components.marked import Line, Remark
from app.shell import session, words
from governance.errors import BadInput
from governance.policy.folder import RULE
from governance.policy.load import Loaded
from governance.policy.policy import PolicySet
from governance.policy.problems import Level, Problem
from governance.policy.source import LARGEST


@dataclass(frozen=True, kw_only=True)
class Files:
    """The policy files of this installation. `set` is None where a mistake keeps them from being loaded; `names` are
    files by the id of their policy, also where the file is none for now; `trouble` says why they could not be looked
    at, else ""."""

    set: PolicySet | None
    problems: tuple[Problem, ...]
    names: Mapping[str, str]
    trouble: str = ""

    def of(self, policy: str) -> list[Problem]:
        """What is wrong with a policy's file."""
        name = self.names.get(policy)
        return [problem for problem in self.problems if problem.file == name]

    @property
    def errors(self) -> int:
        return sum(problem.level is Level.ERROR for problem in self.problems)


def files() -> Files:
    """The files as they are now."""
    folder = session.application().policies_dir
    try:
        return _files(str(folder), _stamp(folder))
    except BadInput as error:
        return Files(set=None, problems=(), names={}, trouble=str(error))


def text_of(name: str) -> str:
    """A file's text as it is now; "" where it cannot be read. `name` is one that `files` gave."""
    try:
        return (session.application().policies_dir / name).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _stamp(folder: Path) -> str:
    """Changes when a file comes, goes or is written: also when a day begins, as exceptions end then."""
    found = [datetime.now(UTC).date().isoformat()]
    for path in sorted(folder.rglob("*")):
        try:
            known = path.stat()
        except OSError:
            continue
        found.append(f"{path}:{known.st_mtime_ns}:{known.st_size}")
    return "\n".join(found)


@st.cache_resource(show_spinner=False, max_entries=4)
def _files(folder: str, stamp: str) -> Files:
    loaded: Loaded = session.application().examine_policies(Path(folder))
    broken = {problem.file for problem in loaded.problems if problem.rule != RULE} - set(loaded.files.values())
    written = {identifier: name for name in sorted(broken) if (identifier := _written(Path(folder) / name))}
    return Files(set=loaded.policy_set, problems=loaded.problems, names={**written, **loaded.files})


_ID = re.compile(r"""^id:[ ]*["']?([A-Za-z0-9._-]+)""", re.MULTILINE)


def _written(path: Path) -> str:
    """The id in a file that is no policy for now; "" where none is written."""
    try:
        with path.open("rb") as stream:
            found = _ID.search(stream.read(LARGEST).decode("utf-8", "replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def source(name: str, problems: Sequence[Problem]) -> list[Line]:
    """A file's lines, with what is wrong at its places."""
    at: dict[int, list[Problem]] = {}
    for problem in problems:
        at.setdefault(problem.line, []).append(problem)
    lines = text_of(name).splitlines() or [""]
    return [
        Line(text=text, n=str(number), remarks=tuple(_remark(problem, text) for problem in at.get(number, ())))
        for number, text in enumerate(lines, 1)
    ]


def _remark(problem: Problem, text: str) -> Remark:
    start = max(0, min(problem.column - 1, len(text) - 1))
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] in "_-."):
        end += 1
    said = f"Line {problem.line}: {problem.message}"
    if problem.hint:
        said = f"{said.rstrip('.')}. {problem.hint}"
    return Remark(
        start=start,
        end=max(end, min(start + 1, len(text))),
        level="critical" if problem.level is Level.ERROR else "high",
        label=said,
    )


def counted(problems: Sequence[Problem]) -> str:
    """'1 error, 2 warnings', or 'nothing wrong'."""
    errors = sum(problem.level is Level.ERROR for problem in problems)
    warnings = len(problems) - errors
    said = [words.count(errors, "error")] if errors else []
    said += [words.count(warnings, "warning")] if warnings else []
    return ", ".join(said) or "nothing wrong"
