"""Signed notes and proofs, against the published example and against every changed byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.audit import merkle
from governance.audit.note import Checkpoint, Signer, Verifier, split
from governance.audit.proof import Proof
from governance.errors import BadInput, GovernanceError, Tampered

# From the documentation of golang.org/x/mod/sumdb/note, whose format C2SP signed-note is.
PETER = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

SIGNER = Signer.from_seed("test.local/audit", b"\x07" * 32)
HASHES = [merkle.leaf_hash(b"%d" % number) for number in range(21)]
SIGNED = SIGNER.sign(Checkpoint("test.local/audit", 21, merkle.root(HASHES)).text)
PROOF = Proof(13, merkle.inclusion_proof(13, 21, merkle.node_of(HASHES)), SIGNED)


def test_the_published_note_is_accepted() -> None:
    assert PETER.open(NOTE).startswith("If you think cryptography")
    assert PETER.key_id.hex() == "c74f20a3"


def test_keys_read_back_as_line_and_as_pem() -> None:
    verifier = SIGNER.verifier
    assert Verifier.parse(f"{verifier}\n") == verifier
    assert Verifier.parse(verifier.pem, name=verifier.name) == verifier


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+AQ==", str(PETER).replace("c74f", "c74e"), "x y+1+AA=="])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Verifier.parse(text)


def test_a_checkpoint_reads_back() -> None:
    assert Checkpoint.open(SIGNED, SIGNER.verifier) == Checkpoint("test.local/audit", 21, merkle.root(HASHES))


@given(st.integers(0, len(SIGNED.encode()) - 1), st.integers(1, 255))
def test_no_byte_of_a_signed_checkpoint_can_change(place: int, change: int) -> None:
    raw = bytearray(SIGNED.encode())
    raw[place] ^= change
    with pytest.raises((GovernanceError, UnicodeDecodeError)):
        Checkpoint.open(raw.decode(), SIGNER.verifier)


def test_a_cosignature_of_somebody_else_changes_nothing() -> None:
    witness = Signer.from_seed("witness.example", b"\x08" * 32)
    both = SIGNED + witness.sign(SIGNER.verifier.open(SIGNED)).rpartition("\n\n")[2]
    assert len(split(both)[1]) == 2
    assert Checkpoint.open(both, SIGNER.verifier).size == 21
    assert witness.verifier.open(both)


def test_another_logs_checkpoint_is_refused() -> None:
    with pytest.raises(Tampered, match="not signed by"):
        Checkpoint.open(SIGNED, Signer.from_seed("test.local/audit", b"\x09" * 32).verifier)
    mixed = SIGNER.sign(Checkpoint("other.example/log", 1, bytes(32)).text)
    with pytest.raises(Tampered, match=r"other\.example"):
        Checkpoint.open(mixed, SIGNER.verifier)


@pytest.mark.parametrize("text", ["o\n1\n", "o\n01\nAA==\n", "o\n-1\nAA==\n", "o\n1\nAA==\n", "\n1\nAA==\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Checkpoint.parse(text)


def test_a_proof_reads_back_and_proves_its_leaf_alone() -> None:
    again = Proof.parse(str(PROOF))
    assert again == PROOF
    assert again.verify(b"13", SIGNER.verifier).size == 21
    with pytest.raises(Tampered):
        again.verify(b"14", SIGNER.verifier)


@given(st.integers(0, len(str(PROOF).encode()) - 1), st.integers(1, 255))
def test_no_byte_of_a_proof_can_change(place: int, change: int) -> None:
    raw = bytearray(str(PROOF).encode())
    raw[place] ^= change
    with pytest.raises((GovernanceError, UnicodeDecodeError)):
        Proof.parse(raw.decode()).verify(b"13", SIGNER.verifier)
