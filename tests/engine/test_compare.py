"""What policies read of a call, told by their conditions: perhaps too much, never too little."""

from __future__ import annotations

import pytest

from governance.engine.compare import DOCUMENTS, read_by
from tests.policy.samples import policy

LASTING = {"expires": "2027-11-01", "approved_by": "risk", "reason": "known"}


@pytest.mark.parametrize(
    ("when", "read"),
    [
        ("findings.size() > 0", set()),
        ("call.duration_ms > 5.0 && call.model == 'm'", {"duration_ms", "model"}),
        ("call.user.role == 'staff' && call.documents.size() > 1", {DOCUMENTS}),
        ("call . user\n. role != '' && call.documents\n.size( ) == 0", {DOCUMENTS}),
        ("call.user.role != call.user.id", {"user"}),
        ("call.documents.size() > 0 && call.documents[0].id == 'faq'", {"documents"}),
        ("call.documents.filter(d, d.score > 0.5).size() > 1", {"documents"}),
        ("call.documents.size() > 1 && [call].exists(c, c.documents[0].id == 'faq')", {"documents"}),
        ("call.user.role == 'user' && call.documents.size() > 0", {"user", DOCUMENTS}),  # a word too many
    ],
)
def test_a_part_of_a_field_is_told_from_the_whole(when: str, read: set[str]) -> None:
    assert read_by(policy(when=when, params={})) == read


def test_exceptions_are_read_too() -> None:
    exceptions = [{"when": "call.documents.exists(d, d.id == 'faq')", **LASTING}]
    assert read_by(policy(when="call.documents.size() > 0", params={}, exceptions=exceptions)) == {"documents"}
