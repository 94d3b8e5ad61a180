"""Exports what is held about an end user (GDPR, article 15), with the original content of their calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission
from governance.errors import NotFound
from governance.privacy.subject import subject_id
from governance.services.authorise import Authority
from governance.services.evidence.new_file import new_file
from governance.services.ports import UnitOfWork


class Subjects(Protocol):
    def systems(self, subject: str) -> frozenset[str]:
        """The systems that hold a call of theirs."""

    def calls(self, subject: str, system: str) -> Iterator[dict[str, Any]]:
        """Their calls, in order; `system` "" is all."""


class ExportSubject:
    def __init__(self, authority: Authority[UnitOfWork], subjects: Subjects) -> None:
        self._authority = authority
        self._subjects = subjects

    def to_file(self, actor: Actor, subject: str, out: Path, *, system: str = "") -> int:
        """Writes a JSON file that only its owner may read; how many calls it holds. The event is committed before
        anything is opened, and the file appears whole or not at all. Raises `BadInput` where it is there already,
        `NotFound`, `Denied`."""
        subject = subject_id(subject)
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.HOLD_AND_ERASE, system=system)
            systems = self._subjects.systems(subject)
            if not systems or (system and system not in systems):
                raise NotFound("Nothing is held about this subject.")
            tx.append(self._authority.event(EventKind.SUBJECT_EXPORTED, actor, system=system))
        count = 0
        head = {"subject": subject, "made_at": self._authority.clock().isoformat(), "made_by": actor.name}
        with new_file(out, "file") as file:

            def write(text: str) -> None:
                file.write(text.encode("utf-8", "backslashreplace"))

            write(json.dumps(head)[:-1] + ', "calls": [')
            for count, one in enumerate(self._subjects.calls(subject, system), 1):
                write(("," if count > 1 else "") + "\n" + json.dumps(one, ensure_ascii=False))
            write("\n]}\n")
        return count
