"""`governance check`: a text or a call through detectors and policies, without storing it. Needs no database."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.output import JsonFlag, dump, emit, plain
from governance.domain.calls import Call
from governance.domain.content import PartKind
from governance.domain.decisions import Outcome, PolicyOutcome, PolicyStatus
from governance.domain.findings import Finding
from governance.domain.steps import NOBODY, Around
from governance.engine.check import NOTHING_KNOWN, Checked, Checker, around_of
from governance.engine.decide import DecisionEngine
from governance.engine.request import DIRECTIONS, call_from, object_of, steps_from
from governance.errors import BadInput, GovernanceError, TooLarge
from governance.policy.load import load

app = typer.Typer(add_completion=False, rich_markup_mode=None)

CHUNK = 1 << 18
LONGEST_LINE = 20 * 1024 * 1024
"""As the receiver's limit of a body, in bytes."""
SYSTEM = "check"
"""The system of a call that names none."""


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="A text or a JSON call; - is standard input.")] = "-",
    direction: Annotated[str, typer.Option(help="What a text is: input or output.")] = "input",
    system: Annotated[str, typer.Option(help="The system that a call without one belongs to.")] = SYSTEM,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line in, one out, in order.")] = False,
    policies: Annotated[Path | None, typer.Option(help="Folder of policies, instead of GOVERNANCE_POLICIES.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Check a text or a call without storing it. Exit 1 when anything is flagged."""
    if direction not in DIRECTIONS:
        raise BadInput(f"--direction is input or output, not {direction[:40]!r}.")
    with _opened(file) as stream:
        checker = checker_of(policies or running().policies_dir)
        if jsonl:
            return _lines(stream, checker, direction, system)
        raw = stream.read(LONGEST_LINE + 1)
    if len(raw) > LONGEST_LINE:
        raise TooLarge(f"{file} is over {LONGEST_LINE // 2**20} MiB.")
    call, around = _call(raw, direction, system)
    checked = checker.check(call, around=around)
    emit(document(checked, call), lambda: _show(checked, call), as_json=as_json)
    return 1 if checked.decision.flagged else 0


def checker_of(folder: Path) -> Checker:
    """Detectors and policies of a folder."""
    policy_set = load(folder)
    return Checker(running().build_runner(policy_set.detector_uses(), policy_set.access), DecisionEngine(policy_set))


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    try:
        return Path(file).open("rb", buffering=0)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from None


def _call(raw: bytes, direction: str, system: str) -> tuple[Call, Around]:
    """A JSON object is a call, with the steps before it; everything else is a text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"This is not UTF-8 text (byte {error.start}).") from None
    if text.lstrip()[:1] == "{":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            call = call_from(value, direction=direction, system=system)
            return call, around_of(steps_from(value, call))
    return call_from({"text": text}, direction=direction, system=system), NOBODY


def _lines(stream: IO[bytes], checker: Checker, direction: str, system: str) -> int:
    """Answers each line; what has arrived together is answered together, so that a pipe never waits for more."""
    flagged = bad = False
    number = asked_of = 0
    out = sys.stdout
    for batch in _batches(stream):
        asked: list[_Asked] = []
        for line in batch:
            number += 1
            if line.strip():
                asked.append(_asked(number, line, direction, system))
        asked_of += len(asked)
        outcomes = iter(_checked([(one.call, one.around) for one in asked if one.call is not None], checker))
        answers: list[str] = []
        for one in asked:
            outcome = GovernanceError(one.error) if one.call is None else next(outcomes)
            if isinstance(outcome, GovernanceError):
                bad = True
                answers.append(_dumped({"id": one.id, "line": one.number, "error": str(outcome)}))
                out.write("".join(answers))
                answers.clear()
                out.flush()
                sys.stderr.write(f"governance: line {one.number}: {plain(outcome)}\n")
                continue
            flagged = flagged or outcome.decision.flagged
            answers.append(_dumped({"id": one.id, **brief(outcome)}))
        out.write("".join(answers))
        out.flush()
    if not asked_of:
        raise BadInput("There is nothing to check: no line came.", advice="Give one JSON object a line.")
    return 2 if bad else 1 if flagged else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A line, as a call or with why it is none."""

    number: int
    id: object
    call: Call | None
    around: Around = NOBODY
    error: str = ""


def _asked(number: int, line: bytes, direction: str, system: str) -> _Asked:
    identifier: object = None
    try:
        value = _object(line)
        identifier = value.get("id")
        call = call_from(value, direction=direction, system=system)
        return _Asked(number, identifier, call, around_of(steps_from(value, call)))
    except GovernanceError as error:
        return _Asked(number, identifier, None, error=str(error))


def _checked(calls: list[tuple[Call, Around]], checker: Checker) -> list[Checked | GovernanceError]:
    """All together; each alone where one of them breaks off."""
    try:
        return [*checker.check_many([(call, NOTHING_KNOWN) for call, _ in calls], [around for _, around in calls])]
    except GovernanceError:
        found: list[Checked | GovernanceError] = []
        for call, around in calls:
            try:
                found.append(checker.check(call, around=around))
            except GovernanceError as error:
                found.append(error)
        return found


def _batches(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """The whole lines of each read. A line over the limit is cut off there, and is then no JSON."""
    kept: list[bytes] = []
    length = 0
    while chunk := stream.read(CHUNK):
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join([*kept, lines[0]])
            kept, length = [], 0
            yield lines
        if rest and length <= LONGEST_LINE:
            kept.append(rest)
            length += len(rest)
    if kept:
        yield [b"".join(kept)]


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise TooLarge(f"the line is over {LONGEST_LINE // 2**20} MiB.")
    return object_of(line)


_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _dumped(value: dict[str, Any]) -> str:
    # ASCII: lone surrogates of hostile texts stay escaped, whatever the terminal's encoding.
    return _encode(value) + "\n"


def brief(checked: Checked) -> dict[str, Any]:
    """The answer of the batch form: `policies` are the ids of those that act, `shadow` of those that would."""
    decision = checked.decision
    if not decision.policies and not checked.findings and not checked.skipped:
        return {"action": decision.action.value, "queue": decision.queue, "policies": [], "findings": []}
    answer: dict[str, Any] = {
        "action": decision.action.value,
        "queue": decision.queue,
        "policies": [outcome.policy for outcome in decision.policies if acts(outcome)],
        "findings": [_finding(finding) for finding in checked.findings],
    }
    shadow = [outcome.policy for outcome in decision.policies if outcome.status is PolicyStatus.SHADOW]
    if shadow:
        answer["shadow"] = shadow
    if checked.failures:
        answer["failures"] = [{"detector": one.detector, "reason": one.reason} for one in checked.failures]
    if checked.skipped:
        answer["skipped"] = list(checked.skipped)
    return answer


def acts(outcome: PolicyOutcome) -> bool:
    """Whether a policy moves the decision."""
    return outcome.status is PolicyStatus.ENFORCE and outcome.outcome is not Outcome.EXCEPTED


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "detector": finding.detector,
        "category": finding.category,
        "score": finding.score,
        "start": finding.start,
        "end": finding.end,
        "rule": finding.rule,
        "pack": finding.pack,
        "label": finding.label,
        "part": finding.part.value if finding.part else None,
        "index": finding.index,
    }


def document(checked: Checked, call: Call) -> dict[str, Any]:
    """The whole answer, as `--json` prints it."""
    decision = checked.decision
    return {
        "action": decision.action.value,
        "queue": decision.queue,
        "severity": decision.severity.value if decision.severity else None,
        "flagged": decision.flagged,
        "explanation": decision.explanation,
        "policies": [
            {
                "policy": outcome.policy,
                "title": outcome.title,
                "outcome": outcome.outcome.value,
                "status": outcome.status.value,
                "action": outcome.action.value,
                "queue": outcome.queue,
                "severity": outcome.severity.value,
                "explanation": outcome.explanation,
                "findings": list(outcome.findings),
                "controls": {name: list(ids) for name, ids in outcome.controls.items()},
                "values": dict(outcome.values),
            }
            for outcome in decision.policies
        ],
        "findings": [_finding(finding) for finding in checked.findings],
        "failures": [{"detector": one.detector, "reason": one.reason} for one in checked.failures],
        "skipped": list(checked.skipped),
        "policy_set": decision.policy_set,
    }


def _show(checked: Checked, call: Call) -> None:
    decision = checked.decision
    asked = f"; a person looks at it in the queue {decision.queue}" if decision.queue else ""
    typer.echo(f"{decision.action.value}{asked}")
    if not decision.policies:
        typer.echo("No policy has anything to say.")
    for outcome in decision.policies:
        mark = outcome.status.value if outcome.status is PolicyStatus.SHADOW else outcome.outcome.value
        typer.echo(f"\n{outcome.policy} ({mark}, {outcome.severity.value}, {outcome.action.value})")
        typer.echo(f"  {plain(outcome.explanation)}")
        for index in outcome.findings:
            finding = checked.findings[index]
            typer.echo(f"  - {_where(finding)}: {finding.rule} ({finding.score:.2f}) {_excerpt(checked, finding)}")
    for failure in checked.failures:
        typer.echo(f"\nThe detector {failure.detector} did not run: {plain(failure.reason)}")
    for name in checked.skipped:
        typer.echo(f"\nThe detector {name} did not look at all of it: it is told to look at what others flag.")


def _where(finding: Finding) -> str:
    if finding.part is None:
        return "the call"
    return f"{finding.part.value} {finding.index + 1}, {finding.start} to {finding.end}"


def _excerpt(checked: Checked, finding: Finding) -> str:
    """The place itself; the user gave the text, so nothing is hidden from them, but a terminal must not obey it."""
    if finding.part is None or finding.end <= finding.start:
        return ""
    text = next(
        (
            part.content.text
            for part in checked.parts
            if part.kind is PartKind(finding.part) and part.index == finding.index
        ),
        "",
    )
    shown = " ".join(text[finding.start : finding.end].split())
    return dump(shown if len(shown) <= 100 else f"{shown[:99]}…")
