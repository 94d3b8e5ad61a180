"""Verifies an evidence package of format governance-evidence/v2 with nothing but Python 3.9 or newer.

    python verify.py PACKAGE.zip --key KEY [--checkpoint NOTE]

KEY is the log's public key (a file such as key.txt, or the line itself) as you have it from elsewhere. NOTE is a
checkpoint that you kept. Take this file from elsewhere too: whoever can forge a package can put another one inside.
It ends with 0 when all that was asked for is proven, with 1 when something is wrong or not proven, and with 2 for what
is no package. It was written from docs/evidence-package.md, and shares no code with the product's verifier.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_RECORDS = {
    "call.recorded": ("calls", "call"),
    "decision.made": ("decisions", "decision"),
    "case.opened": ("cases", "case"),
    "verdict.given": ("verdicts", "verdict"),
    "report.received": ("reports", "report"),
}
_FILTER = {"since", "until", "system", "policy", "case", "kinds"}
_MANIFEST = {
    "format", "origin", "key", "made_at", "made_by", "export", "begun", "filter", "checkpoint", "continues", "leaves",
    "kinds", "records", "names", "files",
}  # fmt: skip
_LEAF = {"actor", "at", "data", "kind", "subject", "system", "v"}
_NAME = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z][A-Za-z0-9_-]{0,40}\.[a-z]{1,8}")
_LIMIT = 2**31
_TABLES = {
    "cases": "id kind state severity queue title system policy call_id decision_id opened_at due_at closed_at",
    "verdicts": "id case_id outcome reason note given_by given_at approved_by approved_at returned_by returned_at",
    "decisions": "id call_id revision action queue severity policies explanation policy_set decided_at",
}
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_BLANKS = " \u00a0\u200b\u200c\u200d\u2060\ufeff"


class Wrong(Exception):
    """Something is not as it must be."""


class Unproven(Exception):
    """What was asked for is not shown."""


def need(holds: object, words: str) -> None:
    if not holds:
        raise Wrong(words)


# Ed25519, RFC 8032 section 5.1, for the few signatures of a package: plain, and slow.
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]


def _add(a: _Point, b: _Point) -> _Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    g, h = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % _P, z * t % _P, y * z % _P, x * t % _P


def _times(number: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _add(result, point)
        point = _add(point, point)
        number >>= 1
    return result


def _point(raw: bytes) -> _Point:
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    need(y < _P, "A key or signature is not a point of the curve.")
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    need(not (x * x - square) % _P and (x or not sign), "A key or signature is not a point of the curve.")
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE = _point(_Y.to_bytes(32, "little"))


def signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature of 64 bytes over `text` is by the key `public`."""
    if len(signature) != 64 or len(public) != 32:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _L:
        return False
    try:
        key, point = _point(public), _point(signature[:32])
    except Wrong:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % _L
    left, right = _times(scalar, _BASE), _add(point, _times(hashed, key))
    return not (left[0] * right[2] - right[0] * left[2]) % _P and not (left[1] * right[2] - right[1] * left[2]) % _P


def decoded(text: Any, size: int = 32) -> bytes:
    """Canonical base64 of `size` bytes."""
    need(isinstance(text, str) and text.isascii(), "A hash is not text.")
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong("A hash is not base64.") from None
    need(base64.b64encode(raw).decode() == text and len(raw) == size, "A hash is not in its one form.")
    return raw


def key_parts(text: str) -> tuple[str, bytes, bytes]:
    """Name, key id and public key of `NAME+HEX+BASE64`."""
    parts = text.strip().split("+", 2)
    need(len(parts) == 3, "This is not a key of a log.")
    raw = decoded(parts[2], 33)
    identity = hashlib.sha256(parts[0].encode() + b"\n" + raw).digest()[:4]
    need(raw[:1] == b"\x01" and identity.hex() == parts[1], "The key does not fit its own key id.")
    return parts[0], identity, raw[1:]


def opened(note: str, key: str, *, alone: bool = False) -> str:
    """The text of a note that `key` signed; `alone`: and nobody else."""
    name, identity, public = key_parts(key)
    text, gap, lines = note.rpartition("\n\n")
    need(gap and lines.endswith("\n"), "This is not a signed note.")
    found, count = False, 0
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "\u2014", "A note has a malformed signature line.")
        count += 1
        try:
            raw = base64.b64decode(parts[2], validate=True)
        except ValueError:
            raise Wrong("A signature is not base64.") from None
        need(base64.b64encode(raw).decode() == parts[2], "A signature is not in its one form.")
        if parts[1] == name and raw[:4] == identity:
            need(signed(public, (text + "\n").encode(), raw[4:]), f"A signature of {name} is not valid.")
            found = True
    need(found, f"A note is not signed by {name}.")
    need(not alone or count == 1, "A note has more than one signature.")
    return text + "\n"


def checkpoint(note: str, key: str, *, alone: bool = False) -> tuple[int, bytes]:
    """Size and root of a checkpoint."""
    lines = opened(note, key, alone=alone).split("\n")
    need(len(lines) >= 4 and lines[0] == key_parts(key)[0], "A checkpoint is of another log.")
    need(re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]), "A checkpoint has no size.")
    return int(lines[1]), decoded(lines[2])


def node(left: bytes, right: bytes) -> bytes:
    need(len(left) == len(right) == 32, "A hash is not 32 bytes long.")
    return hashlib.sha256(b"\x01" + left + right).digest()


def included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, result = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for one in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            result = node(one, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node(result, one)
        place, last = place >> 1, last >> 1
    return last == 0 and result == root


def consistent(old: int, new: int, proof: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 9162 section 2.1.4.2; from size 0 nothing is shown."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node(one, first), node(one, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node(second, one)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


class Tree:
    """The root from left to right."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []

    def add(self, hashed: bytes, height: int = 0) -> None:
        need(self.size % (1 << height) == 0, f"No part of 2^{height} leaves can stand at {self.size}.")
        self.size += 1 << height
        while self.stack and self.stack[-1][0] == height:
            hashed = node(self.stack.pop()[1], hashed)
            height += 1
        self.stack.append((height, hashed))

    def root(self) -> bytes:
        result = b""
        for _, one in reversed(self.stack):
            result = node(one, result) if result else one
        return result or hashlib.sha256(b"").digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: Any) -> bool:
    """Whether a value is one that leaves may hold."""
    if isinstance(value, dict):
        return all(key.isascii() and plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, (str, bool)) or (type(value) is int and abs(value) < 2**53)


def leaf_of(raw: bytes) -> dict[str, Any]:
    try:
        leaf: dict[str, Any] = json.loads(raw)
        need(isinstance(leaf, dict) and plain(leaf) and canonical(leaf) == raw, "A leaf is not in canonical form.")
    except (ValueError, RecursionError):
        raise Wrong("A leaf is not JSON.") from None
    version = leaf.get("v")
    need(type(version) is int and version in (1, 2), "A leaf is of another version.")
    need(leaf.keys() == (_LEAF if version == 1 else _LEAF | {"late", "n"}), "A leaf has other members.")
    texts = all(isinstance(leaf[name], str) for name in ("actor", "at", "kind", "subject", "system"))
    numbers = version == 1 or all(type(leaf[name]) is int and leaf[name] >= 0 for name in ("late", "n"))
    need(texts and numbers and isinstance(leaf["data"], dict), "A leaf has a member of another type.")
    return leaf


def micros(text: str) -> int:
    """A time in microseconds."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    apart = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (apart.days * 86_400 + apart.seconds) * 1_000_000 + apart.microseconds


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def cell(record: dict[str, Any], column: str) -> str:
    """What a table says of a record: a text that a spreadsheet may take for a formula gets an apostrophe."""
    value = record.get(column)
    if column == "policies":
        named = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
        texts = [
            [one.get(key) if isinstance(one.get(key), str) else "" for key in ("policy", "outcome")] for one in named
        ]
        value = ", ".join(f"{policy} ({outcome})" for policy, outcome in texts)
    if not isinstance(value, str):
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
    value = value.replace("\0", "\ufffd")
    return f"'{value}" if value.startswith(_FORMULA) or value.lstrip(_BLANKS).startswith(_FORMULA) else value


def row(cells: list[str]) -> bytes:
    """A row of a table."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode("utf-8", "backslashreplace")


class Package:
    """One package, verified step by step; each step raises `Wrong`, and those that are left out `Unproven`."""

    def __init__(self, path: str) -> None:
        self.archive = zipfile.ZipFile(path)
        names = self.archive.namelist()
        need(len(set(names)) == len(names) <= 64 and all(map(_NAME.fullmatch, names)), "The archive has strange names.")
        need(all(one.file_size <= _LIMIT for one in self.archive.infolist()), "A file is above the limit.")
        self._one_form(path)
        self.text = self.archive.read("manifest.json")
        self.manifest: dict[str, Any] = json.loads(self.text)
        need(isinstance(self.manifest, dict) and self.manifest.get("format") == "governance-evidence/v2",
             "manifest.json is not of the format governance-evidence/v2.")  # fmt: skip
        need(self.manifest.keys() == _MANIFEST, "manifest.json has other members than it must have.")
        self.key: str = self.manifest["key"]
        self.proven: dict[int, bytes] = {}

    def _one_form(self, path: str) -> None:
        """No byte of the archive is outside of members and headers: the archive is made anew and compared."""
        with Path(path).open("rb") as file:
            at, directory = 0, b""
            for one in self.archive.infolist():
                name = one.filename.encode()
                need(one.header_offset == at and one.compress_type in (0, 8), "The archive has a gap.")
                sizes = [(number).to_bytes(4, "little") for number in (one.CRC, one.compress_size, one.file_size)]
                about = b"\x14\0\0\0" + one.compress_type.to_bytes(2, "little") + b"\0\0\x21\0" + b"".join(sizes)
                about += len(name).to_bytes(2, "little")
                header = b"PK\x03\x04" + about + b"\0\0" + name
                need(file.read(len(header)) == header, f"The header of {one.filename} is not in its one form.")
                directory += b"PK\x01\x02\x14\x03" + about + bytes(8) + (0o100644 << 16).to_bytes(4, "little")
                directory += at.to_bytes(4, "little") + name
                at += len(header) + one.compress_size
                file.seek(at)
            count = len(self.archive.infolist()).to_bytes(2, "little")
            end = b"PK\x05\x06\0\0\0\0" + count * 2 + len(directory).to_bytes(4, "little") + at.to_bytes(4, "little")
            need(file.read() == directory + end + b"\0\0", "The archive's directory is not in its one form.")

    def signature(self) -> None:
        manifest = self.manifest
        need(key_parts(self.key)[0] == manifest["origin"], "The key is not of the log that the package names.")
        text = opened(self.archive.read("manifest.note").decode(), self.key, alone=True)
        digest = hashlib.sha256(self.text).hexdigest()
        need(text == f"governance evidence manifest v1\n{manifest['origin']}\nsha256:{digest}\n",
             "manifest.json is not the one that was signed.")  # fmt: skip

    def files(self) -> None:
        stated = self.manifest["files"]
        present = set(self.archive.namelist()) - {"manifest.json", "manifest.note", "made.json"}
        need(present == stated.keys(), "The files are not those that the manifest names.")
        with Path(str(self.archive.filename)).open("rb") as raw:
            for name, want in stated.items():
                about = self.archive.getinfo(name)
                raw.seek(about.header_offset + 30 + len(name))
                packed, left = hashlib.sha256(), about.compress_size
                while left:
                    chunk = raw.read(min(left, 1 << 20))
                    need(chunk, f"{name} is cut off.")
                    packed.update(chunk)
                    left -= len(chunk)
                whole, size = hashlib.sha256(), 0
                with self.archive.open(name) as file:
                    while chunk := file.read(1 << 20):
                        whole.update(chunk)
                        size += len(chunk)
                found = {"size": size, "sha256": whole.hexdigest(), "packed_sha256": packed.hexdigest()}
                need(found == want, f"{name} is not the file that was signed.")
        need(self.archive.read("key.txt") == f"{self.key}\n".encode(), "key.txt is another key.")
        der = bytes.fromhex("302a300506032b6570032100") + key_parts(self.key)[2]
        pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
        need(self.archive.read("key.pem").decode() == pem, "key.pem is another key.")

    def checkpoint(self) -> None:
        self.size, self.root = checkpoint(self.archive.read("checkpoint.note").decode(), self.key)
        stated = self.manifest["checkpoint"]
        need(
            (stated["size"], decoded(stated["root"])) == (self.size, self.root), "The manifest's checkpoint is another."
        )
        self.proven[self.size] = self.root

    def lines(self, name: str) -> Iterator[bytes]:
        if name not in self.archive.namelist():
            return
        with self.archive.open(name) as file:
            for line in file:
                need(line.endswith(b"\n"), f"{name} does not end with a newline.")
                yield line[:-1]

    def placed(self, name: str) -> Iterator[tuple[int, bytes]]:
        need(name in self.archive.namelist(), f"There is no {name}.")
        before = -1
        for line in self.lines(name):
            place, _, rest = line.partition(b"\t")
            need(re.fullmatch(rb"0|[1-9][0-9]{0,15}", place), f"{name} has a line without a place.")
            need(int(place) > before, f"{name} is not in order.")
            before = int(place)
            yield before, rest

    def fits(self, place: int, leaf: dict[str, Any]) -> bool:
        chosen = self.manifest["filter"]
        if chosen["system"] not in ("", leaf["system"]) or (chosen["kinds"] and leaf["kind"] not in chosen["kinds"]):
            return False
        if chosen["policy"] or chosen["case"] is not None:
            return bool(place != self.manifest["begun"])
        since, until = chosen["since"], chosen["until"]
        return bool((since is None or leaf["at"] >= since) and (until is None or leaf["at"] < until))

    def events(self, kept: int = -1) -> None:
        """Leaves, hashes and records in one pass."""
        chosen, begun = self.manifest["filter"], self.manifest["begun"]
        need(chosen.keys() == _FILTER, "The filter has other members.")
        self.whole = not (chosen["policy"] or chosen["kinds"]) and chosen["case"] is None
        everything = self.whole and not chosen["system"] and chosen["since"] is None and chosen["until"] is None
        tree, hashes = Tree(), self.placed("hashes.tsv")
        waiting = next(hashes, None)
        records = {name: self.lines(f"records/{name}.jsonl") for name, _ in _RECORDS.values()}
        stated = self.manifest["records"]
        absent = {name: set(stated[name]["absent"]) for name in stated}
        found = {name: {"count": 0, "absent": []} for name, _ in _RECORDS.values()}  # type: dict[str, Any]
        tables = {name: hashlib.sha256(b"\xef\xbb\xbf" + row(_TABLES[name].split())) for name in _TABLES}
        gone: dict[str, int] = {}
        doubts: dict[Any, str] = {}
        kinds: Counter[str] = Counter()
        places: list[Any] = [0, None, None, True]
        actors = {self.manifest["made_by"]}
        runs: list[dict[str, Any]] = []
        older, upgraded, self.begun = 0, None, None

        def hash_up_to(end: int) -> None:
            nonlocal waiting
            while waiting is not None and waiting[0] < end:
                count, _, text = waiting[1].decode("ascii", "replace").partition("\t")
                need(re.fullmatch(r"[1-9][0-9]{0,15}", count), "hashes.tsv has a line without a width.")
                need(
                    waiting[0] == tree.size and int(count) & (int(count) - 1) == 0, "hashes.tsv does not fit its place."
                )
                tree.add(decoded(text), int(count).bit_length() - 1)
                if tree.size == kept:
                    self.proven[kept] = tree.root()
                waiting = next(hashes, None)

        for place, raw in self.placed("leaves.tsv"):
            hash_up_to(place)
            need(tree.size == place, f"What stands at {tree.size} is neither there nor hashed.")
            tree.add(hashlib.sha256(b"\0" + raw).digest())
            if tree.size == kept:
                self.proven[kept] = tree.root()
            leaf = leaf_of(raw)
            data, kind = leaf["data"], leaf["kind"]
            if place == begun:
                self.begun = leaf
            if kind == "log.upgraded" and leaf["v"] == 2:
                upgraded = leaf["late"]
            if kind == "call.content_added":
                doubts.pop(data.get("call"), None)
            if kind == "content.erased":
                gone.pop(leaf["subject"], None)
                for member, one in (("calls", "call"), ("reports", "report"), ("cases", "case")):
                    for number in data[member] if isinstance(data.get(member), list) else ():
                        gone.pop(f"{one}:{number}", None)
            fits = self.fits(place, leaf)
            if self.whole and chosen["system"] in ("", leaf["system"]):
                need(place <= begun or everything, f"Event {place} is from after the export began.")
                position = place
                if chosen["system"]:
                    position = older if leaf["v"] == 1 else leaf["n"]
                    older += leaf["v"] == 1
                if not runs or runs[-1]["last"] + 1 != position:
                    runs.append({"first": position, "leaf": leaf, "held": False})
                runs[-1].update(last=position, place=place, end=leaf, held=runs[-1]["held"] or fits)
            if not fits:
                continue
            places = [places[0] + 1, place if places[1] is None else places[1], place,
                      places[3] and places[2] in (None, place - 1)]  # fmt: skip
            kinds[kind] += 1
            actors.add(leaf["actor"])
            if kind not in _RECORDS:
                continue
            name, member = _RECORDS[kind]
            if place in absent[name]:
                found[name]["absent"].append(place)
                gone.setdefault(leaf["subject"], place)
                continue
            line = next(records[name], None)
            need(line is not None, f"Event {place} has no record.")
            value = json.loads(line or b"null")
            need(isinstance(value, dict) and value.get("seq") == place, f"Event {place} has no record.")
            found[name]["count"] += 1
            if name in tables:
                tables[name].update(row([cell(value[member], column) for column in _TABLES[name].split()]))
            doubt = self.compare(leaf, value[member])
            if doubt:
                doubts[data.get("call")] = f"Event {place}: {doubt}"
        hash_up_to(2**62)
        need((tree.size, tree.root()) == (self.size, self.root), "Leaves and hashes do not lead to the signed root.")
        need(all(next(one, None) is None for one in records.values()), "There is a record that no event speaks of.")
        need(not gone, f"A record is missing, and no event says that it was erased: {sorted(gone)[:5]}.")
        need(not doubts, f"A record is not what its event says. {next(iter(doubts.values()), '')}")
        for name, table in tables.items():
            stated_table = self.manifest["files"].get(f"tables/{name}.csv", {}).get("sha256")
            need(stated_table == table.hexdigest(), f"tables/{name}.csv says otherwise than the records.")
        self.derived(places, dict(kinds), found, actors)
        if self.whole:
            self.complete(runs, everything, upgraded)

    def compare(self, leaf: dict[str, Any], record: dict[str, Any]) -> str:
        """Raises `Wrong` for a record that its event contradicts; gives what later content may explain."""
        data, kind = leaf["data"], leaf["kind"]

        def same(**names: str) -> bool:
            return all(record[found] == data[proven] for proven, found in names.items() if proven in data)

        def decided(value: dict[str, Any]) -> list[Any]:
            names = ("policy", "outcome", "action", "status")
            policies = [[one.get(name) for name in names] for one in value.get("policies") or ()]
            return [
                value.get("action"),
                value.get("queue"),
                value.get("severity") or "",
                value.get("policy_set"),
                policies,
            ]

        belongs = kind in ("verdict.given", "decision.made") or record["system"] == leaf["system"]
        about = data.get("call") is None or str(data["call"]) == record.get("call_id")
        if kind == "call.recorded":
            holds = leaf["subject"] == f"call:{record['id']}" and same(trace="trace_id", span="span_id")
            need(holds and belongs and "decisions" not in record, f"The record of {leaf['subject']} is another.")
            first = same(kind="kind", captured="content_captured")
            first = first and ("release" not in data or data["release"] == record["release"]["fingerprint"])
            first = first and ("started" not in data or moment(data["started"]) == moment(record["started_at"]))
            return "" if first else f"the record of {leaf['subject']} is another."
        if kind == "decision.made":
            holds = str(data.get("decision")) == record["id"] and decided(data) == decided(record) and about
            holds = holds and same(revision="revision")
        elif kind == "verdict.given":
            holds = leaf["subject"] == f"case:{record['case_id']}" and leaf["actor"] == record["given_by"]
            holds = holds and same(outcome="outcome", reason="reason")
            holds = holds and abs((moment(leaf["at"]) - moment(record["given_at"])).total_seconds()) < 60
        else:
            holds = leaf["subject"] == f"{kind.partition('.')[0]}:{record['id']}"
            holds = holds and (kind == "report.received" or about)
        need(holds and belongs, f"The record of {leaf['subject']} ({kind}) is another.")
        return ""

    def derived(self, places: list[Any], kinds: dict[str, int], found: dict[str, Any], actors: set[str]) -> None:
        manifest, begun = self.manifest, self.begun
        need(begun is not None, "The event with which the export began is not in the package.")
        assert begun is not None
        kept = None if manifest["continues"] is None else manifest["continues"]["size"]
        data = begun["data"]
        said = [begun["kind"], data.get("filter"), data.get("export"), data.get("kept"), begun["actor"], begun["at"],
                begun["system"]]  # fmt: skip
        want = ["export.begun", manifest["filter"], manifest["export"], kept, manifest["made_by"], manifest["made_at"],
                manifest["filter"]["system"]]  # fmt: skip
        need(said == want, "The export that began is not the one that the manifest states.")
        stated = [manifest["leaves"][name] for name in ("count", "first", "last", "contiguous")]
        need(stated == places and len(manifest["leaves"]) == 4, "The counts differ.")
        need(manifest["kinds"] == kinds, "The kinds differ.")
        need(manifest["records"] == found, "The counts of records differ.")
        need(manifest["names"].keys() <= actors, "The manifest names somebody who did nothing here.")

    def complete(self, runs: list[dict[str, Any]], everything: bool, upgraded: Any) -> None:
        chosen, begun = self.manifest["filter"], self.begun
        assert begun is not None

        def begins(run: dict[str, Any]) -> bool:
            if chosen["system"] and run["end"]["v"] == 1:
                return False
            late = run["leaf"].get("late", None if chosen["system"] else upgraded)
            if run["first"] == 0:
                return True
            return chosen["since"] is not None and late is not None and (
                micros(run["leaf"]["at"]) + late < micros(chosen["since"]))  # fmt: skip

        def ends(run: dict[str, Any]) -> bool:
            if run["place"] == (self.size - 1 if everything else self.manifest["begun"]):
                return True
            return chosen["until"] is not None and (
                micros(run["end"]["at"]) - begun["late"] >= micros(chosen["until"]))  # fmt: skip

        held = [run for run in runs if run["held"]]
        need(len(held) < 2 and any(begins(run) and ends(run) for run in held or runs),
             "Events are left out of what was asked for.")  # fmt: skip

    def made(self) -> None:
        raw = self.archive.read("made.json")
        made, manifest = json.loads(raw), self.manifest
        need(list(made) == ["place", "leaf", "proof", "checkpoint", "consistency"], "made.json has other members.")
        need(raw == json.dumps(made, indent=1).encode() + b"\n", "made.json is not in its one form.")
        size, root = checkpoint(made["checkpoint"], self.key, alone=True)
        proof, path = ([decoded(one) for one in made[name]] for name in ("proof", "consistency"))
        need(consistent(self.size, size, path, self.root, root), "The log of made.json does not continue this one.")
        need(included(made["leaf"].encode(), made["place"], size, proof, root), "export.made is not in the log.")
        leaf = leaf_of(made["leaf"].encode())
        data = leaf["data"]
        said = [leaf["kind"], leaf["actor"], leaf["system"], *(data.get(name) for name in
                ("export", "begun", "filter", "events", "manifest"))]  # fmt: skip
        want = ["export.made", manifest["made_by"], manifest["filter"]["system"], manifest["export"], manifest["begun"],
                manifest["filter"], manifest["leaves"]["count"], hashlib.sha256(self.text).hexdigest()]  # fmt: skip
        need(said == want and made["place"] >= self.size, "The log states another package than this one.")
        self.proven[size] = root

    def continuity(self, kept: tuple[int, bytes] | None) -> None:
        stated = self.manifest["continues"]
        if stated is not None:
            root = decoded(stated["root"])
            proof = [decoded(one) for one in stated["proof"]]
            need(consistent(stated["size"], self.size, proof, root, self.root), "The proof of continuity fails.")
            self.proven.setdefault(stated["size"], root)
        if kept is not None:
            if kept[0] not in self.proven:
                raise Unproven(f"The package has no proof for the kept checkpoint of {kept[0]} events.")
            need(self.proven[kept[0]] == kept[1], "DIVERGED: the kept checkpoint is of another history.")


def verify(path: str, key: str = "", note: str = "") -> list[str]:
    """What was shown of a package, in words. Raises `Wrong` and `Unproven`."""
    try:
        package = Package(path)
        need(not key or key_parts(key) == key_parts(package.key), "The package was not signed with the key you gave.")
        kept = checkpoint(note, package.key) if note else None
        need(kept is None or kept[0] > 0, "The checkpoint is of 0 events, and proves nothing.")
        package.signature()
        package.files()
        package.checkpoint()
        package.events(-1 if kept is None else kept[0])
        package.made()
        package.continuity(kept)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, EOFError) as error:
        raise Wrong(f"The package is not of its shape ({type(error).__name__}).") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise Wrong(f"The archive is damaged ({error}).") from None
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise Wrong("The archive is damaged.") from None
        raise
    if not key and kept is None:
        raise Unproven(f"It holds together, but nobody vouches for its key. Give the one you trust: {package.key}")
    chosen = {name: value for name, value in package.manifest["filter"].items() if value not in ("", None, [])}
    return [
        "WITNESSED: the log continues the checkpoint that was kept." if kept else "SIGNED ONLY: by the key you gave.",
        f"{'COMPLETE' if package.whole else 'PARTIAL'}: {chosen or 'the whole log'}, "
        f"{package.manifest['leaves']['count']} events, as of {package.manifest['made_at']}.",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence package.")
    parser.add_argument("package")
    parser.add_argument("--key", default="", help="the log's public key: a file, or the line itself")
    parser.add_argument("--checkpoint", default="", help="a checkpoint that you kept: a file")
    given = parser.parse_args()
    try:
        key = Path(given.key).read_text() if given.key and Path(given.key).is_file() else given.key
        note = Path(given.checkpoint).read_text() if given.checkpoint else ""
        for line in verify(given.package, key.strip(), note):
            sys.stdout.write(f"{line}\n")
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Wrong as error:
        sys.stdout.write(f"NOT VERIFIED: {error}\n")
        return 1
    except Unproven as error:
        sys.stdout.write(f"NOT PROVEN: {error}\n")
        return 1
    sys.stdout.write("Verified: nothing was changed.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
