"""Each page draws for those whom it is for, in every state, and says its answer in its title."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from governance.domain.content import PartKind
from governance.domain.people import Role, RoleBinding
from tests.console.conftest import Page
from tests.console.world import World

# What only that page has.
MARK = {"audit": "Verify now", "admin": "Add a person", "queue": "Start reviewing", "calls": "Model"}
READERS = ("reviewer", "senior_reviewer", "compliance_officer", "auditor", "engineer")


def title(test: Any) -> str:
    assert not test.exception, [error.value for error in test.exception]
    found = [markdown.value for markdown in test.markdown if markdown.value.startswith(("# ", "### "))]
    assert found, "a page has a title"
    return str(found[0]).removeprefix("# ").split(" &ensp;")[0]


def spoken(test: Any) -> str:
    """All our own words on the page, and all text-only words."""
    parts = [
        *(m.value for m in test.markdown),
        *(c.value for c in test.caption),
        *(x.value for x in test.text),
        *(c.value for c in test.code),
    ]
    return "\n".join(str(part) for part in parts)


def button(test: Any, label: str) -> Any:
    return next(b for b in test.button if b.label.startswith(label))


def labels(test: Any) -> list[str]:
    return [b.label for b in test.button]


def listed(test: Any) -> list[dict[str, Any]]:
    """The rows of the page's list, as shown, by the columns' labels; none where there is no list."""
    for drawn in test.get("bidi_component"):
        if drawn.proto.component_name == "governance_rows":
            data = json.loads(drawn.proto.json)
            names = [column["label"] for column in data["columns"]]
            return [{name: text for name, (text, _tone) in zip(names, row, strict=True)} for row in data["rows"]]
    return []


def links(test: Any) -> list[str]:
    """The page's own links, as markup."""
    return [html.proto.body for html in test.get("html") if "<a " in html.proto.body]


def test_anonymous_sees_the_way_to_sign_in_and_nothing_else(world: World, page: Page) -> None:
    world.case()
    test = page("")
    assert "Please sign in" in title(test)
    assert not listed(test)
    assert not test.button


def test_a_session_that_was_closed_shows_nothing_more(world: World, page: Page) -> None:
    world.application.sessions.close(world.token["reviewer"])
    assert "Please sign in" in title(page("", "reviewer"))


def test_a_session_under_a_given_password_shows_nothing_but_the_way_to_change_it(world: World, page: Page) -> None:
    """Such a session gets no websocket; should one come, the page gives nothing either."""
    world.case()
    people, sessions = world.application.people, world.application.sessions
    made = people.add(world.people["admin"], "dana", [RoleBinding(role=role) for role in Role])
    world.token["dana"] = sessions.sign_in_local("dana", made.password).token
    test = page("queue", "dana")
    assert "Choose a password first" in title(test)
    assert not test.button
    assert [link for link in links(test) if "/signin/password?next=%2F" in link]
    people.change_password(sessions.sign_in_local("dana", made.password).actor, made.password, "four unrelated words")
    world.token["dana"] = sessions.sign_in_local("dana", "four unrelated words").token
    assert "Start reviewing" in labels(page("queue", "dana"))


@pytest.mark.parametrize("who", ["reviewer", "nobody"])
def test_a_local_account_finds_where_to_change_its_password(page: Page, who: str) -> None:
    (link,) = [link for link in links(page("", who)) if "/signin/password" in link]
    assert 'target="_self"' in link
    assert ">Change password</a>" in link


def test_with_an_identity_provider_passwords_are_changed_there(
    world: World, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = world.application.settings.model_copy(update={"oidc_issuer": "https://id.example.org"})
    monkeypatch.setattr(world.application, "settings", elsewhere)
    assert not [link for link in links(page("", "reviewer")) if "/signin/password" in link]


def test_without_a_role_the_page_says_who_gives_one(page: Page) -> None:
    test = page("", "nobody")
    assert title(test) == "You have no role yet"
    assert labels(test) == ["Sign out"]


@pytest.mark.parametrize("who", READERS)
def test_overview_of_an_empty_installation_says_what_to_do(page: Page, who: str) -> None:
    test = page("overview", who)
    assert title(test) == "No calls yet"
    assert any("OTEL_EXPORTER_OTLP_ENDPOINT" in code.value for code in test.code)


def test_overview_counts_what_the_queue_counts(world: World, page: Page) -> None:
    world.case(severity="critical", due=-timedelta(days=1))
    world.case()
    overview = page("overview", "compliance_officer")
    assert title(overview).startswith("Under control, with ")
    figures = {metric.label: metric.value for metric in overview.metric}
    assert figures["Open cases"] == "2"
    assert figures["Past deadline"] == "1"
    assert "1 case is past the deadline" in spoken(overview)
    assert title(page("queue", "reviewer")) == "2 open cases"


@pytest.mark.parametrize("name", ["overview", "queue", "calls", "reports"])
@pytest.mark.parametrize("who", READERS)
def test_readers_see_the_reading_pages_full_and_empty(world: World, page: Page, who: str, name: str) -> None:
    title(page(name, who))
    world.case()
    title(page(name, who))


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("audit", {"compliance_officer", "auditor", "admin"}),
        ("admin", {"admin"}),
        ("queue", set(READERS)),
        ("calls", set(READERS)),
    ],
)
def test_pages_are_for_their_roles_only(page: Page, name: str, allowed: set[str]) -> None:
    for who in (*READERS, "admin"):
        test = page(name, who)
        title(test)
        assert (MARK[name] in {*labels(test), *(field.label for field in test.text_input)}) is (who in allowed), who


def test_an_administrator_who_reads_no_calls_starts_at_the_audit_trail(page: Page) -> None:
    test = page("", "admin")
    assert title(test).startswith("Every action is recorded")
    assert not test.exception


def test_who_has_no_case_to_take_is_told_so_and_can_not_press(world: World, page: Page) -> None:
    world.case()
    test = page("queue", "compliance_officer")
    (start,) = [button for button in test.button if button.label == "Start reviewing"]
    assert start.disabled
    assert "none waits for you" in spoken(test)
    assert not next(b for b in page("queue", "reviewer").button if b.label == "Start reviewing").disabled


def test_a_case_says_in_plain_sight_why_it_can_not_be_claimed(world: World, page: Page) -> None:
    number = world.case()
    assert "Reviewers claim cases; your role reads them." in spoken(page("case", "auditor", id=str(number)))


def test_every_page_names_the_zone_of_its_times(page: Page) -> None:
    assert "Times: UTC" in spoken(page("queue", "reviewer"))


def test_what_only_others_can_do_is_not_asked_of_a_reviewer(world: World, page: Page) -> None:
    world.call()
    reviewer, officer = page("overview", "reviewer"), page("overview", "compliance_officer")
    asked = "**The audit log waits to be verified.**"
    assert asked in spoken(officer)
    assert asked not in spoken(reviewer)
    assert "Others see to it" in spoken(reviewer)
    assert "Nothing waits for you" in spoken(reviewer)


def test_open_cases_wait_for_a_reviewer(world: World, page: Page) -> None:
    world.case(severity="critical")
    world.case()
    found = spoken(page("overview", "reviewer"))
    assert "**2 cases wait for a reviewer.** 1 of them critical." in found
    assert "Nothing waits for you" not in found
    assert "for a reviewer" not in spoken(page("overview", "auditor"))


def test_a_reviewer_of_one_system_sees_that_system_only(world: World, page: Page) -> None:
    hidden = world.case("Claims assistant")
    seen = world.case("HR assistant")
    queue = page("queue", "limited")
    assert [row["Case"] for row in listed(queue)] == [str(seen)]
    assert title(page("case", "limited", id=str(hidden))) == "No such case, or you may not see it"
    assert title(page("call", "limited", id=str(world.calls[0]))) == "No such call, or you may not see it"
    assert {row["System"] for row in listed(page("calls", "limited"))} == {"HR assistant"}


@pytest.mark.parametrize("number", ["", "0", "99999", "abc", "1;drop", "9" * 40, "-1", "²"])
def test_an_address_of_nothing_says_so(page: Page, number: str) -> None:
    assert title(page("case", "reviewer", id=number)) == "No such case, or you may not see it"
    assert title(page("call", "reviewer", id=number)) == "No such call, or you may not see it"


def test_the_queue_shows_the_most_urgent_first(world: World, page: Page) -> None:
    low = world.case(severity="low", due=-timedelta(days=3))
    soon = world.case(severity="critical", due=timedelta(hours=1))
    later = world.case(severity="critical", due=timedelta(hours=3))
    assert [row["Case"] for row in listed(page("queue", "reviewer"))] == [str(soon), str(later), str(low)]


def test_a_view_in_the_address_is_kept(world: World, page: Page) -> None:
    world.case(due=timedelta(hours=5))
    late = world.case(due=-timedelta(hours=5))
    test = page("queue", "reviewer", view="Overdue")
    assert [row["Case"] for row in listed(test)] == [str(late)]
    empty = page("queue", "reviewer", view="Second approval")
    assert "No verdict waits for a second person" in spoken(empty)


def test_who_may_not_claim_is_told_why(world: World, page: Page) -> None:
    case = world.case()
    start = button(page("queue", "engineer"), "Start reviewing")
    assert start.disabled
    assert "your role reads them" in start.help
    claim = button(page("case", "engineer", id=str(case)), "Claim")
    assert claim.disabled
    assert "your role reads them" in claim.help


def test_search_finds_words_in_redacted_text(world: World, page: Page) -> None:
    world.call(said=[(PartKind.OUTPUT, "assistant", "The zebra crossing is closed")])
    world.call(said=[(PartKind.OUTPUT, "assistant", "Nothing of that sort")])
    test = page("calls", "engineer", words="zebra")
    assert [row["What was said, redacted"] for row in listed(test)] == ["The zebra crossing is closed"]
    assert "No call fits these filters" in spoken(page("calls", "engineer", words="unicorn"))


def test_calls_say_what_they_are_and_never_pass_for_clean(world: World, page: Page) -> None:
    world.call(captured=False)
    world.call(status="recorded", action="", ago=timedelta(minutes=6))
    world.call(status="failed", action="allow", queue="security", failure="It broke.", ago=timedelta(minutes=7))
    test = page("calls", "engineer")
    assert [row["State"] for row in listed(test)] == [
        "No content captured",
        "Not checked yet",
        "Could not be checked",
    ]
    assert title(page("call", "engineer", id=str(world.calls[0]))) == "This call came without content"
    assert title(page("call", "engineer", id=str(world.calls[1]))) == "This call is not checked yet"
    failed = page("call", "engineer", id=str(world.calls[2]))
    assert title(failed) == "This call could not be checked"
    assert "It broke." in spoken(failed)


def test_a_page_that_fails_says_that_work_is_safe(
    world: World, page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the disk is on fire at /secret/place")

    monkeypatch.setattr("governance.store.review.queries.load", broken)
    test = page("queue", "reviewer")
    assert not test.exception
    assert "This page could not be loaded" in spoken(test)
    assert "Nothing you decided is lost" in spoken(test)
    assert "/secret/place" not in spoken(test)
    assert "give your administrator this number" in spoken(test)
