"""What is out of the ordinary: judged by how many calls a day had, not by its share alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.overview import deviations
from governance.systems import posture
from governance.systems.days import Day
from governance.systems.health import Backlog, Detector, Worker

TODAY = 20_000


def day(ago: int, calls: int, flagged: int, system: str = "support") -> Day:
    return Day(
        system=system,
        day=TODAY - ago,
        calls=calls,
        flagged=flagged,
        failed=0,
        uncaptured=0,
        input_tokens=0,
        output_tokens=0,
    )


def trend(*days: Day) -> posture.Trend:
    (found,) = posture.trends(days, TODAY)
    return found


def month(calls: int, share: float) -> list[Day]:
    """Days that differ by chance alone."""
    chance = random.Random(7)
    return [day(ago, calls, sum(chance.random() < share for _ in range(calls))) for ago in range(2, 30)]


def test_one_flagged_call_of_three_is_no_alarm() -> None:
    found = trend(*month(3, 0.03), day(0, 3, 1))
    assert found.known
    assert not found.unusual
    latest = found.days[-1]
    assert latest.high is not None
    assert latest.rate <= latest.high


def test_fewer_than_three_flagged_calls_are_no_trend() -> None:
    assert not trend(*month(40, 0.001), day(0, 2, 2)).unusual


def test_three_times_the_usual_share_of_many_calls_is_unusual() -> None:
    found = trend(*month(400, 0.03), day(0, 400, 36))
    assert found.unusual
    assert [point.day for point in found.days if point.odd] == [TODAY]


def test_a_day_of_few_calls_has_a_wider_range() -> None:
    found = trend(*month(400, 0.03), day(1, 400, 12), day(0, 10, 0))
    many, few = found.days[-2:]
    assert many.high is not None
    assert few.high is not None
    assert few.high > 2 * many.high


def test_an_odd_day_of_the_past_does_not_hide_the_next_one() -> None:
    days = [*month(300, 0.02), day(30, 300, 90)]
    assert trend(*days, day(0, 300, 27)).unusual


def test_where_days_differ_by_nature_a_usual_swing_is_no_alarm() -> None:
    swings = [day(ago, 5_000, 100 if ago % 2 else 300) for ago in range(2, 30)]
    assert not trend(*swings, day(0, 5_000, 310)).unusual
    assert trend(*swings, day(0, 5_000, 2_000)).unusual


def test_before_seven_days_nothing_is_usual_or_odd() -> None:
    found = trend(*(day(ago, 100, 50) for ago in range(2, 8)), day(0, 100, 100))
    assert not found.known
    assert not found.unusual


def test_a_system_that_was_never_flagged_is_judged_all_the_same() -> None:
    quiet = [day(ago, 200, 0) for ago in range(2, 30)]
    assert not trend(*quiet, day(0, 200, 1)).unusual
    assert trend(*quiet, day(0, 200, 9)).unusual


def test_the_sentence_says_how_many_calls_it_is_about() -> None:
    found = [trend(*month(400, 0.03), day(0, 400, 36))]
    (said,) = [one for one in _deviations(found) if one.note == "Share of calls flagged"]
    assert "36 of 400 calls" in said.detail


def test_since_when_a_detector_is_absent_is_said_in_the_readers_zone() -> None:
    gone = datetime(2026, 11, 23, 2, 29, tzinfo=UTC)
    guard = Detector(
        name="llm_guard",
        version="1",
        answered=0,
        failed=3,
        last_failure="",
        since=gone,
        updated_at=gone,
        absent_since=gone,
    )
    (said,) = _deviations([], [guard], datetime(2026, 11, 23, 4, tzinfo=UTC).astimezone(ZoneInfo("America/New_York")))
    assert said.what == "The detector for LLM Guard does not work here."
    assert said.note == "Since today 21:29"


def _deviations(
    found: list[posture.Trend],
    detectors: Sequence[Detector] = (),
    now: datetime = datetime(2026, 11, 23, tzinfo=UTC),
    backlog: Backlog | None = None,
    workers: Sequence[Worker] = (),
) -> list[deviations.Deviation]:
    return deviations.deviations(
        loads=[],
        trends=found,
        detectors=detectors,
        workers=workers,
        backlog=backlog or Backlog(),
        late_seconds=(60, 600),
        verified_at=now,
        verified=True,
        unsealed=0,
        now=now,
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 3_000_000), st.floats(0, 1)),
        max_size=60,
        unique_by=lambda one: one[0],
    )
)
def test_any_days_have_a_range_that_holds_shares(days: list[tuple[int, int, float]]) -> None:
    for found in posture.trends([day(ago, calls, int(calls * share)) for ago, calls, share in days], TODAY):
        assert [point.day for point in found.days] == sorted(point.day for point in found.days)
        for point in found.days:
            assert 0 <= point.rate <= 1
            if point.low is not None and point.high is not None:
                assert 0 <= point.low <= point.high <= 1
                assert not point.odd or point.rate > point.high


@pytest.mark.parametrize(("oldest", "found", "alarm"), [(59, False, False), (60, True, False), (600, True, True)])
def test_checking_that_is_behind_is_an_exception_and_then_an_alarm(oldest: int, found: bool, alarm: bool) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    alive = Worker(name="w", policy_set="", started_at=now, seen_at=now)
    said = _deviations([], backlog=Backlog(waiting=1, oldest_seconds=oldest, rate=5), workers=[alive])
    assert [one.alarm for one in said] == ([alarm] if found else [])
    assert all(one.what.startswith("Checking is ") for one in said)
