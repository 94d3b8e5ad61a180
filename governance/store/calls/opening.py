"""Opens stored calls: decrypts their content, and joins it with what was found before."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from governance.detectors.runner import KnownFindings, found_before
from governance.domain.calls import Call, CallKind, EndUser, Release, Usage
from governance.domain.content import Content, StoredPart
from governance.domain.findings import Examination
from governance.domain.times import moment
from governance.errors import Tampered
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.calls.check import Deciding, LoadedCall
from governance.store.base import bulk
from governance.store.calls import facts, parts

_KEYS = 5_000


@dataclass(slots=True)
class Findings:
    """What was found before, by message (or call). `known`: by these very detectors, and whole; `said`: also where
    something failed; `partly`: by earlier ones, as far as they were the same; `beside`: for the set in shadow."""

    said: dict[int, Examination] = field(default_factory=dict)
    known: dict[int, Examination] = field(default_factory=dict)
    partly: dict[int, KnownFindings] = field(default_factory=dict)
    beside: dict[int, KnownFindings] = field(default_factory=dict)


class CallOpener:
    """Reads whole calls with their original content. Keeps the keys of recent conversations."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._units: dict[str, Mapping[str, str]] = {}
        self._keys: OrderedDict[int, tuple[bytes, ContentKey]] = OrderedDict()

    def open(
        self, connection: sa.Connection, call_ids: Sequence[int], *, sets: Deciding | None = None, waiting: bool = False
    ) -> list[LoadedCall]:
        """The calls that exist, in the order of their ids; `waiting` gives only those without a decision.

        `known`, `partly` and `beside` of each hold what detectors of these sets found before. Content that was erased
        or does not open makes the call None, with the reason.
        """
        rows = bulk.select_in(connection, _SELECT + (" AND c.status = 'recorded'" if waiting else ""), call_ids)
        frames = {row.id: parts.decode(row.parts) for row in rows}
        wanted = list({part.message_id: None for frame in frames.values() for part in frame})
        bodies = dict(bulk.select_in(connection, "SELECT id, body FROM message WHERE id IN {in}", wanted))
        found = self.found(connection, wanted, sets) if sets is not None and wanted else Findings()
        texts: dict[int, str] = {}
        return [self._load(row, frames[row.id], bodies, found, texts) for row in rows]

    def found(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> Findings:
        """What was found in these messages: whole by the same detectors, or in part by earlier ones."""
        current, shadow = sets.enforce.detectors, sets.shadow.detectors if sets.shadow is not None else None
        if shadow is not None and shadow.content_units.items() <= current.content_units.items():
            shadow = None
        found = Findings()
        earlier = self._examinations(connection, wanted, current.digest, found, all_=shadow is not None)
        for subject, before in earlier.items():
            if subject not in found.known:
                known = found_before(current.content_units, before)
                if known.missing != current.content_units.keys():
                    found.partly[subject] = known
            if shadow is not None:
                found.beside[subject] = found_before(shadow.content_units, before)
        return found

    def found_of_calls(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> Findings:
        """What was found in these calls as a whole."""
        current = sets.enforce.detectors
        found = Findings()
        for subject, before in self._examinations(connection, wanted, current.digest, found).items():
            found.partly[subject] = found_before(current.call_units, before)
        return found

    def _examinations(
        self, connection: sa.Connection, wanted: Sequence[int], digest: str, found: Findings, *, all_: bool = False
    ) -> dict[int, list[tuple[Mapping[str, str], Examination]]]:
        """Fills in what these very detectors said; gives the rest, with the units of whoever said it, those that these
        detectors said first. With `all_` also of what is known."""
        earlier: dict[int, list[tuple[str, Examination]]] = {}
        statement = "SELECT subject_id, detector_set, findings FROM examination WHERE subject_id IN {in}"
        for subject, by, text in bulk.select_in(connection, statement, wanted):
            examination = facts.decode_examination(text)
            if by == digest:
                found.said[subject] = examination
                if not examination.failures:  # what could not be answered is asked again
                    found.known[subject] = examination
            earlier.setdefault(subject, []).append((by, examination))
        if not all_:
            for subject in found.known:
                del earlier[subject]
        if not earlier:
            return {}
        units = self._units_of(connection, {by for several in earlier.values() for by, _ in several})
        for several in earlier.values():
            several.sort(key=lambda one: one[0] != digest)
        return {
            subject: [(units[by], examination) for by, examination in several if units[by]]
            for subject, several in earlier.items()
        }

    def _units_of(self, connection: sa.Connection, digests: set[str]) -> Mapping[str, Mapping[str, str]]:
        """The units of detector sets; none of one that was not written down."""
        unknown = list(digests - self._units.keys())
        if unknown:
            rows = bulk.select_in(connection, "SELECT digest, versions FROM detector_set WHERE digest IN {in}", unknown)
            self._units |= {digest: {} for digest in unknown} | {digest: json.loads(text) for digest, text in rows}
        return self._units

    def _load(
        self,
        row: Any,
        frame: Sequence[StoredPart],
        bodies: Mapping[int, bytes | None],
        found: Findings,
        texts: dict[int, str],
    ) -> LoadedCall:
        key: ContentKey | None = None
        try:
            if row.wrapped_key is None:
                raise Tampered("Its content was erased.")
            key = self.key(row.conversation_id, bytes(row.wrapped_key))
            for part in frame:
                if part.message_id not in texts:
                    body = bodies.get(part.message_id)
                    if body is None:
                        raise Tampered("Part of its content is not there.")
                    texts[part.message_id] = key.open(bytes(body), b"message:%d" % part.message_id).decode()
            extra = (
                json.loads(key.open(bytes(row.attributes), b"call:%d" % row.id)) if row.attributes is not None else {}
            )
        except Tampered as error:
            return LoadedCall(
                id=row.id,
                revision=row.revision,
                system_id=row.system_id,
                system=row.system,
                call=None,
                unreadable=error.message,
                key=key,
            )
        placed = [part.with_text(texts[part.message_id]) for part in frame]
        known: dict[Content, Examination] = {}
        partly: dict[Content, KnownFindings] = {}
        beside: dict[Content, KnownFindings] = {}
        for part, place in zip(frame, placed, strict=True):
            number, content_ = part.message_id, place.content
            if number in found.known:
                known[content_] = found.known[number]
            elif number in found.partly:
                partly[content_] = found.partly[number]
            if number in found.beside:
                beside[content_] = found.beside[number]
        content = parts.content_of(placed)
        call = Call(
            trace_id=bytes(row.trace_id).hex(),
            span_id=bytes(row.span_id).hex(),
            parent_span_id=bytes(row.parent_span_id).hex() if row.parent_span_id else "",
            kind=CallKind(row.kind),
            name=row.name,
            system=row.system,
            release=Release(**json.loads(row.release)) if row.release else Release(),
            session_id=row.session_id,
            user=EndUser(id=row.user_id, role=row.user_role),
            started_at=moment(row.started_at),
            duration_ms=None if row.duration_us is None else row.duration_us / 1000,
            model=row.model,
            provider=row.provider,
            usage=Usage(
                input_tokens=row.input_tokens, output_tokens=row.output_tokens, cached_tokens=row.cached_tokens
            ),
            error=extra.get("error", row.error),
            finish_reasons=tuple(extra.get("finish_reasons", ())),
            content_captured=bool(row.content_captured),
            input=content.input,
            output=content.output,
            documents=content.documents,
            tool_calls=content.tool_calls,
            attributes=extra.get("attributes", {}),
        )
        return LoadedCall(
            id=row.id,
            revision=row.revision,
            system_id=row.system_id,
            system=row.system,
            call=call,
            parts=placed,
            message_ids=[part.message_id for part in frame],
            known=known,
            partly=partly,
            beside=beside,
            key=key,
        )

    def keys_of(self, connection: sa.Connection, messages: Sequence[int]) -> dict[int, ContentKey]:
        """The key of each message's conversation; none for those whose key is erased."""
        rows = bulk.select_in(
            connection,
            "SELECT m.id, v.id AS conversation, v.wrapped_key FROM message m "
            "JOIN conversation v ON v.id = m.conversation_id WHERE m.id IN {in}",
            messages,
        )
        return {
            row.id: self.key(row.conversation, bytes(row.wrapped_key)) for row in rows if row.wrapped_key is not None
        }

    def key(self, conversation: int, wrapped: bytes) -> ContentKey:
        """The content key of a conversation."""
        held = self._keys.get(conversation)
        if held is not None and held[0] == wrapped:
            self._keys.move_to_end(conversation)
            return held[1]
        key = self._keyring.unwrap(wrapped)
        self._keys[conversation] = (wrapped, key)
        if len(self._keys) > _KEYS:
            self._keys.popitem(last=False)
        return key


_SELECT = (
    "SELECT c.*, s.name AS system, r.parts AS release, v.wrapped_key FROM call c "
    "JOIN system s ON s.id = c.system_id JOIN conversation v ON v.id = c.conversation_id "
    "LEFT JOIN release r ON r.id = c.release_id WHERE c.id IN {in}"
)
