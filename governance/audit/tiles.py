"""The growing side of the tree as tiles (C2SP tlog-tiles): 256 hashes of 32 bytes each, level above level.

A tile of level L holds the roots of 256 perfect subtrees of 256**L leaves. Complete tiles never change; what is
incomplete is the edge, at most 255 hashes a level, from which new leaves and the root are reckoned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from governance.audit.merkle import EMPTY_ROOT, HASH_SIZE, node_hash, perfect_root
from governance.errors import Tampered

WIDTH = 256
TILE_SIZE = WIDTH * HASH_SIZE


@dataclass(frozen=True, slots=True)
class Tile:
    """A complete tile: its level, its number within the level, its 256 hashes end to end."""

    level: int
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """The incomplete tiles of a tree of `size` leaves, lowest level first. Immutable: `append` gives the next one."""

    size: int = 0
    levels: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """Reads `to_bytes`; the size says how many hashes each level has. Raises `Tampered` if it does not fit."""
        levels: list[bytes] = []
        at, rest = 0, size
        while rest:
            length = rest % WIDTH * HASH_SIZE
            levels.append(data[at : at + length])
            at += length
            rest //= WIDTH
        if at != len(data):
            raise Tampered(f"The stored edge of the log does not fit its size of {size}.")
        return cls(size, tuple(levels))

    def to_bytes(self) -> bytes:
        return b"".join(self.levels)

    def append(self, hashes: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
        """The edge after further leaf hashes (32 bytes each), and the tiles that became complete."""
        added = b"".join(hashes)
        if len(added) != len(hashes) * HASH_SIZE:
            raise ValueError("a hash is not 32 bytes long")
        levels = list(self.levels)
        tiles: list[Tile] = []
        level = 0
        while added:
            if level == len(levels):
                levels.append(b"")
            row = levels[level] + added
            number = self.size >> (8 * (level + 1))
            roots = []
            complete = len(row) - len(row) % TILE_SIZE
            for at in range(0, complete, TILE_SIZE):
                tile = row[at : at + TILE_SIZE]
                tiles.append(Tile(level, number + at // TILE_SIZE, tile))
                roots.append(perfect_root(tile))
            levels[level] = row[complete:]
            added = b"".join(roots)
            level += 1
        return Edge(self.size + len(hashes), tuple(levels)), tiles

    def root(self) -> bytes:
        """MTH of RFC 6962 §2.1 over all `size` leaves."""
        result = b""
        for level, row in enumerate(self.levels):
            # Above the leaves' own row, most of what is left of the newest hash is as it was at the last commit.
            root_of = _remembered if level else perfect_root
            while row:
                # The perfect subtrees of a row stand from left to right as the bits of its length do.
                count = len(row) // HASH_SIZE
                width = (count & -count) * HASH_SIZE
                part = root_of(row[-width:])
                result = node_hash(part, result) if result else part
                row = row[:-width]
        return result or EMPTY_ROOT


_remembered = lru_cache(maxsize=32)(perfect_root)


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
        """A complete tile, or of the last one what there is."""
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
