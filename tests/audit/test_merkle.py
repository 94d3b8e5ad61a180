"""The tree against published vectors (certificate-transparency's reference test data) and against RFC 6962 itself."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.audit import merkle
from governance.audit.tiles import Edge, TileReader
from governance.errors import Tampered

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
MANY = [merkle.leaf_hash(b"%d" % number) for number in range(1200)]


def by_the_book(hashes: list[bytes]) -> bytes:
    """MTH, word for word as RFC 6962 §2.1 says it."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + by_the_book(hashes[:k]) + by_the_book(hashes[k:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root(HASHES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_published_inclusion_proof() -> None:
    proof = merkle.inclusion_proof(5, 8, merkle.node_of(HASHES))
    assert [one.hex() for one in proof] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_a_published_consistency_proof() -> None:
    proof = merkle.consistency_proof(6, 8, merkle.node_of(HASHES))
    assert [one.hex() for one in proof] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(st.integers(0, len(MANY)))
def test_any_root_is_by_the_book(size: int) -> None:
    assert merkle.root(MANY[:size]) == by_the_book(MANY[:size])


@given(st.data())
def test_every_leaf_of_any_tree_is_proven_and_no_other_is(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(MANY)))
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(MANY[:size])
    proof = merkle.inclusion_proof(index, size, merkle.node_of(MANY))
    merkle.verify_inclusion(MANY[index], index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index)) if size > 1 else None
    if other is not None:
        with pytest.raises(Tampered):
            merkle.verify_inclusion(MANY[other], index, size, proof, root)
        with pytest.raises(Tampered):
            merkle.verify_inclusion(MANY[index], other, size, proof, root)
    for wrong in (proof[:-1] if proof else [root], [*proof, root]):
        with pytest.raises(Tampered):
            merkle.verify_inclusion(MANY[index], index, size, wrong, root)


@given(st.data())
def test_any_tree_continues_any_earlier_one_and_no_fork(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, len(MANY)))
    old = data.draw(st.integers(1, new))
    changed = data.draw(st.integers(0, old - 1))
    proof = merkle.consistency_proof(old, new, merkle.node_of(MANY))
    merkle.verify_consistency(old, new, proof, merkle.root(MANY[:old]), merkle.root(MANY[:new]))
    fork = [*MANY]
    fork[changed] = merkle.leaf_hash(b"forged")
    with pytest.raises(Tampered):
        merkle.verify_consistency(old, new, proof, merkle.root(fork[:old]), merkle.root(MANY[:new]))
    forged = merkle.consistency_proof(old, new, merkle.node_of(fork))
    with pytest.raises(Tampered):
        merkle.verify_consistency(old, new, forged, merkle.root(MANY[:old]), merkle.root(fork[:new]))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(Tampered):
        merkle.node_hash(b"x" * length, b"x" * 32)
    with pytest.raises(Tampered):
        merkle.verify_inclusion(MANY[0], 0, 2, [b"x" * length], MANY[0])


class Kept(TileReader):
    def __init__(self, edge: Edge, tiles: dict[tuple[int, int], bytes]) -> None:
        super().__init__(edge)
        self.kept = tiles

    def load(self, level: int, number: int) -> bytes:
        return self.kept[level, number]


@given(st.lists(st.integers(0, 700), max_size=6), st.data())
def test_tiles_give_the_same_tree_whatever_the_batches(batches: list[int], data: st.DataObject) -> None:
    edge, kept, hashes = Edge(), {}, []
    for number, count in enumerate(batches):
        batch = [merkle.leaf_hash(b"%d:%d" % (number, place)) for place in range(count)]
        hashes += batch
        edge, tiles = edge.append(batch)
        for tile in tiles:
            assert (tile.level, tile.number) not in kept
            kept[tile.level, tile.number] = tile.hashes
        assert edge.root() == merkle.root(hashes)
        assert Edge.from_bytes(edge.size, edge.to_bytes()) == edge
    if hashes:
        index = data.draw(st.integers(0, len(hashes) - 1))
        reader = Kept(edge, kept)
        expected = merkle.inclusion_proof(index, len(hashes), merkle.node_of(hashes))
        assert merkle.inclusion_proof(index, len(hashes), reader.node) == expected


def test_sixty_six_thousand_leaves_make_a_tile_of_the_third_level() -> None:
    hashes = [merkle.leaf_hash(b"%d" % number) for number in range(256 * 257)]
    edge, tiles = Edge().append(hashes)
    assert [(tile.level, tile.number) for tile in tiles if tile.level] == [(1, 0)]
    assert edge.root() == by_the_book(hashes)


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(Tampered):
        Edge.from_bytes(3, bytes(64))
