"""Walks a policies folder: which files are policies, which belong to `access/`, and which are not read, and why.

Hidden names and editor files are passed over. A mounted Kubernetes ConfigMap is read from the one version that `..data`
points to, so that an update during a walk never mixes two versions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from governance.errors import BadInput
from governance.policy.problems import Level, Problem

MOST_ENTRIES = 50_000
_DEEPEST = 32
_SUFFIXES = (".yaml", ".yml")
_FIXTURES = "fixtures"
ACCESS = "access"
DATA, DATA_SCHEMA = "access/data.cedar", "access/data.cedarschema"
CONSOLE, CONSOLE_SCHEMA = "access/console.cedar", "access/console.cedarschema"
_ACCESS_FILES = frozenset({DATA, DATA_SCHEMA, CONSOLE, CONSOLE_SCHEMA})
_CURRENT = "..data"
"""The link that Kubernetes moves, in one step, from one version of a mounted ConfigMap or Secret to the next."""
RESERVED_FOLDERS = frozenset({"data", "prices", "systems"})
"""Folders at the top that a later version reads for something other than policies."""
RESERVED_FILES = frozenset({"notifications.yaml", "queues.yaml"})
_DOCUMENTS = frozenset({"codeowners", "license", "makefile", "notice", "readme"})
"""Names, without suffix, of files that people put beside policies and nobody takes for one."""
_CLUTTER = frozenset({"lost+found", "thumbs.db", "desktop.ini"})
RULE = "not-read"


@dataclass(kw_only=True)
class Files:
    """What a folder holds. Names are relative to the folder, with `/`; each path is the file to open.

    `reserved` are files in places where no policy belongs; `others` those that are neither policies nor Cedar, fixtures
    included; `outside` names links that leave the folder. `problems` are errors, and warnings about links.
    """

    policies: dict[str, Path] = field(default_factory=dict)
    access: dict[str, Path] = field(default_factory=dict)
    reserved: dict[str, Path] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def unread(self, used: frozenset[str]) -> list[Problem]:
        """A warning for each file that nothing reads. `used` are the names of files that tests have read."""
        found = [_unread(name) for name in self.others if name not in used and not _expected(name)]
        found += [_unread(name) for name in self.reserved if name.startswith(f"{ACCESS}/")]
        tops = {name.partition("/")[0] for name in self.reserved} - {ACCESS}
        for top in sorted(tops):
            what = f"{top}/" if top in RESERVED_FOLDERS else top
            found.append(_warning(what, f"{what} is not read by this version", "The name is kept for a later version."))
        return found


def walk(folder: Path) -> Files:
    """The files of `folder`. Raises `BadInput` for a folder with more than `MOST_ENTRIES` entries, `FileNotFoundError`
    when something vanished meanwhile."""
    walked = _Walk(folder)
    walked.run()
    return walked.files


def _warning(name: str, message: str, hint: str = "") -> Problem:
    return Problem(file=name, line=1, column=1, rule=RULE, message=message, hint=hint, level=Level.WARNING)


def _error(name: str, message: str, hint: str = "") -> Problem:
    return Problem(file=name, line=1, column=1, rule=RULE, message=message, hint=hint)


def _unread(name: str) -> Problem:
    base = name.rpartition("/")[2]
    stem, suffix = PurePosixPath(base).stem, PurePosixPath(base).suffix
    if name.startswith(f"{ACCESS}/"):
        known = ", ".join(sorted(one.partition("/")[2] for one in _ACCESS_FILES))
        return _warning(name, "the file is not read: no file of this name belongs to access/", f"Files there: {known}.")
    if suffix.lower() in _SUFFIXES:
        return _warning(
            name, f"the file is not read: its suffix is {suffix}", f"Rename it to {stem}{suffix.lower()} if it is one."
        )
    return _warning(
        name,
        "the file is not read: policies are *.yaml and *.yml",
        "Rename it if it is a policy; else move it out of the folder, or into a folder fixtures/.",
    )


def _expected(name: str) -> bool:
    """Whether a file that is no policy is at home in a policies folder: fixtures, Markdown, a licence."""
    path = PurePosixPath(name.lower())
    return _FIXTURES in name.split("/")[:-1] or path.suffix == ".md" or path.stem in _DOCUMENTS


def _hidden(name: str) -> bool:
    """Names that start with a dot, and what editors leave behind: `x.yaml~`, `#x.yaml#`."""
    return name.startswith(".") or name.endswith("~") or (name.startswith("#") and name.endswith("#"))


class _Walk:
    """One walk. Real files and folders come first, links after them: a link to what was seen already adds nothing."""

    def __init__(self, folder: Path) -> None:
        self.files = Files()
        self._root = Path(os.path.realpath(folder))
        self._entries = 0
        self._seen: set[tuple[int, int]] = set()
        self._links: list[tuple[str, Path, int]] = []
        self._mounts: list[tuple[Path, Path]] = []

    def run(self) -> None:
        self._note(self._root)
        self._folder("", self._root, 0)
        while self._links:
            name, path, depth = self._links.pop(0)
            self._link(name, path, depth)
        # The old version is emptied after the link has moved: a list made while the link stood is whole.
        for current, version in self._mounts:
            if Path(os.path.realpath(current)) != version:
                raise FileNotFoundError(version)

    def _folder(self, name: str, path: Path, depth: int) -> None:
        """`name` is "" for the root, else it ends with `/`."""
        if depth > _DEEPEST:
            if not self._ignored(name):
                self._problem(_error(name, f"the folder is nested deeper than {_DEEPEST} levels"))
            return
        current = path / _CURRENT
        if current.is_symlink():
            self._mounted(name, path, current, depth)
            return
        self._children(name, path, depth)

    def _mounted(self, name: str, path: Path, current: Path, depth: int) -> None:
        """A mounted ConfigMap: the version that is current now, and what does not come from it."""
        version = Path(os.path.realpath(current))
        if not version.is_relative_to(self._root):
            self._problem(_error(f"{name}{_CURRENT}", "the link leads out of the folder"))
            return
        self._mounts.append((current, version))
        self._note(version)
        self._children(name, version, depth)
        self._children(name, path, depth, apart=f"{_CURRENT}{os.sep}")

    def _note(self, path: Path) -> None:
        known = path.stat()
        self._seen.add((known.st_dev, known.st_ino))

    def _children(self, name: str, path: Path, depth: int, *, apart: str = "") -> None:
        """Links whose target starts with `apart` are left out."""
        try:
            found = sorted(os.scandir(path), key=lambda one: one.name)
        except FileNotFoundError:
            raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._problem(_error(name.rstrip("/") or ".", f"the folder cannot be read: {reason}"))
            return
        self._entries += len(found)
        if self._entries > MOST_ENTRIES:
            raise BadInput(
                f"{self._root} holds more than {MOST_ENTRIES:,} files.",
                advice="Set GOVERNANCE_POLICIES to a folder that holds policies only.",
            )
        for entry in found:
            if _hidden(entry.name) or entry.name.lower() in _CLUTTER:
                continue
            inner = Path(entry.path)
            if entry.is_symlink():
                if not (apart and str(inner.readlink()).startswith(apart)):
                    self._links.append((f"{name}{entry.name}", inner, depth))
            else:
                self._take(f"{name}{entry.name}", inner, entry.stat(follow_symlinks=False), depth)

    def _link(self, name: str, path: Path, depth: int) -> None:
        try:
            target = path.resolve(strict=True)
            known = target.stat()
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, up to Python 3.12
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it leads back to itself"
            if not self._ignored(name):
                self._problem(_error(name, f"the link cannot be followed: {reason}"))
            return
        if not target.is_relative_to(self._root):
            self.files.outside.add(name)
            if not self._ignored(name):
                self._problem(_error(name, "the link leads out of the folder", "Put the file itself here."))
            return
        if (known.st_dev, known.st_ino) in self._seen and not self._shared(name, path, known):
            if not self._ignored(name):
                self._problem(_warning(name, "the link is not followed: what it leads to is read already"))
            return
        self._take(name, target, known, depth)

    @staticmethod
    def _shared(name: str, path: Path, known: os.stat_result) -> bool:
        """Whether a link leads to examples that several policies name: those may have several names."""
        if _FIXTURES not in name.split("/"):
            return False
        return not stat.S_ISDIR(known.st_mode) or not path.parent.is_relative_to(path.resolve())

    def _take(self, name: str, path: Path, known: os.stat_result, depth: int) -> None:
        self._seen.add((known.st_dev, known.st_ino))
        base = name.rpartition("/")[2]
        policy = base.endswith(_SUFFIXES)
        if stat.S_ISDIR(known.st_mode):
            if (policy or name in _ACCESS_FILES) and not self._ignored(name):
                self._problem(
                    _error(
                        name,
                        "this is a folder, not a file",
                        "Docker makes one where the file of a mount does not exist on the host.",
                    )
                )
                return
            self._folder(f"{name}/", path, depth + 1)
        elif not stat.S_ISREG(known.st_mode):
            if not self._ignored(name):
                self._problem(_error(name, "this is neither a file nor a folder"))
        elif _FIXTURES in name.split("/")[:-1]:
            self.files.others[name] = path
        elif name in _ACCESS_FILES:
            self.files.access[name] = path
        elif name in RESERVED_FILES or ("/" in name and name.partition("/")[0] in RESERVED_FOLDERS):
            self.files.reserved[name] = path
        elif policy:
            place = self.files.reserved if name.startswith(f"{ACCESS}/") else self.files.policies
            place[name] = path
        else:
            self.files.others[name] = path

    def _ignored(self, name: str) -> bool:
        """Whether nothing would be read there anyway."""
        return _expected(name) or name.partition("/")[0] in RESERVED_FOLDERS

    def _problem(self, problem: Problem) -> None:
        self.files.problems.append(problem)


def not_read(problems: Iterable[Problem], most: int = 3) -> str:
    """'a.YML, notes.txt and 2 more': the files that are not read; "" where all are."""
    names = [problem.file for problem in problems if problem.rule == RULE and problem.level is Level.WARNING]
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
