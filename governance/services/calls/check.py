"""Checks recorded calls: detectors run outside any transaction, then all that came of it commits together.

Nothing goes by unseen: a call that cannot be checked is `failed` and has a case, like one that a policy sends there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from governance.detectors.interface import CallSubject
from governance.detectors.runner import KnownFindings, found_before
from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.decisions import Action, Decision, PolicyScope, Severity
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.domain.steps import NOBODY, Around, OtherSteps

Redact = Callable[[str, Sequence[Finding]], str]

ATTEMPTS = 3
UNCHECKED_QUEUE = "security"
WITHHELD = "[not shown: personal data and secrets could not be looked for]"
"""In place of a text of which nobody knows what must not be shown."""
HIDES = "patterns"
"""The detector that redaction stands on: `pii` and `secrets` are packs of it."""
NOTHING = Examination()
NOTHING_FOUND: Mapping[Content, KnownFindings] = MappingProxyType({})


class Openings(Protocol):
    """A conversation's key, as far as the audit log's commitments need it (`privacy.keys.ContentKey`)."""

    def opening(self, label: str) -> bytes: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedCall:
    """A call that waits for its decision. `call` is None when its content cannot be read (`unreadable` says why).

    `message_ids` says which stored message each of `parts` is; `known` holds what was found in them before. `partly`
    holds what earlier detectors found where some have changed since; `beside` the same for the set in shadow, where
    nothing need be missing. `around` are the other calls of its trace and session, where a policy reads any. `key` is
    the conversation's, None once erased.
    """

    id: int
    revision: int
    system_id: int
    system: str
    call: Call | None
    parts: Sequence[Part] = ()
    message_ids: Sequence[int] = ()
    known: Mapping[Content, Examination] = field(default_factory=dict)
    partly: Mapping[Content, KnownFindings] = field(default_factory=dict)
    beside: Mapping[Content, KnownFindings] = field(default_factory=dict)
    unreadable: str = ""
    around: Around = NOBODY
    key: Openings | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminedMessage:
    """`redacted` is None where the text is shown as it was redacted before."""

    message_id: int
    examination: Examination
    redacted: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShadowOutcome:
    """What the set in shadow said: recorded, and acting on nothing. `messages` are what its own detectors examined."""

    decision: Decision
    findings: Sequence[Finding] = ()
    failures: Sequence[DetectorFailure] = ()
    skipped: Sequence[str] = ()
    messages: Sequence[ExaminedMessage] = ()


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
    beside: ShadowOutcome | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenDecision:
    """What stands in the record after a check: also when somebody else decided first."""

    call_id: int
    decision_id: int
    case_id: int | None


class Detectors(Protocol):
    """What runs the detectors of a set: `governance.detectors.runner.Runner`."""

    @property
    def digest(self) -> str: ...

    @property
    def units(self) -> Mapping[str, str]:
        """The version of each unit; `content_units` are those that look at contents, `call_units` at calls."""

    @property
    def content_units(self) -> Mapping[str, str]: ...

    @property
    def call_units(self) -> Mapping[str, str]: ...

    def complete(self, contents: Sequence[Content], found: Sequence[KnownFindings]) -> Sequence[Examination]: ...

    def complete_calls(
        self, subjects: Sequence[CallSubject], found: Sequence[KnownFindings]
    ) -> Sequence[Examination]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DecidingSet:
    """A policy set at work: its stored id and digest, its detectors, what checks with both, and the scopes of its
    policies: where none is about sequences, no other call is read."""

    policy_set_id: int
    digest: str
    detectors: Detectors
    checker: Checker
    scopes: frozenset[PolicyScope] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Deciding:
    """The set in force and, where there is one, the set in shadow beside it. A batch is decided by one of these."""

    enforce: DecidingSet
    shadow: DecidingSet | None = None


class CheckStore(Protocol):
    """Where calls come from and decisions go.

    `save` skips what was decided meanwhile (one decision a revision) and gives what it wrote; `standing` gives what
    was decided before, by whomever.
    """

    def load(self, call_ids: Sequence[int], sets: Deciding, *, decided: bool = False) -> Sequence[LoadedCall]:
        """Those that wait for a decision; with `decided` all."""

    def save(
        self, checked: Sequence[CheckedCall], sets: Deciding, *, job: int | None = None
    ) -> Sequence[WrittenDecision]: ...

    def standing(self, call_ids: Sequence[int]) -> Sequence[WrittenDecision]: ...


class Checked(Protocol):
    """What `engine.check.Checker.check` gives."""

    @property
    def parts(self) -> Sequence[Part]: ...

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

    @property
    def sequence(self) -> OtherSteps: ...


class Checker(Protocol):
    def check_many(
        self, calls: Sequence[tuple[Call, Mapping[Content, Examination]]], around: Sequence[Around] = ...
    ) -> Sequence[Checked]: ...

    def conclude(
        self,
        call: Call,
        parts: Sequence[Part],
        examinations: Mapping[Content, Examination],
        whole: Examination,
        sequence: OtherSteps = ...,
    ) -> Checked: ...


class CheckService:
    """Detectors and policies over recorded calls. `sets` says, before each batch, which sets decide now."""

    def __init__(
        self, store: CheckStore, sets: Callable[[], Deciding], redact: Redact, redact_text: Callable[[str], str]
    ) -> None:
        """`redact_text` examines and redacts a text that is no part of a call's content."""
        self._store = store
        self._sets = sets
        self._redact = redact
        self._redact_text = redact_text

    def run(
        self,
        call_ids: Sequence[int],
        *,
        job: int | None = None,
        attempt: int = 1,
        failed: Callable[[int, Exception], None] = lambda _id, _error: None,
    ) -> Sequence[WrittenDecision]:
        """Checks the calls that still wait, and gives what stands of all; `failed` hears of each that broke off.

        `attempt` beyond `ATTEMPTS` means that a process died over these calls: each goes to a person unexamined.
        """
        sets = self._sets()
        loaded = self._store.load(call_ids, sets)
        if attempt <= ATTEMPTS:
            loaded = self._completed(loaded, sets.enforce)
        outcomes = {} if attempt > ATTEMPTS else self._examine(loaded, sets.enforce)
        beside = self._beside(loaded, outcomes, sets)
        checked = []
        for one in loaded:
            outcome = outcomes.get(one.id)
            if outcome is None:
                why = one.unreadable or "The checking process ended over it more than once."
                checked.append(self._unchecked(one, why, sets.enforce))
                continue
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                checked.append(replace(self._conclude(one, outcome), beside=beside.get(one.id)))
            except Exception as error:
                failed(one.id, error)
                checked.append(self._unchecked(one, f"The check broke off ({type(error).__name__}).", sets.enforce))
        written = list(self._store.save(checked, sets, job=job))
        decided = {item.call_id for item in written}
        return written + list(self._store.standing([number for number in call_ids if number not in decided]))

    def _completed(self, loaded: Sequence[LoadedCall], by: DecidingSet) -> Sequence[LoadedCall]:
        """The calls, with what is known in part made whole: only detectors that have changed look at it."""
        wanted = {content: found for one in loaded for content, found in one.partly.items()}
        if not wanted:
            return loaded
        try:
            made = dict(zip(wanted, by.detectors.complete(tuple(wanted), tuple(wanted.values())), strict=True))
        except Exception:  # then it is examined like what nobody knows, where each call stands alone
            return [replace(one, partly=NOTHING_FOUND) for one in loaded]
        return [
            replace(one, known={**one.known, **{content: made[content] for content in one.partly}})
            if one.partly
            else one
            for one in loaded
        ]

    def _examine(self, loaded: Sequence[LoadedCall], by: DecidingSet) -> dict[int, Checked | Exception]:
        """What the check of each readable call came to: all together, and each alone if that broke off."""
        readable = [(one.id, one.call, one.known, one.around) for one in loaded if one.call is not None]
        try:
            calls = [(call, known) for _, call, known, _ in readable]
            outcomes = by.checker.check_many(calls, [around for *_, around in readable])
            return {number: outcome for (number, *_), outcome in zip(readable, outcomes, strict=True)}
        except Exception:  # of one call: the others are none the worse for it
            return {number: _alone(by.checker, call, known, around) for number, call, known, around in readable}

    def _beside(
        self, loaded: Sequence[LoadedCall], outcomes: Mapping[int, Checked | Exception], sets: Deciding
    ) -> dict[int, ShadowOutcome]:
        """What the set in shadow says of each checked call. What it has in common with the set in force is read from
        there; its own detectors look once at each content. Whatever goes wrong in it is its own outcome."""
        shadow = sets.shadow
        if shadow is None:
            return {}
        ready = [
            (one, one.call, outcome)
            for one in loaded
            if one.call is not None and not isinstance(outcome := outcomes.get(one.id), Exception | None)
        ]
        try:
            texts, wholes = _shadow_examinations(ready, sets.enforce, shadow)
        except Exception as error:
            return {one.id: _broken(shadow, error) for one, _, _ in ready}
        found: dict[int, ShadowOutcome] = {}
        for one, call, outcome in ready:
            try:
                said = shadow.checker.conclude(call, outcome.parts, texts, wholes[one.id], outcome.sequence)
                found[one.id] = ShadowOutcome(
                    decision=said.decision,
                    findings=said.findings,
                    failures=said.failures,
                    skipped=said.skipped,
                    messages=_own_messages(one, texts, sets.enforce, shadow),
                )
            except Exception as error:
                found[one.id] = _broken(shadow, error)
        return found

    def again(self, call_id: int) -> None:
        """Has a call checked with what is known now, also if it was decided before; nothing is written."""
        sets = self._sets()
        self._examine(self._store.load([call_id], sets, decided=True), sets.enforce)

    def anew(self, call_ids: Sequence[int]) -> dict[int, Checked]:
        """What the set says of calls that were decided before: only what has changed since is looked at again, and
        nothing is written. Calls that cannot be read or checked are left out."""
        sets = self._sets()
        loaded = self._completed(self._store.load(call_ids, sets, decided=True), sets.enforce)
        outcomes = self._examine(loaded, sets.enforce)
        return {number: one for number, one in outcomes.items() if not isinstance(one, Exception)}

    def _conclude(self, loaded: LoadedCall, outcome: Checked) -> CheckedCall:
        assert loaded.call is not None
        call = loaded.call
        messages = []
        done: set[int] = set()
        redacted: dict[Content, str] = {}
        for part, message_id in zip(loaded.parts, loaded.message_ids, strict=True):
            content = part.content
            partly = loaded.partly.get(content)
            if message_id in done or (content in loaded.known and partly is None):
                continue
            examination = outcome.examinations.get(content) or loaded.known[content]
            if partly is not None and not partly.missing and not examination.failures:
                continue  # nothing ran: earlier examinations together say it all
            done.add(message_id)
            text = redacted[content] = self._shown(content.text, examination)
            messages.append(ExaminedMessage(message_id=message_id, examination=examination, redacted=text))
        for message_id, (content, examination) in outcome.around.items():
            if message_id not in done:
                done.add(message_id)
                text = self._shown(content.text, examination)
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
        if unseen(known):
            return WITHHELD
        before = self._redact(text[: finding.start], [f for f in known.findings if f.end <= finding.start])
        whole = self._redact(text, known.findings)
        start = max(0, len(before) - 60)
        return ("…" if start else "") + whole[start : start + 300]

    def _redact_known(self, content: Content, loaded: LoadedCall) -> str:
        return self._shown(content.text, loaded.known.get(content, NOTHING))

    def _shown(self, text: str, examination: Examination) -> str:
        return WITHHELD if unseen(examination) else self._redact(text, examination.findings)

    @staticmethod
    def _unchecked(loaded: LoadedCall, why: str, by: DecidingSet) -> CheckedCall:
        decision = Decision(
            action=Action.ALLOW,
            queue=UNCHECKED_QUEUE,
            severity=Severity.HIGH,
            policy_set=by.digest,
            explanation=f"The call could not be checked. {why}",
        )
        return CheckedCall(loaded=loaded, decision=decision, failure=why)


def unseen(examination: Examination) -> bool:
    """Whether what redaction stands on did not look."""
    return any(failure.detector == HIDES for failure in examination.failures)


def _alone(checker: Checker, call: Call, known: Mapping[Content, Examination], around: Around) -> Checked | Exception:
    try:
        return checker.check_many([(call, known)], [around])[0]
    except Exception as error:
        return error


def _shadow_examinations(
    ready: Sequence[tuple[LoadedCall, Call, Checked]], enforce: DecidingSet, shadow: DecidingSet
) -> tuple[Mapping[Content, Examination], Mapping[int, Examination]]:
    """What the shadow's detectors say of each content and of each call as a whole."""
    contents: dict[Content, Examination] = {}
    before: dict[Content, KnownFindings] = {}
    for one, _, outcome in ready:
        before.update(one.beside)
        for part in outcome.parts:
            if part.content not in contents:
                contents[part.content] = outcome.examinations.get(part.content) or one.known[part.content]
    wholes = {one.id: outcome.call_examination for one, _, outcome in ready}
    ours, theirs = shadow.detectors, enforce.detectors
    if ours.digest == theirs.digest:
        return contents, wholes
    shared = {unit: version for unit, version in ours.units.items() if theirs.units.get(unit) == version}

    def shared_with(
        units: Mapping[str, str], examination: Examination, earlier: KnownFindings | None = None
    ) -> KnownFindings:
        # A detector that failed or did not look is not asked a second time on the shadow's behalf.
        known: list[tuple[Mapping[str, str], Examination]] = [(shared, Examination(findings=examination.findings))]
        if earlier is not None:
            rest = {unit: version for unit, version in units.items() if unit not in earlier.missing}
            known.append((rest, Examination(findings=earlier.findings)))
        return found_before(units, known)

    names = {unit.partition("/")[0] for unit in shared}

    def as_said(examination: Examination, source: Examination) -> Examination:
        failures = tuple(one for one in source.failures if one.detector in names)
        skipped = tuple(name for name in source.skipped if name in names)
        if not failures and not skipped:
            return examination
        return replace(
            examination,
            failures=tuple(dict.fromkeys((*examination.failures, *failures))),
            skipped=tuple(dict.fromkeys((*examination.skipped, *skipped))),
        )

    found = [
        shared_with(ours.content_units, examination, before.get(content)) for content, examination in contents.items()
    ]
    made = ours.complete(tuple(contents), found)
    texts = {
        content: as_said(examination, contents[content]) for content, examination in zip(contents, made, strict=True)
    }
    subjects = [
        CallSubject(call=call, parts=outcome.parts, flagged=any(texts[part.content].findings for part in outcome.parts))
        for _, call, outcome in ready
    ]
    found = [shared_with(ours.call_units, outcome.call_examination) for _, _, outcome in ready]
    whole = ours.complete_calls(subjects, found)
    return texts, {
        one.id: as_said(examination, outcome.call_examination)
        for (one, _, outcome), examination in zip(ready, whole, strict=True)
    }


def _broken(shadow: DecidingSet, error: Exception) -> ShadowOutcome:
    decision = Decision(
        action=Action.ALLOW,
        policy_set=shadow.digest,
        explanation=f"The set in shadow could not decide ({type(error).__name__}).",
    )
    return ShadowOutcome(decision=decision)


def _own_messages(
    loaded: LoadedCall, texts: Mapping[Content, Examination], enforce: DecidingSet, shadow: DecidingSet
) -> Sequence[ExaminedMessage]:
    if shadow.detectors.content_units.items() <= enforce.detectors.content_units.items():
        return ()
    messages = {}
    for part, message_id in zip(loaded.parts, loaded.message_ids, strict=True):
        before = loaded.beside.get(part.content)
        if message_id not in messages and (before is None or before.missing):
            # Not redacted: a text is shown as the detectors in force redact it.
            messages[message_id] = ExaminedMessage(
                message_id=message_id, examination=texts[part.content], redacted=None
            )
    return tuple(messages.values())
