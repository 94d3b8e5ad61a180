"""Users' reports of wrong answers: taken in with a receipt, reviewed as cases, answered by reference.

A report may come before its call was recorded. It is accepted all the same, its case stands without a call, and the
call is looked for again when the case is claimed. The same report sent again changes nothing and gets the same
reference and receipt: the receipt is derived from the report under a key of this installation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.domain.calls import UNKNOWN_SYSTEM
from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, Permission, Scope
from governance.domain.reports import Report, ReportState
from governance.domain.review import CaseKind, CaseState
from governance.errors import BadInput, Conflict, NotFound
from governance.review.reporting import state_of
from governance.review.routing import draft_for_report
from governance.services.access_log import AccessLog
from governance.services.authorise import Authority
from governance.services.review.ports import ReportRecord, Transaction

LENGTHS = {"why": 10_000, "claim": 10_000, "correct_source": 2_000, "contact": 300}
_TRACE = re.compile(r"[0-9a-f]{32}")
_ATTEMPTS = 5


class Cipher(Protocol):
    """One report's key (`privacy.keys.ContentKey`)."""

    def seal(self, plain: bytes, bound_to: bytes) -> bytes: ...

    def open(self, sealed: bytes, bound_to: bytes) -> bytes: ...


class Ciphers(Protocol):
    """Makes and opens such keys (`privacy.keys.KeyRing`)."""

    def create(self) -> tuple[Cipher, bytes]: ...

    def unwrap(self, wrapped: bytes) -> Cipher: ...

    def digest(self, purpose: bytes, plain: bytes) -> bytes: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReport:
    """What a user says. One of `trace_id` (32 hex digits) and `call_id` says of what; `acted_upon` None is unknown."""

    why: str
    trace_id: str = ""
    call_id: int | None = None
    claim: str = ""
    correct_source: str = ""
    acted_upon: bool | None = None
    contact: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportReceipt:
    """What the reporter gets: the public reference, and the receipt that opens its status without an account."""

    reference: str
    receipt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportStatus:
    """What the reporter may know. `decided_at` is None until a person has decided."""

    reference: str
    state: ReportState
    received_at: datetime
    decided_at: datetime | None


class _Raced(Exception):
    """Another request stored the same report first."""


class ReportService:
    def __init__(
        self,
        authority: Authority[Transaction],
        ciphers: Ciphers,
        *,
        redact: Callable[[str], str],
        access: AccessLog | None = None,
    ) -> None:
        """`redact` masks what must not be shown in a text: reports are read by people. `access` records who does."""
        self._access = access
        self._authority = authority
        self._ciphers = ciphers
        self._redact = redact

    def submit(self, actor: Actor, report: NewReport) -> ReportReceipt:
        """Stores the report and opens its case, or joins the one that is open. Raises `BadInput`, `Denied`, and
        `NotFound` for a call id that is unknown or of a system the key does not speak for."""
        self._authority.require_scope(actor, Scope.REPORT)
        report = _checked(report)
        body = json.dumps(
            {
                "why": report.why,
                "claim": report.claim,
                "correct_source": report.correct_source,
                "acted_upon": report.acted_upon,
                "contact": report.contact,
            }
        ).encode()
        subject = json.dumps([actor.system, report.trace_id, report.call_id]).encode()
        digest = self._ciphers.digest(b"report", subject + b"\n" + body)
        secret = self._ciphers.digest(b"receipt", digest)
        receipt = base64.urlsafe_b64encode(secret[:24]).decode()
        for _ in range(_ATTEMPTS):
            try:
                with self._authority.act(actor) as tx:
                    known = tx.reports.by_digest(digest)
                    reference = known.reference if known else self._store(tx, actor, report, body, digest, receipt)
                return ReportReceipt(reference=reference, receipt=receipt)
            except _Raced:
                continue
        raise Conflict("This report is being stored by another request.", advice="Send it again.")

    def status(self, reference: str, receipt: str) -> ReportStatus:
        """Needs no account. Raises `NotFound`, with the same words for a wrong reference and a wrong receipt."""
        with self._authority.database.look() as tx:
            record = tx.reports.by_reference(reference[:20])
        right = hmac.compare_digest(record.receipt_hash if record else bytes(32), _hash(receipt))
        if record is None or not right:
            raise NotFound("There is no report with this reference and receipt.")
        return ReportStatus(
            reference=record.reference,
            state=record.state,
            received_at=record.received_at,
            decided_at=record.decided_at,
        )

    def of_case(self, actor: Actor, case_id: int) -> Sequence[Report]:
        """The reports of a case, in words, redacted; the first one first."""
        with self._authority.database.look() as tx:
            case = tx.cases.find(case_id)
            records = tx.reports.of_case(case_id)
        if case is None:
            raise NotFound(f"There is no case {case_id}.")
        self._authority.require(actor, Permission.READ_CASES, subject=f"case:{case_id}", system=case.case.system)
        return [self._read(record) for record in records]

    def recent(self, actor: Actor, *, before: datetime | None = None, limit: int = 50) -> Sequence[Report]:
        """The latest reports that the actor may see, redacted; `before` is the last one's `at` of the page before."""
        systems = self._authority.systems(actor, Permission.READ_CASES)
        if systems is not None and not systems:
            self._authority.require(actor, Permission.READ_CASES)
        if self._access is not None:
            self._access.searched(actor, "reports", ())
        with self._authority.database.look() as tx:
            records = tx.reports.recent(systems, before=before, limit=limit)
        return [self._read(record) for record in records]

    def _store(self, tx: Transaction, actor: Actor, report: NewReport, body: bytes, digest: bytes, receipt: str) -> str:
        now = self._authority.clock()
        system, trace_id, call_id = self._subject(tx, actor, report)
        case_id, state = self._case(tx, report, system, trace_id, call_id, now)
        report_id = tx.reports.new_id()
        cipher, wrapped = self._ciphers.create()
        reference = _reference()
        stored = tx.reports.add(
            report_id=report_id,
            reference=reference,
            receipt_hash=_hash(receipt),
            digest=digest,
            system=system,
            trace_id=trace_id,
            call_id=call_id,
            case_id=case_id,
            wrapped_key=wrapped,
            body=cipher.seal(body, _bound_to(report_id)),
            state=state,
            at=now,
        )
        if not stored:
            raise _Raced
        data: dict[str, Json] = {"case": case_id, **tx.rows(report=[report_id], case=[case_id])}
        if call_id is not None:
            data["call"] = call_id
        tx.append(
            self._authority.event(EventKind.REPORT_RECEIVED, actor, f"report:{report_id}", system=system, data=data)
        )
        return reference

    def _subject(self, tx: Transaction, actor: Actor, report: NewReport) -> tuple[str, str, int | None]:
        """The system, trace and call that the report is about, as far as they are known. A key that is bound to a
        system finds no other system's calls."""
        call_id = report.call_id
        if call_id is None:
            call_id = tx.reports.answer_in(report.trace_id, actor.system)
            if call_id is None:
                return actor.system or UNKNOWN_SYSTEM, report.trace_id, None
        found = tx.reports.call(call_id)
        if found is None or (actor.system and found[0] != actor.system):
            raise NotFound(f"There is no call {call_id}.", advice="Send the trace id if the call is still on its way.")
        return found[0], found[1], call_id

    def _case(
        self, tx: Transaction, report: NewReport, system: str, trace_id: str, call_id: int | None, now: datetime
    ) -> tuple[int, ReportState]:
        """The case that the report opens or joins, and the report's own state that follows from it."""
        draft = draft_for_report(report.acted_upon)
        for _ in range(_ATTEMPTS):
            open_one = tx.cases.open_for(call_id, CaseKind.REPORT) if call_id is not None else None
            case_id = open_one.case.id if open_one else tx.reports.case_of_trace(trace_id, system)
            if case_id is not None and tx.cases.count_report(case_id):
                joined = tx.cases.find(case_id)
                assert joined is not None, "a case is never deleted"
                due = min(joined.case.due_at, draft.due(now))
                tx.cases.join(case_id, draft, due_at=due, decision_id=None)
                return case_id, state_of(joined.case.state, None)
            opened = tx.cases.open(draft, system=system, call_id=call_id, decision_id=None, reports=1, at=now)
            if opened is not None:
                data: dict[str, Json] = {"queue": draft.queue, "severity": str(draft.severity)}
                if call_id is not None:
                    data["call"] = call_id
                data |= tx.rows(case=[opened])
                tx.append(
                    self._authority.event(EventKind.CASE_OPENED, SERVICE, f"case:{opened}", system=system, data=data)
                )
                return opened, state_of(CaseState.OPEN, None)
        raise Conflict("The case of this report is changing too fast.", advice="Send it again.")

    def _read(self, record: ReportRecord) -> Report:
        words: dict[str, object] = {}
        if record.body is not None and record.wrapped_key is not None:
            words = json.loads(self._ciphers.unwrap(record.wrapped_key).open(record.body, _bound_to(record.id)))
        acted_upon = words.get("acted_upon")
        return Report(
            reference=record.reference,
            system=record.system,
            trace_id=record.trace_id,
            call_id=record.call_id,
            case_id=record.case_id,
            state=record.state,
            why=record.gone.words if record.gone else self._redact(str(words.get("why", ""))),
            claim=self._redact(str(words.get("claim", ""))),
            correct_source=self._redact(str(words.get("correct_source", ""))),
            acted_upon=acted_upon if isinstance(acted_upon, bool) else None,
            contact=self._redact(str(words.get("contact", ""))),
            at=record.received_at,
        )


def _checked(report: NewReport) -> NewReport:
    """The report in its one form, so that the same report is known again. Raises `BadInput`."""
    trace_id = report.trace_id.strip().lower().replace("-", "")
    if bool(trace_id) == (report.call_id is not None):
        raise BadInput("A report is about one answer: send either trace_id or call_id.")
    if trace_id and (not _TRACE.fullmatch(trace_id) or trace_id == "0" * 32):
        raise BadInput("trace_id must be 32 hexadecimal digits.")
    if report.call_id is not None and not 0 <= report.call_id < 2**53:  # no call has 0: that is not found
        raise BadInput("call_id must be a call's number.")
    texts = {name: getattr(report, name).strip() for name in LENGTHS}
    if not texts["why"]:
        raise BadInput("why is missing.", advice="Say in a sentence what was wrong.")
    for name, limit in LENGTHS.items():
        if len(texts[name]) > limit:
            raise BadInput(f"{name} is longer than {limit} characters.", advice="Shorten it.")
    return NewReport(trace_id=trace_id, call_id=report.call_id, acted_upon=report.acted_upon, **texts)


def _reference() -> str:
    """Short enough to be read out, without look-alikes."""
    letters = "".join(secrets.choice("ABCDEFGHJKMNPQRSTUVWXYZ23456789") for _ in range(10))
    return f"R-{letters[:5]}-{letters[5:]}"


def _bound_to(report_id: int) -> bytes:
    return f"report:{report_id}".encode()


def _hash(receipt: str) -> bytes:
    return hashlib.sha256(receipt.encode()).digest()
