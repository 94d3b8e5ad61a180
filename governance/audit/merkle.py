"""The Merkle tree of RFC 6962 §2.1 over SHA-256: roots, inclusion and consistency proofs, and their verification.

Proofs are made from the hashes of ranges of leaves, so that the same functions serve a list of hashes in memory and
the tiles of a stored log: `node(level, index)` gives the hash of the perfect subtree over the 2**level leaves from
index * 2**level on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from governance.errors import Tampered

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]

_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return _sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each, without a call for each."""
    return [_sha256(b"\x00" + leaf).digest() for leaf in leaves]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right); both must be 32 bytes, or another tree could have the same root."""
    if len(left) != HASH_SIZE or len(right) != HASH_SIZE:
        raise Tampered("A hash is not 32 bytes long.")
    return _sha256(b"\x01" + left + right).digest()


def pair_hashes(hashes: Sequence[bytes]) -> list[bytes]:
    """`node_hash` of the first and second, third and fourth, and so on, each known to be 32 bytes; their number is
    even."""
    both = iter(hashes)
    return [_sha256(b"\x01" + left + right).digest() for left, right in zip(both, both, strict=True)]


def perfect_root(hashes: bytes) -> bytes:
    """The root over 2**n hashes laid end to end, n >= 0."""
    count = len(hashes) // HASH_SIZE
    if count == 0 or count & (count - 1) or len(hashes) != count * HASH_SIZE:
        raise ValueError("a perfect subtree has a power of two of hashes of 32 bytes")
    nodes = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]
    while len(nodes) > 1:
        nodes = pair_hashes(nodes)
    return nodes[0]


def node_of(hashes: Sequence[bytes]) -> Node:
    """`node` over leaf hashes held in memory."""

    def node(level: int, index: int) -> bytes:
        width = 1 << level
        return perfect_root(b"".join(hashes[index * width : (index + 1) * width]))

    return node


def range_root(start: int, end: int, node: Node) -> bytes:
    """The root over the leaves start to end (exclusive), as they stand in a tree: `start` is a multiple of the
    smallest power of two that is not below the width (0 is a multiple of all)."""
    if start == end:
        return EMPTY_ROOT
    parts = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(node(level, start >> level))
        start += 1 << level
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def root(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1 over leaf hashes; of none, SHA-256 of nothing."""
    if any(len(one) != HASH_SIZE for one in hashes):
        raise Tampered("A hash is not 32 bytes long.")
    return range_root(0, len(hashes), node_of(hashes))


def withheld(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(level, index) of the perfect subtrees that make up the leaves start to end (exclusive), from left to right."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


class Frontier:
    """A tree as it grows from left to right, by leaf hashes and by the roots of perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[tuple[int, bytes]] = []

    def add(self, hashed: bytes, level: int = 0) -> None:
        """Adds the 2**level leaves of which `hashed` is the root. Raises `Tampered` where none can stand."""
        width = 1 << level
        if self.size & (width - 1) or len(hashed) != HASH_SIZE:
            raise Tampered(f"No subtree of {width} leaves can stand at {self.size}.")
        self.size += width
        roots = self._roots
        while roots and roots[-1][0] == level:
            hashed = _sha256(b"\x01" + roots.pop()[1] + hashed).digest()
            level += 1
        roots.append((level, hashed))

    def root(self) -> bytes:
        """MTH of RFC 6962 §2.1 over all leaves so far."""
        result = b""
        for _, one in reversed(self._roots):
            result = node_hash(one, result) if result else one
        return result or EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1: the hashes that lead from leaf `index` to the root of the first `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return [range_root(first, last, node) for first, last in reversed(ranges)]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF of RFC 6962 §2.1.2: that the tree of `new` leaves begins with the tree of `old` (0 < old <= new)."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    ranges = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return [range_root(first, last, node) for first, last in reversed(ranges)]


def root_from_inclusion(hashed: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root to which an inclusion proof leads (RFC 9162 §2.1.3.2); raises `Tampered` if it cannot be one."""
    if not 0 <= index < size:
        raise Tampered(f"Leaf {index} is not in a tree of {size}.")
    place, last, result = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            raise Tampered(f"The proof of leaf {index} is too long.")
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise Tampered(f"The proof of leaf {index} is too short.")
    return result


def verify_inclusion(hashed: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Raises `Tampered` unless `hashed` is leaf `index` of the tree of `size` leaves with root `expected`."""
    if root_from_inclusion(hashed, index, size, proof) != expected:
        raise Tampered(f"Leaf {index} is not in the tree of {size} leaves that was signed.")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raises `Tampered` unless the tree of `new` leaves begins with the tree of `old` (RFC 9162 §2.1.4.2)."""
    broken = Tampered(f"The log of {new} events does not continue the one of {old}.")
    if not 0 < old <= new or len(old_root) != HASH_SIZE or len(new_root) != HASH_SIZE:
        raise broken  # the log of 0 events is the beginning of every log, and says nothing of any
    if old == new:
        if proof or old_root != new_root:
            raise broken
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise broken
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise broken
        if place & 1 or place == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        place >>= 1
        last >>= 1
    if last or first != old_root or second != new_root:
        raise broken
