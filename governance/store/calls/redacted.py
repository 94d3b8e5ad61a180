"""Reads redacted texts, which lie sealed under the key of their conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from governance.privacy.keys import ContentKey, KeyRing
from governance.privacy.search_words import SearchWords
from governance.store.base import bulk, sealed

_SELECT = (
    "SELECT e.subject_id, e.detector_set, e.findings, e.sealed, e.redacted, v.id, v.wrapped_key FROM examination e "
    "LEFT JOIN message m ON m.id = e.subject_id LEFT JOIN call c ON c.id = e.subject_id "
    "LEFT JOIN conversation v ON v.id = coalesce(m.conversation_id, c.conversation_id) "
    "LEFT JOIN detector_set d ON d.digest = e.detector_set "
    "WHERE e.subject_id IN {in} AND (e.sealed IS NOT NULL OR e.redacted IS NOT NULL) "
    "ORDER BY coalesce(d.first_seen_at, 0), e.detector_set"
)


@dataclass(frozen=True, slots=True)
class RedactedText:
    """A message's text, or the words of a call's error, as people are shown it. `findings` is JSON."""

    subject: int
    text: str
    findings: str


class RedactedTexts:
    """Safe to share among threads: keys are unwrapped for each read."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self.words = SearchWords(keyring)
        """By which these texts are found."""

    def texts(self, connection: sa.Connection, subjects: Iterable[int], *, cut: int | None = None) -> dict[int, str]:
        """Redacted text by message or call, `cut` to a length; what is not examined, or was erased, has none."""
        return {one.subject: one.text[:cut] for one in self.read(connection, subjects)}

    def read(self, connection: sa.Connection, subjects: Iterable[int]) -> Iterator[RedactedText]:
        """Where several detector sets have looked at a message, the newest one's comes last: that one is shown."""
        keys: dict[int, ContentKey] = {}
        for subject, by, findings, body, clear, conversation, wrapped in bulk.select_in(
            connection, _SELECT, list(dict.fromkeys(subjects))
        ):
            if body is None:  # of an earlier version, not sealed yet
                yield RedactedText(subject, clear, findings)
            elif wrapped is not None:
                if conversation not in keys:
                    keys[conversation] = self._keyring.unwrap(bytes(wrapped))
                bound_to = sealed.examination_of(subject, by)
                yield RedactedText(subject, sealed.opened(keys[conversation], bytes(body), bound_to), findings)
