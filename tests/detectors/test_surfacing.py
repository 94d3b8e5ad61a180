"""An answer that repeats a source which its reader may not see: found whatever small edits hide it, and where."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detectors.access import AccessDetector, stated_labels
from governance.detectors.patterns.shingles import Words, overlap
from governance.domain.calls import Call, CallKind, Document, EndUser, Message, ToolCall
from governance.domain.content import PartKind, parts_of
from governance.domain.findings import Finding

DETECTOR = AccessDetector.load(Path("policies/access"))
MERGER = "The board will decide on the merger with the northern bank in May, after the auditors have reported."


def surfaced(
    answer: str, *documents: Document, role: str = "customer", tools: tuple[ToolCall, ...] = ()
) -> list[Finding]:
    call = Call(
        trace_id="a" * 32,
        span_id="b" * 16,
        kind=CallKind.LLM,
        system="bank",
        user=EndUser(role=role),
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
        content_captured=True,
        output=(Message(role="assistant", text=answer),),
        documents=documents,
        tool_calls=tools,
    )
    return [one for one in DETECTOR.examine_call(call, list(parts_of(call))) if one.label == "surface"]


def secret(text: str = MERGER) -> Document:
    return Document(id="minutes", text=text, labels=("board",))


@pytest.mark.parametrize(
    "answer",
    [
        f"Of course. {MERGER}",
        "I can tell you: THE BOARD   will decide on the merger\nwith the northern bank.",
        "The board will soon decide on the planned merger with the northern bank in May.",  # words put in
        "The council will decide on the merger with the southern bank in May.",  # words changed
        "The board will decide on merger with the northern bank May.",  # words left out
        "Th\u200be bo\u200bard w\u200bill decide on the merger with the northern bank.",
        "Тhe bоard will dеcide оn the mergеr with the nоrthern bаnk.",  # Cyrillic look-alikes
        "**The board** will _decide_ on the merger—with the “northern” bank.",
        "After the auditors have reported. In May: with the northern bank the merger. The board will decide on.",
    ],
)
def test_a_copy_is_found_through_small_edits(answer: str) -> None:
    (finding,) = surfaced(answer, secret())
    assert (finding.rule, finding.part, finding.index) == ("restricted-is-not-surfaced", PartKind.OUTPUT, 0)
    assert 0 <= finding.start < finding.end <= len(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot speak about decisions of the board.",
        "The board will meet in May.",
        "A merger needs the consent of the auditors, and the bank reports in May.",
        "",
    ],
)
def test_speaking_of_the_same_things_is_no_copy(answer: str) -> None:
    assert not surfaced(answer, secret())


def test_the_finding_names_the_place_in_the_answer_and_in_the_source() -> None:
    answer, source = "Naïve, but: the board will decide on the merger with the northern bank.", f"Minutes. {MERGER}"
    (finding,) = surfaced(answer, Document(id="menu", text="Soup."), secret(source))
    assert answer[finding.start : finding.end] == "the board will decide on the merger with the northern bank"
    data = finding.data
    assert (data["source"], data["source_index"], data["document"]) == ("document", 1.0, "minutes")
    assert isinstance(data["source_start"], float)
    assert isinstance(data["source_end"], float)
    assert source[int(data["source_start"]) : int(data["source_end"])].lower() == answer[finding.start : finding.end]
    assert data["run"] == 11.0


def test_what_an_allowed_source_says_too_is_no_secret() -> None:
    assert not surfaced(MERGER, secret(), Document(id="press", text=f"Press release: {MERGER}", labels=("public",)))
    assert surfaced(MERGER, secret(), Document(id="press", text="The board met.", labels=("public",)))


def test_who_may_see_it_may_be_shown_it() -> None:
    assert not surfaced(MERGER, secret(), role="executive")


def test_a_short_source_is_shown_when_the_whole_of_it_is() -> None:
    assert surfaced("Sure, it is band L6: 96,000 EUR a year.", secret("Band L6: 96,000 EUR"))
    assert not surfaced("Band L5 is 80,000 EUR.", secret("Band L6: 96,000 EUR"))


def test_text_without_spaces_is_compared_by_characters() -> None:
    text = "取締役会は五月に北部銀行との合併について決定する予定である"
    assert surfaced(f"はい。{text}。", secret(text))
    assert not surfaced("取締役会は五月に開かれます。", secret(text))


@pytest.mark.parametrize(
    ("result", "labels"),
    [
        ({"labels": ["Payroll"], "rows": []}, ("payroll",)),
        ({"metadata": {"classification": "Restricted"}}, ("restricted",)),
        ([{"text": "x", "sensitivity": "hr"}, {"label": "public"}], ("hr", "public")),
        ({"labels": 3, "label": None}, ()),
        ({"text": "labels"}, ()),
    ],
)
def test_labels_that_a_tools_result_states(result: object, labels: tuple[str, ...]) -> None:
    assert stated_labels(json.dumps(result)) == labels
    assert stated_labels(json.dumps(result)[:-1]) == ()


def test_a_tools_result_with_labels_is_a_source() -> None:
    result = json.dumps(
        {"labels": ["payroll"], "note": "Anna Berg gets the special bonus of the northern branch in December"}
    )
    (finding,) = surfaced(
        "Anna Berg gets the special bonus of the northern branch.", tools=(ToolCall(name="hr_lookup", result=result),)
    )
    assert (finding.data["source"], finding.data["tool"]) == ("tool_result", "hr_lookup")
    assert not surfaced("Anna Berg gets nothing.", tools=(ToolCall(name="hr_lookup", result=result),))


WORDS = st.lists(st.sampled_from([f"common{number}" for number in range(10)]), max_size=60)


@given(WORDS, WORDS, WORDS)
def test_whatever_surrounds_it_a_passage_is_found_whole(
    before: list[str], passage: list[str], after: list[str]
) -> None:
    unique = [f"{word}{number}" for number, word in enumerate(passage)]
    text = Words.of(" ".join([*before, *unique, *after]))
    found = overlap(text, Words.of(" ".join(unique)))
    if len(unique) < 3:
        assert found is None
        return
    assert found is not None
    assert (found.share, found.run) == (1.0, len(unique))
    assert list(text.words[found.first : found.last + 1]) == unique


@given(st.text(max_size=200), st.text(max_size=200))
def test_places_lie_in_their_texts(one: str, other: str) -> None:
    for text, source in ((one, other), (one, one), (one + other, other)):
        said, written = Words.of(text), Words.of(source)
        found = overlap(said, written)
        if found is None:
            continue
        assert 0.0 < found.share <= 1.0
        assert 0 < found.run <= found.last - found.first + 1
        start, end = said.at(found.first, found.last)
        assert 0 <= start < end <= len(text)
        start, end = written.at(found.source_first, found.source_last)
        assert 0 <= start < end <= len(source)


@given(st.integers(0, 2**32), st.integers(20, 80), st.integers(4, 7))
def test_one_changed_word_in_a_few_hides_nothing(seed: int, length: int, every: int) -> None:
    words = [f"w{number}" for number in range(length)]
    shift = random.Random(seed).randrange(every)
    edited = [f"x{at}" if at % every == shift else word for at, word in enumerate(words)]
    found = overlap(Words.of(" ".join(edited)), Words.of(" ".join(words)))
    assert found is not None
    assert found.run >= 8


def test_hostile_repetition_stays_linear() -> None:
    # Well under a second; if places were compared pair by pair it would be hours.
    assert overlap(Words.of("a " * 200_000), Words.of("a " * 100_000)) is not None
