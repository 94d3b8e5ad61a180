"""Replays the log against the tables: is every row what the log says, and does the log know every row?

Streams: of calls, decisions and texts, which are many, a few thousand are looked up at a time, and what was seen is
remembered by a bit each. The last statement of every other row is kept in a spool on disk. Whoever has no
key-encryption key can compare everything but the texts of calls and decisions.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from governance.audit.scope import micros
from governance.audit.verify import Advance, Check, Ledger, Outcome, unchecked
from governance.domain.calls import Release
from governance.domain.events import EventKind

AT_ONCE = 2_000
MOST_NAMED = 1_000
"""Rows that one verification names; it counts all."""
BATCH_TIME = 600_000_000
"""How long after its retirement a policy set may still decide, in microseconds: a batch of calls that had begun before
is finished."""

_FOUNDING = frozenset(
    {
        EventKind.CASE_OPENED.value,
        EventKind.VERDICT_GIVEN.value,
        EventKind.REPORT_RECEIVED.value,
        EventKind.CONTENT_REVEALED.value,
        EventKind.PERSON_ADDED.value,
        EventKind.ROLES_CHANGED.value,
        EventKind.KEY_CREATED.value,
        EventKind.POLICY_SET_LOADED.value,
        EventKind.POLICY_SET_ENFORCED.value,
    }
)
"""Events that state a row since rows are stated; older ones do not."""


class CallRow(NamedTuple):
    """A call as it is stored; `facts` and `parts` are the commitments that the log should hold, None without a key."""

    trace: str
    span: str
    kind: str
    system: str
    release: str
    revision: int
    status: str
    action: str
    queue: str
    failure: str
    received: int
    facts: str | None
    parts: str | None


class DecisionRow(NamedTuple):
    """A decision as it is stored; `shown` is the commitment that the log should hold, None without a key."""

    call: int | None
    revision: int
    policy_set: str
    action: str
    queue: str
    severity: str
    shadow: bool
    detectors: str
    at: int
    detail: str
    shown: str | None


class Spool(Protocol):
    """The last statement of each row, on disk."""

    def put(self, said: Iterable[tuple[str, str, int, int, str | None]]) -> None:
        """Table, row, order, place, and the statement as JSON; the highest order of a row stays."""

    def rows(self, table: str) -> Iterator[tuple[str, int, str | None]]:
        """Row, place and statement of a table's rows."""

    def known(self, table: str, names: Sequence[str]) -> set[str]:
        """Those of these rows that something was said of, but that they are gone."""

    def close(self) -> None: ...


class StateTables(Protocol):
    """The tables as of one moment. Rows are named `verdict:12`."""

    @property
    def keyed(self) -> bool:
        """Whether commitments to the texts of calls and decisions can be computed."""

    def spool(self) -> Spool: ...

    def stated(self) -> Sequence[str]:
        """The tables whose rows the log states; `vanishing` ones lose rows without an event."""

    def vanishing(self) -> frozenset[str]: ...

    def ordered(self, table: str) -> str:
        """The column that orders statements of a table's rows; "" for the log's order."""

    def statements(self, table: str, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What the log should say of these rows; those that are not there are left out."""

    def names(self, table: str) -> Iterator[Sequence[str]]:
        """The names of all rows of a table, some at a time."""

    def count(self, table: str) -> int: ...

    def calls(self, ids: Sequence[int], committed: Container[int]) -> Mapping[int, CallRow]:
        """`committed` are those whose commitments are asked for."""

    def decisions(self, ids: Sequence[int]) -> Mapping[int, DecisionRow]: ...

    def texts(self, subjects: Sequence[int]) -> Mapping[tuple[int, str], str | None]:
        """Commitments to redacted texts and findings, by message (or call) and detector set; None where the key of its
        conversation is not there."""

    def ids(self, table: str) -> Iterator[int]:
        """The ids of all rows of `call` or `decision`."""

    def decided_calls(self) -> Iterator[int]:
        """The ids of calls whose status says that they were decided."""

    def text_keys(self) -> Iterator[tuple[int, str]]:
        """Message (or call) and detector set of all texts."""

    def systems(self) -> Mapping[int, str]: ...

    def releases(self) -> Iterator[tuple[int, str, str]]:
        """Id, fingerprint and parts (JSON)."""

    def policy_sets(self) -> Iterator[tuple[int, str, str]]:
        """Id, digest and the stored set (JSON)."""


class Snapshot(Protocol):
    """The log at one moment, and the tables at the same."""

    @property
    def tables(self) -> StateTables: ...

    def events(self) -> Iterator[Any]: ...

    def pending(self) -> Iterator[bytes]:
        """Leaves that are committed and have no place yet, in the order in which they will get one."""


def check_state(snapshot: Snapshot, advance: Advance = lambda _: None) -> tuple[Check, ...]:
    """The checks `state`, `texts` and `policies` of one snapshot."""
    spool = snapshot.tables.spool()
    try:
        return _Replay(snapshot, spool, advance).run()
    finally:
        spool.close()


class IdSet:
    """A set of ids: a bit each, in blocks, as ids come from one sequence."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, number: int) -> bool:
        block = self._blocks.get(number >> 15)
        return block is not None and bool(block[(number & 0x7FFF) >> 3] >> (number & 7) & 1)

    def add(self, number: int) -> bool:
        """Whether it was new."""
        block = self._blocks.get(number >> 15)
        if block is None:
            block = self._blocks[number >> 15] = bytearray(4096)
        place, bit = (number & 0x7FFF) >> 3, 1 << (number & 7)
        if block[place] & bit:
            return False
        block[place] |= bit
        self._count += 1
        return True


@dataclass(slots=True)
class _Policies:
    """Which sets decide at a place of the log, and until when earlier ones did."""

    enforced: str = ""
    shadow: str = ""
    loaded: set[str] = field(default_factory=set)
    until: dict[tuple[bool, str], str] = field(default_factory=dict)

    def move(self, kind: str, at: str, data: Mapping[str, Any]) -> None:
        digest = str(data.get("digest", ""))
        if kind == EventKind.POLICY_SET_LOADED:
            self.loaded.add(digest)
        elif kind in (EventKind.POLICY_SET_ENFORCED, EventKind.POLICY_SET_ROLLED_BACK):
            if self.enforced:
                self.until[False, self.enforced] = at
            if self.shadow == digest:
                self.until[True, digest], self.shadow = at, ""
            self.enforced = digest
        elif kind == EventKind.POLICY_SET_SHADOWED:
            if self.shadow:
                self.until[True, self.shadow] = at
            self.shadow = digest
        elif kind == EventKind.POLICY_SET_RETIRED and digest == self.shadow != self.enforced:
            self.until[True, digest], self.shadow = at, ""

    def wrong(self, digest: str, at: str, *, shadow: bool) -> str:
        """Why a set could not decide now; "" where it could."""
        if digest == (self.shadow if shadow else self.enforced):
            return ""
        if not self.enforced and digest in self.loaded:  # a log from before sets were promoted
            return ""
        until = self.until.get((shadow, digest))
        where = "in shadow" if shadow else "in force"
        if until is None:
            return f"which was never {where} before"
        return "" if micros(at) - micros(until) <= BATCH_TIME else f"which was not {where} any more since {until}"


class _Replay:
    def __init__(self, snapshot: Snapshot, spool: Spool, advance: Advance) -> None:
        self._snapshot = snapshot
        self._tables = snapshot.tables
        self._spool = spool
        self._advance = advance
        self._state = Ledger("state", MOST_NAMED)
        self._texts = Ledger("texts", MOST_NAMED)
        self._policies = Ledger("policies", MOST_NAMED)
        self._in_force = _Policies()
        self._systems = self._tables.systems()
        self._calls, self._decisions, self._decided = IdSet(), IdSet(), IdSet()
        self._examined: dict[str, IdSet] = {}
        self._agreed: dict[str, IdSet] = {}
        # What the latest event of a call, or all events of a text, said and the row does not: by row, until one agrees.
        self._open_calls: dict[int, dict[str, tuple[Ledger, str]]] = {}
        self._open_texts: dict[tuple[int, str], tuple[int, str]] = {}
        self._open_details: list[tuple[int, str]] = []
        self._erased_calls, self._erased_reports = IdSet(), IdSet()
        self._stated = frozenset(self._tables.stated())
        self._adopted = self._stating = self._older = False
        self._attested = 0
        self._rows = 0

    def run(self) -> tuple[Check, ...]:
        place = 0
        batch: list[tuple[int, dict[str, Any]]] = []
        for place, raw in self._leaves():
            try:
                leaf = json.loads(raw)
                kind, system, data = leaf["kind"], leaf["system"], leaf["data"]
                micros(leaf["at"])
                if not (isinstance(kind, str) and isinstance(system, str) and isinstance(data, dict)):
                    continue
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # the check "rows" says so
            batch.append((place, leaf))
            if len(batch) == AT_ONCE:
                self._take(batch)
                batch = []
        self._take(batch)
        self._finish()
        return self._checks()

    def _leaves(self) -> Iterator[tuple[int, bytes]]:
        place = -1
        for event in self._snapshot.events():
            place = event.seq
            yield place, event.leaf
        for leaf in self._snapshot.pending():
            place += 1
            yield place, leaf

    def _take(self, batch: Sequence[tuple[int, dict[str, Any]]]) -> None:
        said: list[tuple[str, str, int, int, str | None]] = []
        calls: list[tuple[int, dict[str, Any]]] = []
        decisions: list[tuple[int, dict[str, Any]]] = []
        for place, leaf in batch:
            kind, data = leaf["kind"], leaf["data"]
            if kind in (EventKind.CALL_RECORDED, EventKind.CALL_CONTENT_ADDED):
                calls.append((place, leaf))
                continue
            if kind == EventKind.DECISION_MADE:
                decisions.append((place, leaf))
                self._check_policy_set(place, leaf)
                continue
            if kind == EventKind.CONTENT_ERASED:
                self._erase(data)
            if kind.startswith("policy_set."):
                self._in_force.move(kind, leaf["at"], data)
            rows = data.get("rows")
            if isinstance(rows, dict):
                said.extend(self._statements(place, leaf, rows))
            elif kind in _FOUNDING:
                self._older = True
        self._spool.put(said)
        try:
            self._compare(calls, decisions)
        except (KeyError, TypeError, ValueError):
            for one in (*calls, *decisions):  # one of them is malformed: the others are compared all the same
                try:
                    self._compare(*(([one], []) if one[1]["kind"] != EventKind.DECISION_MADE else ([], [one])))
                except (KeyError, TypeError, ValueError):
                    self._state.fail(f"Event {one[0]} lacks what an event {one[1]['kind']} says.")
        self._advance(len(batch))

    def _erase(self, data: Mapping[str, Any]) -> None:
        for name, erased in (("calls", self._erased_calls), ("reports", self._erased_reports)):
            for number in data.get(name) or ():
                if isinstance(number, int):
                    erased.add(number)

    # Rows that are stated whole

    def _statements(
        self, place: int, leaf: Mapping[str, Any], rows: Mapping[str, Any]
    ) -> Iterator[tuple[str, str, int, int, str | None]]:
        if leaf["kind"] == EventKind.STATE_ADOPTED:
            if self._stating:
                self._state.fail(f"Event {place} adopts rows as they were found, though the log stated rows before.")
            self._adopted = True
        elif rows:
            self._stating = True
        for name, statement in rows.items():
            table = name.partition(":")[0]
            if table not in self._stated:
                continue
            order, by = place, self._tables.ordered(table)
            if by:
                order = int(statement[by]) if isinstance(statement, dict) and by in statement else 2**62
            if leaf["kind"] == EventKind.CASE_OPENED and isinstance(statement, dict):
                self._check_system(place, leaf, statement)
            yield table, name, order, place, None if statement is None else json.dumps(statement)

    def _check_system(self, place: int, leaf: Mapping[str, Any], statement: Mapping[str, Any]) -> None:
        number = statement.get("system_id")
        if isinstance(number, int) and self._systems.get(number) != leaf["system"]:
            self._differs(self._state, f"system:{number}", "name", self._systems.get(number), leaf["system"], place)

    def _compare_stated(self, table: str) -> None:
        present = 0
        batch: list[tuple[str, int, dict[str, Any]]] = []
        by = self._tables.ordered(table)

        def flush() -> None:
            nonlocal present
            found = self._tables.statements(table, [name for name, _, _ in batch])
            for name, place, said in batch:
                row = found.get(name)
                erased = table == "report" and int(name.partition(":")[2]) in self._erased_reports
                if row is None:
                    if not erased and table not in self._tables.vanishing():
                        self._state.fail(_missing(name, place))
                    continue
                present += 1
                for column, value in said.items():
                    if erased and column == "body" and row.get(column) is None:
                        continue
                    if column != by and (column not in row or row[column] != value):
                        self._differs(self._state, name, column, row.get(column), value, place)
            batch.clear()

        for name, place, text in self._spool.rows(table):
            if text is None:
                continue
            batch.append((name, place, json.loads(text)))
            if len(batch) == AT_ONCE:
                flush()
        flush()
        total = self._tables.count(table)
        self._rows += present
        if total != present:
            self._name_unknown(table)

    def _name_unknown(self, table: str) -> None:
        for names in self._tables.names(table):
            known = self._spool.known(table, names)
            for name in names:
                if name in known:
                    continue
                if self._older and not self._adopted:
                    self._attested += 1
                else:
                    self._state.fail(f"{_spoken(name)} is not in the log.")

    # Calls, decisions and texts

    def _compare(
        self, calls: Sequence[tuple[int, dict[str, Any]]], decisions: Sequence[tuple[int, dict[str, Any]]]
    ) -> None:
        wanted = {_number(leaf) for _, leaf in (*calls, *decisions) if leaf["data"].get("call") is not None}
        rows = self._tables.calls(sorted(wanted), {_number(leaf) for _, leaf in calls})
        for place, leaf in calls:
            self._compare_call(place, leaf, rows)
        ids = [
            int(said["decision"])
            for _, leaf in decisions
            for said in (leaf["data"], leaf["data"].get("shadow"))
            if isinstance(said, dict)
        ]
        found = self._tables.decisions(ids)
        for place, leaf in decisions:
            data = leaf["data"]
            self._compare_decision(place, leaf, data, found, shadow=False)
            if isinstance(data.get("shadow"), dict):
                self._compare_decision(place, leaf, data["shadow"], found, shadow=True)
            self._compare_outcome(place, data, rows)
        self._compare_texts(decisions)

    def _compare_call(self, place: int, leaf: Mapping[str, Any], rows: Mapping[int, CallRow]) -> None:
        data, number = leaf["data"], _number(leaf)
        self._calls.add(number)
        row, name = rows.get(number), f"call:{number}"
        if row is None:
            self._open_calls[number] = {"": (self._state, _missing(name, place))}
            return
        said: dict[str, tuple[Any, Any]] = {"trace_id": (row.trace, data["trace"]), "span_id": (row.span, data["span"])}
        if leaf["kind"] == EventKind.CALL_RECORDED:
            said |= {"kind": (row.kind, data["kind"]), "release": (row.release, data["release"])}
            said["system"] = (row.system, leaf["system"])
        if data.get("revision") == 0 and "facts" in data:
            said["received_at"] = (row.received, micros(leaf["at"]))
        if "revision" not in data:
            self._attested += 1
        elif row.revision < data["revision"]:
            said["revision"] = (row.revision, data["revision"])
        else:
            if "facts" in data and row.facts is not None:
                said["facts"] = (row.facts, data["facts"])
            if row.revision == data["revision"] and row.parts is not None:
                said["parts"] = (row.parts, data["parts"])
        # A later event of the call may say otherwise, and then counts.
        wrong = self._open_calls.pop(number, {})
        for column, (stored, logged) in said.items():
            wrong.pop(column, None)
            if stored != logged:
                ledger = self._texts if column in ("facts", "parts") else self._state
                wrong[column] = (ledger, _difference(name, column, stored, logged, place))
        if wrong:
            self._open_calls[number] = wrong

    def _compare_decision(
        self,
        place: int,
        leaf: Mapping[str, Any],
        said: Mapping[str, Any],
        rows: Mapping[int, DecisionRow],
        *,
        shadow: bool,
    ) -> None:
        number = int(said["decision"])
        name = f"decision:{number}"
        if not self._decisions.add(number):
            self._state.fail(f"{_spoken(name)} was made twice, says the log (again at place {place}).")
        row = rows.get(number)
        if row is None:
            self._state.fail(_missing(name, place))
            return
        data = leaf["data"]
        pairs = [
            ("call_id", row.call, data["call"]),
            ("revision", row.revision, data["revision"]),
            ("policy_set", row.policy_set, said["policy_set"]),
            ("action", row.action, said["action"]),
            ("queue", row.queue, said["queue"]),
            ("severity", row.severity, said["severity"]),
            ("shadow", row.shadow, shadow),
            ("decided_at", row.at, micros(leaf["at"])),
        ]
        if "detectors" in said:
            pairs.append(("detector_set", row.detectors, said["detectors"]))
        for column, stored, logged in pairs:
            if stored != logged:
                self._differs(self._state, name, column, stored, logged, place)
        shown = said.get("shown")
        if shown is None:
            self._attested += 1
        elif row.shown is not None:
            if row.shown != shown:
                self._open_details.append((int(data["call"] or 0), _changed(name, "detail", place)))
            return
        policies = _policies_of(row.detail)
        if policies != said["policies"]:
            self._differs(self._state, name, "detail", policies, said["policies"], place)

    def _compare_outcome(self, place: int, data: Mapping[str, Any], rows: Mapping[int, CallRow]) -> None:
        """The call's own columns are those of the decision about its present revision."""
        number = data["call"]
        row = rows.get(number) if number is not None else None
        if row is None:
            if number is not None and number not in self._open_calls:
                self._open_calls[number] = {"": (self._state, _missing(f"call:{number}", place))}
            return
        if row.revision != data["revision"]:
            return
        self._decided.add(number)
        failure = str(data.get("failure") or "")
        pairs = (
            ("status", row.status, "failed" if failure else "checked"),
            ("action", row.action, data["action"]),
            ("queue", row.queue, data["queue"]),
            ("failure", row.failure, failure[:500]),
        )
        for column, stored, logged in pairs:
            if stored != logged:
                self._differs(self._state, f"call:{number}", column, stored, logged, place)

    def _compare_texts(self, decisions: Sequence[tuple[int, dict[str, Any]]]) -> None:
        said = [
            (int(subject), by, committed, place, int(leaf["data"]["call"] or 0))
            for place, leaf in decisions
            for by, texts in (leaf["data"].get("texts") or {}).items()
            for subject, committed in texts.items()
        ]
        if not said:
            return
        found = self._tables.texts(sorted({subject for subject, *_ in said}))
        for subject, by, committed, place, call in said:
            key, agreed = (subject, by), self._agreed.setdefault(by, IdSet())
            self._examined.setdefault(by, IdSet()).add(subject)
            if key in found and found[key] in (None, committed):
                # Two processes may examine one message at once: the result of either may be the one that stayed.
                agreed.add(subject)
                self._open_texts.pop(key, None)
            elif subject not in agreed:
                name = f"examination:{subject}:{by}"
                words = _changed(name, "redacted or findings", place) if key in found else _missing(name, place)
                self._open_texts.setdefault(key, (call, words))

    def _check_policy_set(self, place: int, leaf: Mapping[str, Any]) -> None:
        data = leaf["data"]
        for said, shadow in ((data, False), (data.get("shadow"), True)):
            if not isinstance(said, dict):
                continue
            digest = str(said.get("policy_set", ""))
            if why := self._in_force.wrong(digest, leaf["at"], shadow=shadow):
                number = said.get("decision")
                self._policies.fail(f"Decision {number} was made by the set {digest[:12]}, {why} (place {place}).")

    # The end

    def _finish(self) -> None:
        for table in self._tables.stated():
            self._compare_stated(table)
        for call, wrongs in self._open_calls.items():
            for column, (ledger, words) in wrongs.items():
                if call not in self._erased_calls or column not in ("", "facts", "parts"):
                    ledger.fail(words)
        for call, words in (*self._open_texts.values(), *self._open_details):
            if call not in self._erased_calls:
                self._texts.fail(words)
        for table, known in (("call", self._calls), ("decision", self._decisions)):
            if self._tables.count(table) != len(known):
                for number in self._tables.ids(table):
                    if number not in known:
                        self._state.fail(f"{table.capitalize()} {number} is not in the log.")
        for number in self._tables.decided_calls():
            if number not in self._decided:
                self._state.fail(f"Call {number}: its status says that it was decided; the log knows of no decision.")
        self._name_unknown_texts()
        for number, fingerprint, parts in self._tables.releases():
            if _fingerprint(parts) != fingerprint:
                self._state.fail(f"Release {number}: parts do not give its fingerprint {fingerprint}.")
        from governance.policy.policy import stored_digest  # 40 MB that nobody needs who only records

        for number, digest, text in self._tables.policy_sets():
            if stored_digest(text) != digest:
                self._policies.fail(f"Policy set {number}: policies do not give its digest {digest[:12]}.")

    def _name_unknown_texts(self) -> None:
        if not self._examined and self._attested:
            return  # older than commitments to texts
        for subject, by in self._tables.text_keys():
            if subject not in self._examined.get(by, _NOTHING):
                if self._attested:
                    self._attested += 1
                else:
                    self._texts.fail(f"{_spoken(f'examination:{subject}:{by}')} is not in the log.")

    def _checks(self) -> tuple[Check, ...]:
        older = f" {self._attested:,} are older than that, and attested only." if self._attested else ""
        rows = f"{len(self._calls):,} calls, {len(self._decisions):,} decisions and {self._rows:,} other rows"
        state = self._state.check(f"{rows} are what the log says.{older}")
        if self._older and not self._adopted and state.outcome is Outcome.PASSED:
            state = unchecked("state", "Rows of an earlier version are not stated yet: start the server once.")
        texts = (
            self._texts.check(f"What people see of calls and decisions is what the log commits to.{older}")
            if self._tables.keyed or self._texts.failures
            else unchecked("texts", "Needs the key-encryption key.")
        )
        policies = self._policies.check("Every set gives its digest, and was in force when it decided.")
        return state, texts, policies

    def _differs(self, ledger: Ledger, name: str, column: str, stored: Any, logged: Any, place: int) -> None:
        ledger.fail(_difference(name, column, stored, logged, place))


_NOTHING = IdSet()


def _number(leaf: Mapping[str, Any]) -> int:
    return int(leaf["data"]["call"])


def _spoken(name: str) -> str:
    """`verdict:12` as "Verdict 12"."""
    table, _, key = name.partition(":")
    return f"{table.replace('_', ' ').capitalize()} {key}"


def _difference(name: str, column: str, stored: Any, logged: Any, place: int) -> str:
    if isinstance(logged, str) and len(logged) == 64 and stored != logged:
        return _changed(name, column, place)
    return f"{_spoken(name)}: {column} is {_short(stored)}; the log says {_short(logged)} (place {place})."


def _missing(name: str, place: int) -> str:
    return f"{_spoken(name)} is missing: the log says that it is there (place {place})."


def _changed(name: str, column: str, place: int) -> str:
    return f"{_spoken(name)}: {column} differs from what the log says (place {place})."


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _policies_of(detail: str) -> list[dict[str, Any]]:
    try:
        return [
            {name: one[name] for name in ("policy", "outcome", "action", "status")}
            for one in json.loads(detail).get("policies", ())
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _fingerprint(parts: str) -> str:
    try:
        return Release(**json.loads(parts)).fingerprint
    except (ValueError, TypeError):
        return ""
