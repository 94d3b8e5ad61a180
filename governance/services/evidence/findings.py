"""What verifications of the log found wrong: an alarm that stands until the log meets the kept checkpoint again, or
until somebody acknowledges it by name.

A verification that passes clears nothing by itself: a log that was cut or written anew is consistent in itself, and
only a checkpoint that was kept elsewhere shows that it was. So a finding ends when a verification meets a kept
checkpoint of at least its size, and the log continues the very checkpoint that was not met.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from governance.audit.merkle import verify_consistency
from governance.audit.note import Checkpoint, Verifier, split
from governance.audit.verify import Check, Outcome, Verification
from governance.domain.events import EventKind, Json
from governance.domain.people import Actor, Permission
from governance.errors import BadInput, Conflict, GovernanceError, NotFound, Tampered
from governance.review.notes import clean_note
from governance.services.authorise import Authority, identity
from governance.services.evidence.ports import AuditSnapshot, Failure, Finding, Transaction

CONTINUITY = "continuity"
"""The check that compares the log with a checkpoint that was kept elsewhere."""
_DETAIL = 1_000


def open_kept(note: str, verifier: Verifier) -> Checkpoint:
    """A checkpoint of this log that was kept elsewhere. Raises `BadInput` for any other note: what is signed by
    somebody else, or by nobody, says nothing about this log."""
    try:
        return Checkpoint.open(note, verifier)
    except Tampered as error:
        raise BadInput(
            f"This checkpoint is not one of {verifier.name}: {error.message}",
            advice="Give a checkpoint of this log as it was kept. If it is one, its text or signature was changed.",
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """What a verification says of findings: failures to be kept, and the findings whose checkpoint the log has met."""

    failures: Sequence[Failure]
    met: Sequence[Finding]


def outcomes(
    found: Verification, snapshot: AuditSnapshot, kept: str, verifier: Verifier, standing: Sequence[Finding]
) -> Outcomes:
    """`kept` is the checkpoint that the verification was given, "" for none; `standing` are findings not met yet."""
    failures = [failure(check, found, kept) for check in found.checks if check.outcome is Outcome.FAILED]
    proven = any(check.name == CONTINUITY and check.outcome is Outcome.PASSED for check in found.checks)
    if failures or not proven or not kept:
        return Outcomes(failures=failures, met=())
    size = open_kept(kept, verifier).size
    return Outcomes(failures=(), met=[one for one in standing if size >= one.size and _continues(snapshot, one)])


def failure(check: Check, found: Verification, kept: str) -> Failure:
    outside = kept if check.name == CONTINUITY else ""
    # The words of a cut log tell its size, which grows; a checkpoint that is not met is the same failure all the same.
    said = [kept] if outside else [str(check.failures), *check.places]
    fingerprint = hashlib.sha256(json.dumps([check.name, *said]).encode()).hexdigest()
    size = _stated(kept).size if outside else found.size
    detail = check.detail[:_DETAIL]
    return Failure(kind=check.name, fingerprint=fingerprint, detail=detail, size=size, checkpoint=outside)


def _continues(snapshot: AuditSnapshot, finding: Finding) -> bool:
    """Whether the log, which has just been verified as a whole, continues the checkpoint that was not met."""
    if not finding.checkpoint:
        return True
    head = snapshot.head
    return head is not None and continues(snapshot, finding.checkpoint, _stated(head.checkpoint))


def continues(snapshot: AuditSnapshot, note: str, latest: Checkpoint) -> bool:
    """Whether the log, whose latest checkpoint this is, continues a checkpoint of its own. Signatures are not looked
    at: whoever asks knows the note."""
    try:
        old = _stated(note)
        proof = snapshot.consistency(old.size, latest.size) if old.size < latest.size else []
        verify_consistency(old.size, latest.size, proof, old.root, latest.root)
    except (GovernanceError, ValueError):
        return False
    return True


def _stated(note: str) -> Checkpoint:
    """What a note says of a log, whoever signed it."""
    return Checkpoint.parse(split(note)[0])


def keep(tx: Transaction, said: Outcomes, *, at: datetime) -> dict[str, Json]:
    """Opens or renews findings, and ends those that are met, in the verification's own transaction; gives what its
    event says of them."""
    facts: dict[str, Json] = {}
    if said.failures:
        facts["findings"] = [tx.findings.found(one, at=at) for one in said.failures]
    if said.met:
        for one in said.met:
            tx.findings.met(one.id, at=at)
        facts["met"] = [one.id for one in said.met]
    return facts


def findings_of(tx: Transaction, facts: Mapping[str, Json]) -> dict[str, Json]:
    """The findings that a verification opened, renewed or met, as rows that its event states."""
    numbers = [one for name in ("findings", "met") if isinstance(found := facts.get(name), list) for one in found]
    return tx.rows(audit_finding=[int(one) for one in numbers if isinstance(one, int)]) if numbers else {}


class FindingService:
    def __init__(self, authority: Authority[Transaction], *, redact: Callable[[str], str]) -> None:
        """`redact` masks what must not be shown in a text: notes are kept in clear."""
        self._authority = authority
        self._redact = redact

    def standing(self, actor: Actor) -> Sequence[Finding]:
        """The findings that no verification has met since, the oldest first, acknowledged ones too: for all who read
        the trail of some system."""
        self._authority.require_somewhere(actor, Permission.READ_AUDIT)
        with self._authority.database.look() as tx:
            return tx.findings.standing()

    def acknowledge(self, actor: Actor, number: int, note: str) -> Finding:
        """Says by name that somebody knows of a finding and answers for it: the alarm ends, the finding stays.

        Raises `BadInput` without a note, `NotFound`, and `Conflict` where it is acknowledged or met already.
        """
        note = self._redact(clean_note(note))
        if not note:
            raise BadInput("To acknowledge a finding needs a note.", advice="Say what happened, and what was done.")
        now = self._authority.clock()
        by = identity(actor)[:120]
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.ACKNOWLEDGE_FINDING, subject=f"finding:{number}")
            found = tx.findings.get(number)
            if found is None:
                raise NotFound(f"There is no finding {number}.", advice="See: governance audit status.")
            if found.met_at is not None:
                raise Conflict(f"Finding {number} ended: the log has met the checkpoint again.")
            if not tx.findings.acknowledge(number, by=by, note=note, at=now):
                raise Conflict(f"Finding {number} is acknowledged already.")
            data: dict[str, Json] = {"kind": found.kind, **tx.rows(audit_finding=[number])}
            event = self._authority.event(EventKind.FINDING_ACKNOWLEDGED, actor, f"finding:{number}", data=data)
            tx.append(event)
        return replace(found, acknowledged_at=now, acknowledged_by=by, note=note)
