"""Checks recorded calls: detectors run outside any transaction, then all that came of it commits together.

Nothing goes by unseen: a call that cannot be checked is `failed` and has a case, like one that a policy sends there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.decisions import Action, Decision, Severity
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.domain.steps import NOBODY, Around

Redact = Callable[[str, Sequence[Finding]], str]

ATTEMPTS = 3
UNCHECKED_QUEUE = "security"
NOTHING = Examination()


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedCall:
    """A call that waits for its decision. `call` is None when its content cannot be read (`unreadable` says why).

    `message_ids` says which stored message each of `parts` is; `known` holds what was found in them before. `around`
    are the other calls of its trace and session, where a policy in force reads any.
    """

    id: int
    revision: int
    system_id: int
    system: str
    call: Call | None
    parts: Sequence[Part] = ()
    message_ids: Sequence[int] = ()
    known: Mapping[Content, Examination] = field(default_factory=dict)
    unreadable: str = ""
    around: Around = NOBODY


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminedMessage:
    message_id: int
    examination: Examination
    redacted: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedCall:
    """What is to be written about one call. `failure` is "" or why it could not be checked; `skipped` are the detectors
    that did not look at all of it, as they were told.

    `excerpt` and `error` (what the call itself failed with) are redacted.
    """

    loaded: LoadedCall
    decision: Decision
    findings: Sequence[Finding] = ()
    failures: Sequence[DetectorFailure] = ()
    call_examination: Examination = NOTHING
    messages: Sequence[ExaminedMessage] = ()
    error: str = ""
    excerpt: str = ""
    failure: str = ""
    skipped: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What stands in the record after a check: also when somebody else decided first."""

    call_id: int
    decision_id: int
    case_id: int | None


class CheckStore(Protocol):
    """Where calls come from and decisions go.

    `save` skips what was decided meanwhile (one decision a revision) and gives what it wrote; `standing` gives what
    was decided before, by whomever.
    """

    def load(self, call_ids: Sequence[int], *, decided: bool = False) -> Sequence[LoadedCall]:
        """Those that wait for a decision; with `decided` all."""

    def save(self, checked: Sequence[CheckedCall], *, job: int | None = None) -> Sequence[Written]: ...

    def standing(self, call_ids: Sequence[int]) -> Sequence[Written]: ...


class Checked(Protocol):
    """What `engine.check.Checker.check` gives."""

    @property
    def examinations(self) -> Mapping[Content, Examination]: ...

    @property
    def call_examination(self) -> Examination: ...

    @property
    def findings(self) -> Sequence[Finding]: ...

    @property
    def failures(self) -> Sequence[DetectorFailure]: ...

    @property
    def decision(self) -> Decision: ...

    @property
    def skipped(self) -> Sequence[str]: ...

    @property
    def around(self) -> Mapping[Any, tuple[Content, Examination]]: ...


class Checker(Protocol):
    def check_many(
        self, calls: Sequence[tuple[Call, Mapping[Content, Examination]]], around: Sequence[Around] = ...
    ) -> Sequence[Checked]: ...


class CheckService:
    """Detectors and policies over recorded calls. `policy_set` is the digest of the set that decides."""

    def __init__(
        self, store: CheckStore, checker: Checker, redact: Redact, redact_text: Callable[[str], str], *, policy_set: str
    ) -> None:
        """`redact_text` examines and redacts a text that is no part of a call's content."""
        self._store = store
        self._checker = checker
        self._redact = redact
        self._redact_text = redact_text
        self._policy_set = policy_set

    def run(
        self,
        call_ids: Sequence[int],
        *,
        job: int | None = None,
        attempt: int = 1,
        failed: Callable[[int, Exception], None] = lambda _id, _error: None,
    ) -> Sequence[Written]:
        """Checks the calls that still wait, and gives what stands of all; `failed` hears of each that broke off.

        `attempt` beyond `ATTEMPTS` means that a process died over these calls: each goes to a person unexamined.
        """
        loaded = self._store.load(call_ids)
        outcomes = {} if attempt > ATTEMPTS else self._examine(loaded)
        checked = []
        for one in loaded:
            outcome = outcomes.get(one.id)
            if outcome is None:
                why = one.unreadable or "The checking process ended over it more than once."
                checked.append(self._unchecked(one, why))
                continue
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                checked.append(self._conclude(one, outcome))
            except Exception as error:
                failed(one.id, error)
                checked.append(self._unchecked(one, f"The check broke off ({type(error).__name__})."))
        written = list(self._store.save(checked, job=job))
        decided = {item.call_id for item in written}
        return written + list(self._store.standing([number for number in call_ids if number not in decided]))

    def _examine(self, loaded: Sequence[LoadedCall]) -> dict[int, Checked | Exception]:
        """What the check of each readable call came to: all together, and each alone if that broke off."""
        readable = [(one.id, one.call, one.known, one.around) for one in loaded if one.call is not None]
        try:
            calls = [(call, known) for _, call, known, _ in readable]
            outcomes = self._checker.check_many(calls, [around for *_, around in readable])
            return {number: outcome for (number, *_), outcome in zip(readable, outcomes, strict=True)}
        except Exception:  # of one call: the others are none the worse for it
            return {number: self._alone(call, known, around) for number, call, known, around in readable}

    def _alone(self, call: Call, known: Mapping[Content, Examination], around: Around) -> Checked | Exception:
        try:
            return self._checker.check_many([(call, known)], [around])[0]
        except Exception as error:
            return error

    def again(self, call_id: int) -> None:
        """Has a call checked with what is known now, also if it was decided before; nothing is written."""
        self._examine(self._store.load([call_id], decided=True))

    def _conclude(self, loaded: LoadedCall, outcome: Checked) -> CheckedCall:
        assert loaded.call is not None
        call = loaded.call
        messages = []
        done: set[int] = set()
        redacted: dict[Content, str] = {}
        for part, message_id in zip(loaded.parts, loaded.message_ids, strict=True):
            content = part.content
            if message_id in done or content in loaded.known:
                continue
            done.add(message_id)
            examination = outcome.examinations[content]
            text = redacted[content] = self._redact(content.text, examination.findings)
            messages.append(ExaminedMessage(message_id=message_id, examination=examination, redacted=text))
        for message_id, (content, examination) in outcome.around.items():
            if message_id not in done:
                done.add(message_id)
                text = self._redact(content.text, examination.findings)
                messages.append(ExaminedMessage(message_id=message_id, examination=examination, redacted=text))
        return CheckedCall(
            loaded=loaded,
            decision=outcome.decision,
            findings=outcome.findings,
            failures=outcome.failures,
            skipped=outcome.skipped,
            call_examination=outcome.call_examination,
            messages=messages,
            error=self._redact_text(call.error) if call.error else "",
            excerpt=self._excerpt(loaded, outcome, redacted) if outcome.decision.queue else "",
        )

    def _excerpt(self, loaded: LoadedCall, outcome: Checked, redacted: Mapping[Content, str]) -> str:
        """The redacted text around what made the case: of the first part with a finding that a policy acted on."""
        acted = [index for policy in outcome.decision.policies for index in policy.findings]
        findings = [outcome.findings[index] for index in acted] or list(outcome.findings)
        for finding in findings:
            for part in loaded.parts:
                if (part.kind, part.index) == (finding.part, finding.index):
                    return self._around(part, finding, outcome.examinations.get(part.content), loaded)
        answer = next((part for part in reversed(loaded.parts) if part.kind == "output"), None)
        if answer is None:
            return ""
        return redacted.get(answer.content) or self._redact_known(answer.content, loaded)

    def _around(self, part: Part, finding: Finding, examination: Examination | None, loaded: LoadedCall) -> str:
        """About 300 characters of the part, redacted, from a little before the finding."""
        known = examination or loaded.known.get(part.content) or NOTHING
        text = part.content.text
        before = self._redact(text[: finding.start], [f for f in known.findings if f.end <= finding.start])
        whole = self._redact(text, known.findings)
        start = max(0, len(before) - 60)
        return ("…" if start else "") + whole[start : start + 300]

    def _redact_known(self, content: Content, loaded: LoadedCall) -> str:
        return self._redact(content.text, loaded.known.get(content, NOTHING).findings)

    def _unchecked(self, loaded: LoadedCall, why: str) -> CheckedCall:
        decision = Decision(
            action=Action.ALLOW,
            queue=UNCHECKED_QUEUE,
            severity=Severity.HIGH,
            policy_set=self._policy_set,
            explanation=f"The call could not be checked. {why}",
        )
        return CheckedCall(loaded=loaded, decision=decision, failure=why)
