"""An address that asks for what a page does not have: the page says so, and does not pass for what was asked."""

from __future__ import annotations

import pytest

from tests.console.conftest import Page
from tests.console.test_pages import spoken
from tests.console.world import World

SAID = "Not all that the address asks for is shown here"


@pytest.mark.parametrize(
    ("view", "query", "words"),
    [
        ("calls", {"system": "Claims asistant"}, "is not among what this page shows. Did you mean 'Claims assistant'?"),
        ("calls", {"only": "flaged"}, "Did you mean 'Flagged'?"),
        ("calls", {"kind": "nonsense"}, "asks for kind “nonsense”"),
        ("calls", {"state": "done"}, "asks for state “done”"),
        ("calls", {"time": "yesterday"}, "asks for time “yesterday”"),
        ("calls", {"sytem": "support-bot"}, "names “sytem”, which this page does not know. Did you mean 'system'"),
        ("queue", {"view": "Mien"}, "Did you mean 'Mine'?"),
        ("queue", {"of": "suport-bot"}, "asks for of “suport-bot”"),
        ("queue", {"queue": "securty"}, "asks for queue “securty”"),
        ("queue", {"severity": "dire"}, "asks for severity “dire”"),
        ("overview", {"system": "suport-bot"}, "asks for system “suport-bot”"),
        ("policies", {"show": "nonsense"}, "asks for show “nonsense”"),
        ("audit", {"who": "Nobody Known"}, "asks for who “Nobody Known”"),
        ("audit", {"show": "nonsense"}, "asks for show “nonsense”"),
        ("audit", {"about": "case x"}, "asks for about “case x”, which cannot be read"),
        ("calls", {"system": "<img src=x> [a](http://x)" * 20}, "<img src=x> [a](http://x)"),
    ],
)
def test_a_word_is_said_of_what_the_page_does_not_know(
    world: World, page: Page, view: str, query: dict[str, str], words: str
) -> None:
    world.case()
    role = "auditor" if view == "audit" else "reviewer"
    test = page(view, role, **query)
    assert not test.exception, [error.value for error in test.exception]
    assert SAID in spoken(test)
    assert any(words in text.value for text in test.text), [text.value for text in test.text]
    assert not any(words in str(markdown.value) for markdown in test.markdown)  # text only


@pytest.mark.parametrize(
    ("view", "query"),
    [
        ("calls", {}),
        ("calls", {"only": "Flagged", "words": "anything at all", "model": "any", "time": "7 days"}),
        ("queue", {"view": "Mine", "find": "x", "severity": "High"}),
        ("policies", {"show": "All", "find": "x"}),
        ("audit", {"show": "Reveals", "who": "Anybody", "about": "Case 214"}),
        ("audit", {"about": ""}),
    ],
)
def test_nothing_is_said_of_what_it_knows(world: World, page: Page, view: str, query: dict[str, str]) -> None:
    world.case()
    test = page(view, "auditor" if view == "audit" else "reviewer", **query)
    assert not test.exception, [error.value for error in test.exception]
    assert SAID not in spoken(test)
