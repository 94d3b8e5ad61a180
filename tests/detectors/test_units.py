"""Detect once: units of detectors know nothing of each other, so that only what changed runs again, with the same
outcome as if all had run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.detectors.interface import Attention, DetectorUse
from governance.detectors.patterns import PatternDetector
from governance.detectors.patterns.packs import load_pack, pack_names
from governance.detectors.registry import build
from governance.detectors.runner import KnownFindings, Runner, found_before, unit_of
from governance.domain.content import Content, ContentKind
from governance.domain.findings import DetectorFailure, Examination, Finding

HITS = [hit for name in pack_names() for rule in load_pack(name).rules for hit in rule.hits[:1]]
TEXTS = st.lists(st.sampled_from(HITS) | st.text(max_size=20), min_size=1, max_size=6).map(" \n".join)
SUBSETS = st.sets(st.sampled_from(pack_names()), min_size=1)


def content(text: str) -> Content:
    return Content(kind=ContentKind.MESSAGE, text=text, role="user")


def patterns(*packs: str) -> Runner:
    return build([DetectorUse(name="patterns", options={"packs": list(packs)})])


def key(finding: Finding) -> str:
    return repr(finding)


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, before=SUBSETS, after=SUBSETS)
def test_what_earlier_packs_found_and_new_ones_find_is_what_all_find(
    text: str, before: set[str], after: set[str]
) -> None:
    old, new = patterns(*before), patterns(*after)
    found = found_before(new.units, [(old.units, old.examine(content(text)))])
    (completed,) = new.complete([content(text)], [found])
    whole = new.examine(content(text))
    wanted = [one for one in whole.findings if one.rule != "payload-budget"]
    got = [one for one in completed.findings if one.rule != "payload-budget"]
    assert sorted(map(key, got)) == sorted(map(key, wanted))


def test_a_pack_alone_is_a_unit_and_rivals_change_together() -> None:
    one, other = patterns("injection", "pii").units, patterns("injection", "pii", "secrets").units
    assert one["patterns/injection"] == other["patterns/injection"]
    assert one["patterns/pii"] != other["patterns/pii"]


class Words:
    """Finds a word; counts how often it was asked."""

    def __init__(self, name: str, word: str, version: str = "1") -> None:
        self.name, self.word, self.version = name, word, version
        self.asked = 0

    def examine(self, content: Content) -> Sequence[Finding]:
        self.asked += 1
        if content.text == "break":
            raise ValueError("no")
        at = content.text.find(self.word)
        if at < 0:
            return ()
        found = Finding(detector=self.name, category="x", rule=self.word, score=1.0, start=at, end=at + len(self.word))
        return (found,)


def test_only_the_changed_detector_runs() -> None:
    kept, changed = Words("kept", "one"), Words("changed", "two", version="2")
    old = Runner(content_detectors=[Words("kept", "one"), Words("changed", "zwei")])
    new = Runner(content_detectors=[kept, changed])
    earlier = old.examine(content("one two"))
    (done,) = new.complete([content("one two")], [found_before(new.units, [(old.units, earlier)])])
    assert (kept.asked, changed.asked) == (0, 1)
    assert {finding.rule for finding in done.findings} == {"one", "two"}


def test_what_a_detector_left_out_of_the_set_found_is_not_taken_over() -> None:
    old = Runner(content_detectors=[Words("kept", "one"), Words("gone", "two")])
    new = Runner(content_detectors=[Words("kept", "one")])
    found = found_before(new.units, [(old.units, old.examine(content("one two")))])
    assert not found.missing
    assert [finding.detector for finding in found.findings] == ["kept"]


def test_what_failed_is_asked_again_and_only_that() -> None:
    well, ill = Words("well", "one"), Words("ill", "two")
    runner = Runner(content_detectors=[well, ill])
    earlier = Examination(
        findings=tuple(well.examine(content("one"))), failures=(DetectorFailure(detector="ill", reason="away"),)
    )
    (done,) = runner.complete([content("one two")], [found_before(runner.units, [(runner.units, earlier)])])
    assert (well.asked, ill.asked) == (1, 1)
    assert {finding.rule for finding in done.findings} == {"one", "two"}
    assert not done.failures


def test_a_late_detector_that_skipped_looks_once_the_rest_finds_something() -> None:
    costly = Words("costly", "two")
    attention = {"costly": Attention(on="flagged", late=True)}
    old = Runner(content_detectors=[Words("cheap", "nothing"), Words("costly", "two")], attention=attention)
    new = Runner(content_detectors=[Words("cheap", "one", version="2"), costly], attention=attention)
    earlier = old.examine(content("one two"))
    assert earlier.skipped == ("costly",)
    (done,) = new.complete([content("one two")], [found_before(new.units, [(old.units, earlier)])])
    assert {finding.rule for finding in done.findings} == {"one", "two"}
    (quiet,) = new.complete([content("two")], [found_before(new.units, [(old.units, earlier)])])
    assert quiet.skipped == ("costly",)


def test_several_earlier_sets_together_know_everything() -> None:
    runner = Runner(content_detectors=[Words("a", "one"), Words("b", "two")])
    text = content("one two")
    first, second = Runner(content_detectors=[Words("a", "one")]), Runner(content_detectors=[Words("b", "two")])
    found = found_before(runner.units, [(one.units, one.examine(text)) for one in (first, second)])
    assert found == KnownFindings(findings=runner.examine(text).findings, missing=frozenset())


@pytest.mark.parametrize("pack", ["injection", "unheard-of"])
def test_a_finding_is_of_its_pack_or_of_its_detector(pack: str) -> None:
    finding = Finding(detector="patterns", category="x", rule="r", score=1.0, pack=pack)
    unit = unit_of(finding, PatternDetector.of(["injection"]).units and patterns("injection").units)
    assert unit == ("patterns/injection" if pack == "injection" else "patterns")
