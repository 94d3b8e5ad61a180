"""Background jobs on Admin: what failed is said in words, and a person retries or cancels it."""

from __future__ import annotations

from datetime import timedelta

from governance.domain.events import EventKind
from governance.domain.jobs import JobKind, JobState
from tests.console.conftest import Page
from tests.console.test_govern import kinds
from tests.console.test_pages import spoken
from tests.console.world import HOSTILE, World


def fail(world: World, kind: str = JobKind.DELIVER_MESSAGE) -> int:
    with world.application.database.write() as tx:
        number = tx.jobs.add(kind, {}, at=world.now)
        job = tx.jobs.claim([kind], now=world.now, lease=timedelta(minutes=1))
        assert job is not None
        tx.jobs.failed(job, at=world.now, error="The receiver answered HTTP 500.")
    return number


def state(world: World, number: int) -> JobState:
    with world.application.database.look() as tx:
        job = tx.jobs.get(number)
    assert job is not None
    return job.state


def test_with_nothing_to_do_the_panel_says_what_will_appear(page: Page) -> None:
    test = page("admin", "admin")
    assert not test.exception
    assert "Recurring jobs add themselves" in spoken(test)


def test_a_failed_job_says_why_and_is_run_again(world: World, page: Page) -> None:
    number = fail(world)
    test = page("admin", "admin")
    assert "Send a message" in spoken(test)
    assert "The receiver answered HTTP 500." in spoken(test)
    test.button(key=f"retry-job-{number}").click().run()
    assert not test.exception
    assert state(world, number) is JobState.WAITING
    assert EventKind.JOB_RETRIED in kinds(world)


def test_a_failed_job_is_cancelled(world: World, page: Page) -> None:
    number = fail(world)
    test = page("admin", "admin")
    test.button(key=f"cancel-job-{number}").click().run()
    assert state(world, number) is JobState.CANCELLED
    assert EventKind.JOB_CANCELLED in kinds(world)


def test_what_came_too_late_is_said(world: World, page: Page) -> None:
    number = fail(world)
    test = page("admin", "admin")
    world.application.background.cancel(world.people["admin"], number)
    test.button(key=f"cancel-job-{number}").click().run()
    assert not test.exception
    assert f"Job {number} is cancelled and cannot be cancelled." in spoken(test)


def test_a_press_after_the_session_ended_does_nothing(world: World, page: Page) -> None:
    number = fail(world)
    test = page("admin", "admin")
    world.application.sessions.close(world.token["admin"])
    test.button(key=f"cancel-job-{number}").click().run()
    assert not test.exception
    assert state(world, number) is JobState.FAILED


def test_a_running_job_cannot_be_pressed_and_says_why(world: World, page: Page) -> None:
    with world.application.database.write() as tx:
        number = tx.jobs.add(JobKind.VERIFY_AUDIT_LOG, {}, at=world.now)
        assert tx.jobs.claim([JobKind.VERIFY_AUDIT_LOG], now=world.now, lease=timedelta(minutes=1))
    button = page("admin", "admin").button(key=f"cancel-job-{number}")
    assert button.disabled
    assert button.help == "It is running; wait until it has ended"


def test_a_kind_of_a_newer_version_is_plain_text(world: World, page: Page) -> None:
    with world.application.database.write() as tx:
        tx.jobs.add(HOSTILE[:60], {}, at=world.now)
    test = page("admin", "admin")
    assert not test.exception
    assert "waits for a newer version that knows it" in spoken(test)
    assert "<script>" not in "".join(item.value for item in test.markdown)
