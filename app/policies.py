"""What the pages about policies know: the files and what is wrong with them, the set in force, tests, live figures.

Files are read again when one of them changes, sets and their tests once: a click reads what is known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import streamlit as st
import yaml

from app import session, words
from app.components.marked import Line, Remark
from governance.detectors.interface import DetectorUse
from governance.detectors.runner import Runner
from governance.domain.decisions import PolicyStatus
from governance.domain.rollout import Rollout, RolloutState
from governance.engine.coverage import Coverage, coverage
from governance.engine.trial import Trial, trials
from governance.errors import BadInput, NotFound
from governance.policy.difference import Difference, difference
from governance.policy.folder import RULE
from governance.policy.load import Loaded
from governance.policy.policy import Policy, PolicySet
from governance.policy.problems import Level, Problem
from governance.policy.source import LARGEST
from governance.store.queries import Systems
from governance.store.queries import policies as queries

DAYS = 30
"""Figures are those of so many days, up to today."""
SHOWN = 14
"""Days of the bars in the list."""
LEAST_VERDICTS = 10
"""Fewer verdicts than these say nothing about how often a policy is right."""
ENDS_SOON = timedelta(days=14)


# The files


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


# Sets


def in_force() -> tuple[Rollout, PolicySet] | None:
    """How what is in force came to be, and the set; None before the first start."""
    standing = session.application().rollout.standing().enforce
    if standing is None:
        return None
    return rollout(standing.rollout), stored(standing.digest)


def rollout(number: int) -> Rollout:
    return session.application().rollout.get(number)


def find(number: int) -> Rollout | None:
    """A rollout by its number, None where there is none."""
    try:
        return rollout(number)
    except NotFound:
        return None


def stored(digest: str) -> PolicySet:
    """A stored set. Raises `ValueError` where this version cannot read it."""
    return _stored(session.source(), digest)


@st.cache_resource(show_spinner=False, max_entries=64)
def _stored(source: str, digest: str) -> PolicySet:
    policy_set, _digest = session.application().rollout.policy_set(digest)
    return policy_set


def readable(digest: str) -> PolicySet | None:
    """A stored set, None where this version cannot read it."""
    try:
        return stored(digest)
    except ValueError:
        return None


def changes(before: str, after: str) -> Difference | None:
    """What differs between two stored sets ("" is no set); None where one cannot be read."""
    old, new = readable(before) if before else None, readable(after)
    return None if new is None or (before and old is None) else _difference(before, after, old, new)


@st.cache_resource(show_spinner=False, max_entries=64)
def _difference(before: str, after: str, _old: PolicySet | None, _new: PolicySet) -> Difference:
    return difference(_old, _new)


def drift(now_in_force: PolicySet | None, found: Files) -> Difference | None:
    """What the files hold that is not in force; None where they cannot be loaded or nothing is in force."""
    if found.set is None or now_in_force is None:
        return None
    return _difference(now_in_force.digest, found.set.digest, now_in_force, found.set)


def touched(what: Difference) -> list[str]:
    """The ids of the policies that a difference is about."""
    return [*what.added, *(change.policy for change in what.changed), *what.removed]


def spelled(policy: Policy | None) -> str:
    """A policy as YAML, as it is kept: defaults and comments left out."""
    if policy is None:
        return ""
    return yaml.dump(_broken(policy.document()), Dumper=_Readable, sort_keys=False, allow_unicode=True, width=88)


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, without quotes."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)
# Outside of quotes: CEL reads a line's end as a space.
_OPERATOR = re.compile(r"""("[^"]*"|'[^']*')|\s+(&&|\|\|)\s+""")


def _broken(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same policy, its conditions in lines of one operand."""

    def lines(condition: str) -> str:
        return _OPERATOR.sub(lambda found: found[1] or f"\n{found[2]} ", condition.strip())

    shown = dict(document)
    shown["when"] = lines(shown["when"])
    if "exceptions" in shown:
        shown["exceptions"] = [one | {"when": lines(one["when"])} for one in shown["exceptions"]]
    return shown


def differing(before: Policy | None, after: Policy | None, around: int = 3) -> list[Line]:
    """What differs between two versions of a policy, line by line, with some lines around it."""
    return differing_text(spelled(before), spelled(after), around)


def differing_text(before: str, after: str, around: int = 3) -> list[Line]:
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    shown = 0
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(around):
        if group[0][3] > shown:
            lines.append(_gap(group[0][3] - shown))
        for kind, a, b, c, d in group:
            if kind == "equal":
                lines += [Line(text=text, n=str(c + at + 1)) for at, text in enumerate(new[c:d])]
            else:
                lines += [Line(text=text, kind="del") for text in old[a:b]]
                lines += [Line(text=text, n=str(c + at + 1), kind="add") for at, text in enumerate(new[c:d])]
        shown = group[-1][4]
    if lines and shown < len(new):
        lines.append(_gap(len(new) - shown))
    return lines


def _gap(number: int) -> Line:
    return Line(text=f"{words.count(number, 'line')} the same", kind="gap")


# Tests


def trials_of(policy_set: PolicySet, policy: str = "") -> list[Trial]:
    """What the set's tests say (of one policy), run once a set."""
    return [one for one in _tests(session.source(), policy_set.digest, policy_set) if policy in ("", one.policy)]


def seen_by_tests(policy_set: PolicySet, policy: str) -> Coverage | None:
    """What the tests of a policy have seen of its condition; None where it has no test, or is retired."""
    results = trials_of(policy_set, policy)
    return next(iter(coverage(policy_set, results, only=policy)), None) if results else None


@st.cache_resource(show_spinner=False, max_entries=8)
def _tests(source: str, digest: str, _policy_set: PolicySet) -> tuple[Trial, ...]:
    application = session.application()
    made: list[Runner] = []

    def build(uses: Iterable[DetectorUse]) -> Runner:
        made.append(application.build_runner(uses, _policy_set.access, thorough=True))
        return made[-1]

    try:
        return tuple(trials(_policy_set, build, observe=True))
    finally:
        for runner in made:
            runner.close()


# Live figures


@dataclass(frozen=True, kw_only=True)
class Live:
    """A policy's figures of `DAYS` days. `flagged` also counts what it did in shadow; `days` are the last `SHOWN`;
    `calls` are those of the systems it is about."""

    calls: int = 0
    flagged: int = 0
    week: int = 0
    before: int = 0
    errors: int = 0
    excepted: int = 0
    last_at: datetime | None = None
    days: tuple[int, ...] = (0,) * SHOWN
    right: int = 0
    cases: int = 0
    seconds: int = 0

    @property
    def rate(self) -> float:
        return self.flagged / self.calls if self.calls else 0.0

    @property
    def hours_a_week(self) -> float:
        return self.seconds / 3600 / (DAYS / 7)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """`calls` were decided in `DAYS` days, by system."""

    by_policy: Mapping[str, Sequence[queries.Spoke]]
    judged: Mapping[str, queries.Judged]
    calls: Mapping[str, int]
    shadowed: Mapping[str, int]
    today: int

    def of(self, policy: Policy) -> Live:
        """The figures of one policy."""
        spoke = self.by_policy.get(policy.id, ())
        judged = self.judged.get(policy.id)
        flagged = {one.day: one.fired + one.shadow_fired for one in spoke}
        covered = [system for system in self.calls if _covers(policy, system)]
        return Live(
            calls=sum(self.calls[system] for system in covered),
            flagged=sum(flagged.values()),
            week=sum(number for day, number in flagged.items() if day > self.today - 7),
            before=sum(number for day, number in flagged.items() if self.today - 28 < day <= self.today - 7),
            errors=sum(one.errors + one.shadow_errors for one in spoke),
            excepted=sum(one.excepted for one in spoke),
            last_at=max((one.last_at for one in spoke), default=None),
            days=tuple(flagged.get(day, 0) for day in range(self.today - SHOWN + 1, self.today + 1)),
            right=judged.violations if judged else 0,
            cases=judged.cases if judged else 0,
            seconds=judged.seconds if judged else 0,
        )


def _covers(policy: Policy, system: str) -> bool:
    return any(pattern == "*" or fnmatchcase(system, pattern) for pattern in policy.applies_to.systems)


@st.cache_data(ttl=15, show_spinner=False, max_entries=64)
def _figures(source: str, visible: Systems, today: int) -> Figures:
    since = datetime.fromtimestamp((today - DAYS + 1) * 86_400, UTC)
    with session.application().database.read() as connection:
        spoke = queries.spoke(connection, visible, today - DAYS + 1)
        decided = queries.decided(connection, visible, today - DAYS + 1)
        judged = queries.judged(connection, visible, since)
    by_policy: dict[str, list[queries.Spoke]] = {}
    for one in spoke:
        by_policy.setdefault(one.policy, []).append(one)
    return Figures(
        by_policy=by_policy,
        judged=judged,
        calls={one.system: one.calls for one in decided},
        shadowed={one.system: one.shadow_calls for one in decided},
        today=today,
    )


def figures(visible: Systems) -> Figures:
    """All policies' figures, at most 15 seconds old; of the systems that the person may see."""
    today = int(session.application().clock().timestamp() // 86_400)
    return _figures(session.source(), visible, today)


# What needs somebody


def attention(
    policy: Policy,
    live: Live,
    *,
    wrong: Sequence[Problem] = (),
    failed: int = 0,
    absent: Sequence[str] = (),
    changed: str = "",
    today: datetime,
) -> tuple[str, bool]:
    """What is to be seen to about a policy, in a few words ("" for nothing), and whether it is out of the ordinary."""
    if wrong:
        return f"{words.count(len(wrong), 'mistake')} in the file", True
    if failed:
        return f"{words.count(failed, 'test')} {'fails' if failed == 1 else 'fail'}", True
    if absent and policy.status in (PolicyStatus.ENFORCE, PolicyStatus.SHADOW):
        return "Detector unavailable", True
    if live.errors and live.errors / max(1, live.calls) > 0.001:
        return "Could not judge", True
    budget = policy.budget
    if live.flagged and live.rate > budget.max_alert_rate:
        return f"Above agreed {share(budget.max_alert_rate)}", True
    if live.cases >= LEAST_VERDICTS and live.right / live.cases < budget.min_precision:
        return f"Below agreed {budget.min_precision:.0%}", True
    if live.week >= 10 and live.before and live.week > 2 * live.before / 3:
        return "Twice the usual", True
    ends = [exception.expires for exception in policy.exceptions]
    if ends and min(ends) < today.date():
        return "Exception ended", True
    if ends and min(ends) <= (today + ENDS_SOON).date():
        return (
            f"Exception ends {words.day(datetime.combine(min(ends), datetime.min.time(), today.tzinfo), today)}",
            True,
        )
    return changed, False


def needing(visible: Systems, now: datetime) -> list[tuple[Policy, str]]:
    """The policies in force that are out of the ordinary by their figures or exceptions, with what it is."""
    standing = in_force()
    if standing is None:
        return []
    live = figures(visible)
    found = [(policy, attention(policy, live.of(policy), today=now)) for policy in standing[1].policies]
    return [(policy, said) for policy, (said, odd) in found if odd]


def share(value: float) -> str:
    """'2%' or '0.5%'."""
    return f"{value:.1%}".replace(".0%", "%")


def hours(value: float) -> str:
    """'4.0', or '< 0.1'."""
    return f"{value:.1f}" if value >= 0.1 else "< 0.1"


def unavailable(policy: Policy, absent: Collection[str]) -> list[str]:
    """The detectors that a policy reads and that are among those that do not work here, by name."""
    return sorted({detect.use for detect in policy.detectors.values()} & set(absent))


# Versions


@dataclass(frozen=True, kw_only=True)
class Version:
    """A policy as a set brought it into force; `before` is what it was, None where it is new."""

    rollout: Rollout
    policy: Policy | None
    before: Policy | None
    what: str
    approved_by: str


def versions(history: Sequence[Rollout], policy: str) -> list[Version]:
    """The sets that changed a policy and were in force, the latest first."""
    found = []
    for one in history:
        if one.when(RolloutState.ENFORCE) is None:
            continue
        what = changes(one.against, one.digest)
        if what is None or policy not in touched(what):
            continue
        before = stored(one.against).get(policy) if one.against else None
        found.append(
            Version(
                rollout=one,
                policy=stored(one.digest).get(policy),
                before=before,
                what=_said_of(what, policy),
                approved_by=by(one, RolloutState.APPROVED) if one.when(RolloutState.APPROVED) is not None else "",
            )
        )
    return found


def _said_of(what: Difference, policy: str) -> str:
    """'New', 'Removed', or the fields that changed: 'Threshold, Tests'."""
    if policy in what.added:
        return "New"
    if policy in what.removed:
        return "Removed"
    fields = [field.path for change in what.changed if change.policy == policy for field in change.fields]
    paths = [field.partition("[")[0] for field in fields]
    spoken = (words.condition(path) if path.startswith("params.") else words.plain(path) for path in paths)
    said = list(dict.fromkeys(spoken))
    return ", ".join(said[:4]) + (" ..." if len(said) > 4 else "")


# Rollouts


def sentence(before: str, after: str) -> str:
    """What differs between two stored sets, in words: of one policy by its title and fields, else how many policies."""
    what = changes(before, after)
    if what is None:
        return "cannot be read by this version"
    about = touched(what)
    if len(about) != 1 or what.files or not before:
        return what.words
    found = stored(after).get(about[0]) or stored(before).get(about[0])
    assert found is not None, "a difference is about a policy of either set"
    return f"{found.title} ({_said_of(what, about[0]).lower()})"


def state_words(found: Rollout) -> str:
    return {
        RolloutState.PROPOSED: "Waits for approval",
        RolloutState.APPROVED: "Approved",
        RolloutState.REJECTED: "Returned",
        RolloutState.SHADOW: "In shadow",
        RolloutState.ENFORCE: "In force",
        RolloutState.RETIRED: "Retired",
    }[found.state]


def by(found: Rollout, state: RolloutState) -> str:
    """Who made it so; "" where nobody did."""
    return next((step.by_name for step in reversed(found.steps) if step.state is state), "")


def note(found: Rollout, state: RolloutState) -> str:
    return next((step.note for step in reversed(found.steps) if step.state is state), "")
