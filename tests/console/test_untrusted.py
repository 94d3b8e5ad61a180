"""Words from calls and users never reach an element that reads Markdown, icons, colours or HTML.

Every page is drawn with hostile words in each place that somebody outside can fill; then every Markdown-reading
element of the page is searched for what could act. The browser tests look at the same with a real browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.shell import words
from governance.domain.content import PartKind
from governance.domain.people import Actor, ActorKind, Scope
from governance.services.review.reports import NewReport
from tests.console.conftest import Page
from tests.console.test_pages import listed
from tests.console.world import HOSTILE, World

ACTIVE = (
    "://",
    "www.",
    "<script",
    "<img",
    "](",
    "javascript:",
    ":material/delete:",
    ":red[boo]",
    ":smile:",
    "\u202e",
    "\u2066",
    "$x^2$",
    "`code`",
)


@pytest.fixture
def hostile(world: World) -> World:
    parts = [
        (PartKind.SYSTEM, "system", HOSTILE),
        (PartKind.INPUT, HOSTILE[:90], HOSTILE),
        (PartKind.HISTORY, "assistant", HOSTILE),
        (PartKind.INPUT, "user", HOSTILE),
        (PartKind.OUTPUT, "assistant", HOSTILE),
        (PartKind.DOCUMENT, HOSTILE, HOSTILE),
        (PartKind.TOOL_CALL, HOSTILE, HOSTILE),
        (PartKind.TOOL_RESULT, HOSTILE, HOSTILE),
    ]
    call = world.call(
        HOSTILE[:190],
        said=parts,
        name=HOSTILE[:190],
        role=HOSTILE[:90],
        model=HOSTILE[:190],
        error=HOSTILE,
        action="block",
        queue="security",
    )
    world.case(HOSTILE[:190], title=HOSTILE[:290], answer=HOSTILE, explanation=HOSTILE, value=HOSTILE, call=call)
    world.call(HOSTILE[:190], status="failed", failure=HOSTILE[:490], name=HOSTILE[:190])
    reporter = Actor(kind=ActorKind.KEY, id=1, name="portal", scopes=(Scope.REPORT,))
    world.application.reports.submit(
        reporter, NewReport(why=HOSTILE, call_id=call, claim=HOSTILE, correct_source=HOSTILE, contact=HOSTILE[:290])
    )
    review = world.application.review
    claim = review.claim(world.people["reviewer"], world.cases[0])
    review.escalate(world.people["reviewer"], world.cases[0], claim.lease_token, HOSTILE)
    return world


def marked_up(node: Any) -> Iterator[tuple[str, str]]:
    """Everything on the page that the browser would read as Markdown: bodies, labels, help, options, titles."""
    for element in node:
        kind = element.type
        proto = element.proto
        if kind in ("text", "code", "arrow_data_frame", "arrow_vega_lite_chart", "unknown"):
            continue
        for field in ("body", "label", "help", "delta", "caption"):
            value = getattr(proto, field, "")
            if isinstance(value, str) and value:
                yield f"{kind}.{field}", value
        if kind in ("button_group", "pills", "segmented_control"):
            for option in getattr(proto, "options", ()):
                yield f"{kind}.option", str(option)
        if kind in ("arrow_table", "table"):
            yield f"{kind}.value", element.value.to_string()


PAGES = [
    ("overview", "compliance_officer", ""),
    ("queue", "senior_reviewer", ""),
    ("case", "senior_reviewer", "case"),
    ("case", "senior_reviewer", "report"),
    ("calls", "engineer", ""),
    ("call", "engineer", "call"),
    ("call", "engineer", "failed"),
    ("reports", "compliance_officer", ""),
    ("audit", "auditor", ""),
    ("access", "auditor", ""),
    ("admin", "admin", ""),
]


@pytest.mark.parametrize(("name", "who", "which"), PAGES)
def test_hostile_words_stay_words(hostile: World, page: Page, name: str, who: str, which: str) -> None:
    hostile.person(HOSTILE[:190])
    number = {
        "case": hostile.cases[0],
        "report": hostile.cases[0] + 1,
        "call": hostile.calls[0],
        "failed": hostile.calls[1],
        "": 0,
    }[which]
    test = page(name, who, **({"id": str(number)} if number else {}))
    assert not test.exception, [error.value for error in test.exception]
    looked = list(marked_up([*test.main, *test.sidebar]))
    assert len(looked) > 8, "the page was drawn"
    for where, value in looked:
        for active in ACTIVE:
            assert active not in value, f"{where}: {value[:200]}"


def test_hostile_words_are_shown_all_the_same(hostile: World, page: Page) -> None:
    shown = listed(page("calls", "engineer"))
    assert any("<script>alert(document.domain)" in row["What was said, redacted"] for row in shown)
    case = page("case", "senior_reviewer", id=str(hostile.cases[0]))
    assert any(HOSTILE in text.value for text in case.text)


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "www.evil.example",
        "https://evil.example",
        "# big",
        "- list",
        "1. x",
        "![](a)",
        ":red[x]",
        "a_b_c",
        "\u202e",
    ],
)
def test_a_name_fit_for_a_label_can_not_act(text: str) -> None:
    name = words.name(text, 500)
    for active in (*ACTIVE, "[", "]", "<", ">", ":", "*", "`", "$", "#", "~", "|", "www."):
        assert active not in name
    assert not name.startswith(("-", "+", "#", " "))
