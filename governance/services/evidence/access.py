"""Monthly reviews of who may do what and who read what. An officer signs what they saw: its digest is in the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from governance.domain.events import EventKind, Json
from governance.domain.people import Actor, Permission
from governance.errors import BadInput, Conflict
from governance.review.notes import clean_note
from governance.services.authorise import Authority, identity
from governance.services.evidence.ports import SignedReview, Transaction
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.run import Attempt

READING = (
    EventKind.ACCESS_OPENED,
    EventKind.ACCESS_SEARCHED,
    EventKind.AUDIT_READ,
    EventKind.CONTENT_REVEALED,
    EventKind.EXPORT_MADE,
)
REMIND_EVERY = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """A month's review. `document` is {month, from, until, people [{person, roles, disabled}], keys [{key, prefix,
    scopes, system, expires, revoked}], reading [{reader, what, system, events}]}; people stand in it as numbers.

    Roles and keys are those of the moment at which it is signed. `ended`: the month is over, so it can be signed.
    """

    month: str
    document: Mapping[str, Any]
    digest: str
    ended: bool
    signed: SignedReview | None


class AccessReviewService:
    def __init__(self, authority: Authority[Transaction], *, zone: tzinfo, redact: Callable[[str], str]) -> None:
        """`zone` says when a month begins. `redact` masks what must not be shown in a text: notes are kept in clear."""
        self._authority = authority
        self._zone = zone
        self._redact = redact

    def last_month(self) -> str:
        """The month that ended last."""
        return self._before(f"{self._authority.clock().astimezone(self._zone):%Y-%m}")

    def show(self, actor: Actor, month: str = "") -> Review:
        """The review of a month (`2026-10`; the last one by default): as it was signed, else as it is now.

        Raises `BadInput` for what is no month or lies ahead.
        """
        month = month or self.last_month()
        _, until = self._bounds(month)
        self._authority.require(actor, Permission.READ_AUDIT)
        with self._authority.database.look() as tx:
            signed = tx.access_reviews.get(month)
            if signed is not None and signed.document is not None:
                document = json.loads(signed.document)
                return Review(month=month, document=document, digest=signed.digest or "", ended=True, signed=signed)
            document = self._document(tx, month)
        ended = until <= self._authority.clock()
        return Review(month=month, document=document, digest=_digest(document), ended=ended, signed=None)

    def due(self, actor: Actor) -> Sequence[str]:
        """The months whose reviews wait to be signed, the latest first."""
        self._authority.require(actor, Permission.READ_AUDIT)
        with self._authority.database.look() as tx:
            return self._due(tx)

    def months(self, actor: Actor) -> Sequence[str]:
        """The months since the log began, the latest first, the present one first of all; at most 36."""
        self._authority.require(actor, Permission.READ_AUDIT)
        with self._authority.database.look() as tx:
            began = tx.access_reviews.began()
        month = f"{self._authority.clock().astimezone(self._zone):%Y-%m}"
        first = month if began is None else f"{began.astimezone(self._zone):%Y-%m}"
        found = [month]
        while found[-1] > first and len(found) < 36:
            found.append(self._before(found[-1]))
        return found

    def sign(self, actor: Actor, month: str, digest: str, note: str = "") -> Review:
        """Signs the review with this digest. Raises `BadInput` for a month that is not over, `Conflict` where it is
        signed already or has changed since it was shown."""
        _, until = self._bounds(month)
        now = self._authority.clock()
        note = self._redact(clean_note(note))
        by = identity(actor)[:120]
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.REVIEW_ACCESS, subject=f"review:{month}")
            if until > now:
                raise BadInput(f"The month {month} is not over.", advice="Sign it when it is.")
            document = self._document(tx, month)
            if _digest(document) != digest:
                raise Conflict(
                    f"The review of {month} is not the one that was shown: roles, keys or reading changed since.",
                    advice="Look at it again.",
                )
            text = _canonical(document)
            if not tx.access_reviews.sign(month, document=text, digest=digest, by=by, note=note, at=now):
                raise Conflict(f"The review of {month} is signed already.")
            facts: dict[str, Json] = {
                "month": month,
                "digest": digest,
                "people": len(document["people"]),
                "keys": len(document["keys"]),
                **tx.rows(access_review=[month]),
            }
            tx.append(self._authority.event(EventKind.ACCESS_REVIEWED, actor, f"review:{month}", data=facts))
            signed = tx.access_reviews.get(month)
        return Review(month=month, document=document, digest=digest, ended=True, signed=signed)

    def remind(self, attempt: Attempt[Transaction], alerts: Alerts) -> None:
        """As a job: notes that last month's review is due, and sends an alert every week until it is signed."""
        now = self._authority.clock()
        with attempt.finishing() as tx:
            began = tx.access_reviews.began()
            month = self.last_month()
            if began is None or began >= self._bounds(month)[1]:
                return
            tx.access_reviews.ask(month, at=now, reminded=False)
            waiting = [one for one in tx.access_reviews.all() if one.signed_at is None]
            late = [one for one in waiting if one.reminded_at is None or now - one.reminded_at >= REMIND_EVERY]
            for one in late:
                tx.access_reviews.ask(one.month, at=now, reminded=True)
            if late:
                alerts.send(tx, "access.review_due", {"months": [*sorted(one.month for one in late)]}, at=now)

    def _due(self, tx: Transaction) -> Sequence[str]:
        found = {one.month for one in tx.access_reviews.all() if one.signed_at is None}
        began, month = tx.access_reviews.began(), self.last_month()
        signed = tx.access_reviews.get(month)
        if began is not None and began < self._bounds(month)[1] and (signed is None or signed.signed_at is None):
            found.add(month)
        return sorted(found, reverse=True)

    def _document(self, tx: Transaction, month: str) -> dict[str, Any]:
        since, until = self._bounds(month)
        reading = tx.access_reviews.reading([kind.value for kind in READING], since, until)
        readers = {one.reader for one in reading}
        return {
            "month": month,
            "from": since.isoformat(),
            "until": until.isoformat(),
            "people": [
                {
                    "person": f"person:{one.person}",
                    "roles": list(one.roles),
                    "disabled": None if one.disabled_at is None else one.disabled_at.isoformat(),
                }
                for one in tx.access_reviews.grants()
                if one.disabled_at is None or one.disabled_at >= since or f"person:{one.person}" in readers
            ],
            "keys": [
                {
                    "key": f"key:{one.key}",
                    "prefix": one.prefix,
                    "scopes": list(one.scopes),
                    "system": one.system,
                    "expires": None if one.expires_at is None else one.expires_at.isoformat(),
                    "revoked": None if one.revoked_at is None else one.revoked_at.isoformat(),
                }
                for one in tx.access_reviews.key_grants()
                if one.revoked_at is None or one.revoked_at >= since or f"key:{one.key}" in readers
            ],
            "reading": [
                {"reader": one.reader, "what": one.kind, "system": one.system, "events": one.events} for one in reading
            ],
        }

    def _bounds(self, month: str) -> tuple[datetime, datetime]:
        """Begin and end of a month in the firm's zone."""
        try:
            begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=self._zone)
        except ValueError:
            begin = None
        if begin is None or f"{begin:%Y-%m}" != month:
            raise BadInput(f"{month[:20]!r} is no month.", advice="Write it as 2026-10.")
        if begin > self._authority.clock():
            raise BadInput(f"The month {month} lies ahead.", advice=f"The last one is {self.last_month()}.")
        return begin, (begin + timedelta(days=32)).replace(day=1)

    def _before(self, month: str) -> str:
        year, number = int(month[:4]), int(month[5:])
        return f"{year - (number == 1):04}-{(number - 2) % 12 + 1:02}"


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(document).encode()).hexdigest()
