"""The growing side of the tree as tiles (C2SP tlog-tiles): 256 hashes of 32 bytes each, level above level.

A tile of level L holds the roots of 256 perfect subtrees of 256**L leaves. Complete tiles never change; what is
incomplete is the edge, at most 255 hashes a level, from which new leaves and the root are reckoned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from governance.audit.merkle import EMPTY_ROOT, HASH_SIZE, node_hash, pair_hashes, perfect_root
from governance.errors import Tampered

HEIGHT = 8  # of a tile
WIDTH = 1 << HEIGHT
TILE_SIZE = WIDTH * HASH_SIZE


@dataclass(frozen=True, slots=True)
class Tile:
    """A complete tile: its level, its number within the level, its 256 hashes end to end."""

    level: int
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a tree of `size` leaves ends: `levels` are its incomplete tiles, lowest first; `subtrees` its compact
    range, by height the root of the perfect subtree that stands there, or nothing. Immutable: `append` gives the next.

    The subtrees follow from the levels, and are kept so that new leaves cost one hash each and the root a few.
    """

    size: int = 0
    levels: tuple[bytes, ...] = ()
    subtrees: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """Reads `to_bytes`; the size says how many hashes each level has. Raises `Tampered` if it does not fit."""
        levels: list[bytes] = []
        roots: list[bytes] = []
        at, rest = 0, size
        while rest:
            length = rest % WIDTH * HASH_SIZE
            row = data[at : at + length]
            if len(row) != length:
                break
            levels.append(row)
            # Above the leaves' own row, most of it is as it was at the last commit.
            roots += _row_range(row) if len(levels) == 1 else _remembered(row)
            at += length
            rest //= WIDTH
        if rest or at != len(data):
            raise Tampered(f"The stored edge of the log does not fit its size of {size}.")
        return cls(size, tuple(levels), tuple(roots[: size.bit_length()]))

    def to_bytes(self) -> bytes:
        return b"".join(self.levels)

    def append(self, hashes: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
        """The edge after further leaf hashes (32 bytes each), and the tiles that became complete."""
        if not set(map(len, hashes)) <= {HASH_SIZE}:
            raise ValueError("a hash is not 32 bytes long")
        levels, subtrees = list(self.levels), list(self.subtrees)
        tiles: list[Tile] = []
        nodes = list(hashes)  # the new ones of a height
        height = 0
        while nodes:
            level, within = divmod(height, HEIGHT)
            if not within:
                if level == len(levels):
                    levels.append(b"")
                row = levels[level] + b"".join(nodes)
                complete = len(row) - len(row) % TILE_SIZE
                number = self.size >> (height + HEIGHT)
                tiles += [
                    Tile(level, number + at // TILE_SIZE, row[at : at + TILE_SIZE])
                    for at in range(0, complete, TILE_SIZE)
                ]
                levels[level] = row[complete:]
            if height == len(subtrees):
                subtrees.append(b"")
            if subtrees[height]:
                nodes.insert(0, subtrees[height])
            subtrees[height] = nodes.pop() if len(nodes) % 2 else b""
            nodes = pair_hashes(nodes)
            height += 1
        return Edge(self.size + len(hashes), tuple(levels), tuple(subtrees)), tiles

    def root(self) -> bytes:
        """MTH of RFC 6962 §2.1 over all `size` leaves."""
        result = b""
        for subtree in self.subtrees:
            if subtree:
                result = node_hash(subtree, result) if result else subtree
        return result or EMPTY_ROOT


def _row_range(row: bytes) -> list[bytes]:
    """The compact range of a row of at most 255 hashes: they stand in it from left to right as the bits of its length
    do."""
    found = []
    for height in range(HEIGHT):
        width = (len(row) // HASH_SIZE & 1 << height) * HASH_SIZE
        found.append(perfect_root(row[-width:]) if width else b"")
        row = row[: len(row) - width]
    return found


_remembered = lru_cache(maxsize=32)(_row_range)


class TileReader:
    """Nodes of a stored tree: complete tiles from `load(level, number)`, the rest from the edge."""

    def __init__(self, edge: Edge, cache: int = 512) -> None:
        self.edge = edge
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._cache = cache

    def load(self, level: int, number: int) -> bytes:
        """The 8,192 bytes of a complete tile. Raises `Tampered` when it is not there."""
        raise NotImplementedError

    def tile(self, level: int, number: int) -> bytes:
        """A complete tile, or what there is of the last one."""
        if number == self.edge.size >> (8 * (level + 1)):
            return self.edge.levels[level] if level < len(self.edge.levels) else b""
        found = self._tiles.get((level, number))
        if found is None:
            found = self.load(level, number)
            if len(found) != TILE_SIZE:
                raise Tampered(f"Tile {level}/{number} is not 8,192 bytes long.")
            if len(self._tiles) >= self._cache:
                self._tiles.pop(next(iter(self._tiles)))
            self._tiles[level, number] = found
        return found

    def node(self, level: int, index: int) -> bytes:
        """As `merkle.Node`."""
        row, height = divmod(level, 8)
        first = index << height
        tile = self.tile(row, first // WIDTH)
        at = first % WIDTH * HASH_SIZE
        hashes = tile[at : at + (HASH_SIZE << height)]
        if len(hashes) != HASH_SIZE << height:
            raise Tampered(f"The log has no node {level}/{index}.")
        return perfect_root(hashes)
