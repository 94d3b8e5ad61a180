"""Privacy: an officer asks, another agrees, and in place of content pages say what became of it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from governance.domain.content import PartKind
from governance.domain.events import EventKind
from governance.domain.people import Role, RoleBinding
from governance.domain.privacy import Erasable, ErasureState
from governance.worker import job_worker
from tests.console.conftest import Page
from tests.console.test_govern import kinds
from tests.console.test_pages import spoken
from tests.console.world import HOSTILE, World


def in_dialog(test: AppTest, opens: str, does: str) -> None:
    """AppTest runs the whole script each time: the dialog is opened again with each step."""
    test.button(key=opens).click().run()
    test.button(key=does).click()
    test.button(key=opens).click().run()


def test_an_officer_asks_another_approves_and_the_pages_say_so(world: World, page: Page) -> None:
    call = world.call(said=[(PartKind.INPUT, "user", "my secret question")])
    world.person("second", RoleBinding(role=Role.COMPLIANCE_OFFICER))
    test = page("privacy", "compliance_officer")
    assert not test.exception
    assert "No erasure waits" in spoken(test)
    asked = world.application.erase.request(
        world.people["compliance_officer"], Erasable.CALL, str(call), reason=HOSTILE[:200]
    )
    test = page("privacy", "compliance_officer")
    assert test.button(key=f"approve-{asked.id}").disabled
    test = page("privacy", "second")
    in_dialog(test, f"approve-{asked.id}", f"approve-go-{asked.id}")
    assert not test.exception
    job_worker(world.application).run_until_idle()
    assert {EventKind.ERASURE_REQUESTED, EventKind.ERASURE_APPROVED, EventKind.CONTENT_ERASED} <= set(kinds(world))
    test = page("privacy", "auditor")
    assert not test.exception
    assert "1 call erased" in spoken(test)
    assert not [one for one in test.button if str(one.key).startswith("approve")]
    test = page("call", "compliance_officer", id=str(call))
    assert not test.exception
    assert "my secret question" not in spoken(test)
    test = page("audit", "auditor", show="Privacy")
    assert not test.exception


def test_a_request_is_taken_back_and_a_hold_is_released(world: World, page: Page) -> None:
    call = world.call(said=[(PartKind.INPUT, "user", "words")])
    officer = world.people["compliance_officer"]
    asked = world.application.erase.request(officer, Erasable.CALL, str(call), reason="x")
    test = page("privacy", "compliance_officer")
    test.button(key=f"reject-{asked.id}").click().run()
    assert not test.exception
    (found,) = world.application.erase.list(officer)
    assert found.state is ErasureState.REJECTED
    test = page("privacy", "compliance_officer")
    test.button(key="place").click().run()
    test.selectbox(key="hold-what").select("A system")
    test.text_input(key="hold-target").input("Claims assistant")
    test.text_input(key="hold-reason").input("A lawsuit")
    in_dialog(test, "place", "hold-go")
    (held,) = world.application.hold.list(officer)
    assert (held.target, held.released_at) == ("Claims assistant", None)
    test = page("privacy", "compliance_officer")
    in_dialog(test, f"release-{held.id}", f"release-go-{held.id}")
    (held,) = world.application.hold.list(officer)
    assert held.released_at is not None


def test_who_may_not_sees_that_it_is_not_for_them(world: World, page: Page) -> None:
    for who in ("reviewer", "engineer", "nobody"):
        test = page("privacy", who)
        assert not test.exception
        assert "Erasures" not in spoken(test)


def test_pages_with_redacted_text_say_what_is_not_masked(world: World, page: Page) -> None:
    call = world.call(said=[(PartKind.INPUT, "user", "Anna Berg, 4 Mill Lane")])
    test = page("call", "reviewer", id=str(call))
    assert not test.exception
    assert "names and addresses are not masked" in spoken(test)
