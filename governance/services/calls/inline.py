"""An inline check: the call is recorded, checked at once and decided, and only then answered.

It goes the way of every other call, so it has the same record, the same audit events and the same case. A worker may
pick the call up at the same moment: there is one decision, and both see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from governance.domain.calls import Call, ContentEvent, Message
from governance.domain.content import Content, Part
from governance.domain.findings import Examination
from governance.domain.steps import ALONE, Around, OtherSteps
from governance.engine.act import Redact, consequence
from governance.engine.check import Checked, Checker
from governance.errors import Overloaded
from governance.services.calls.check import CheckService, CheckStore, Deciding
from governance.services.calls.in_force import AtWork


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCall:
    """A batch of one."""

    calls: Sequence[Call]
    content_events: Sequence[ContentEvent] = ()


class CallReceipt(Protocol):
    @property
    def call_ids(self) -> Sequence[int]: ...


class Records(Protocol):
    def record(self, batch: OneCall) -> CallReceipt: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class InlineCheck:
    """`decision` is the document of what was committed (docs/api.md); `messages` are the call's, without what a policy
    has redacted; `safe_response` is what to say instead, or None."""

    call_id: int
    decision: Mapping[str, Any]
    case_id: int | None
    messages: Sequence[Message]
    safe_response: str | None


class _Listening:
    """A checker that remembers what it said last."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.said: Checked | None = None

    def check_many(
        self, calls: Sequence[tuple[Call, Mapping[Content, Examination]]], around: Sequence[Around] = ()
    ) -> Sequence[Checked]:
        said = self._checker.check_many(calls, around)
        self.said = said[-1] if said else None
        return said

    def conclude(
        self,
        call: Call,
        parts: Sequence[Part],
        examinations: Mapping[Content, Examination],
        whole: Examination,
        sequence: OtherSteps = ALONE,
    ) -> Checked:
        return self._checker.conclude(call, parts, examinations, whole, sequence)


class InlineService:
    """Thread-safe. `new_store` makes a store for one check, `sets` says which sets decide now; `read_call` gives a
    call's document by its id."""

    def __init__(
        self,
        records: Records,
        new_store: Callable[[], CheckStore],
        sets: Callable[[], AtWork],
        redact: Redact,
        redact_text: Callable[[str], str],
        read_call: Callable[[int], Mapping[str, Any]],
    ) -> None:
        self._records = records
        self._new_store = new_store
        self._sets = sets
        self._redact = redact
        self._redact_text = redact_text
        self._read_call = read_call

    def check(self, call: Call) -> InlineCheck:
        """Blocks until the decision is committed. Raises `Overloaded` when the call could not be recorded."""
        (call_id,) = self._records.record(OneCall(calls=(call,))).call_ids
        sets = self._sets()
        listening = _Listening(sets.enforce.checker)
        deciding = Deciding(enforce=sets.enforce.deciding(listening), shadow=sets.beside)
        service = CheckService(self._new_store(), lambda: deciding, self._redact, self._redact_text)
        service.run([call_id])
        document = self._read_call(call_id)
        if not document["decisions"]:
            raise Overloaded("The check was not completed; the call is recorded.", advice="Ask again.")
        decision = document["decisions"][0]
        by, said = sets.enforce, listening.said
        if said is None or decision["policy_set"] != by.digest:
            # A worker was faster, perhaps with a set that came into force this moment: its decision stands.
            now = self._sets().enforce
            by = now if now.digest == decision["policy_set"] else by
            listening = _Listening(by.checker)
            again = Deciding(enforce=by.deciding(listening))
            CheckService(self._new_store(), lambda: again, self._redact, self._redact_text).again(call_id)
            said = listening.said or by.checker.check(call)
        follows = consequence(said.decision, by.policy_set, call, said.parts, said.findings, self._redact)
        return InlineCheck(
            call_id=call_id,
            decision=decision,
            case_id=max(document["case_ids"], default=None),
            messages=[*call.input, *call.output] if follows.redacted is None else follows.redacted,
            safe_response=follows.safe_response,
        )
