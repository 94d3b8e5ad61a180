"""When recurring jobs are due: strictly later each time, once a day, in every time zone and through every change."""

from __future__ import annotations

import itertools
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from governance.bootstrap.settings import load
from governance.domain.jobs import Backoff
from governance.domain.schedule import Daily, Hourly, Schedule, time_zone
from governance.errors import Misconfigured
from governance.store.transaction import Database
from tests.conftest import Clock

# Those that every machine's time zone data has; "posixrules" and the like depend on the machine.
ZONES = sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("System"))
moments = st.integers(0, 90 * 366 * 86_400).map(
    lambda second: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
BERLIN = ZoneInfo("Europe/Berlin")


@given(st.sampled_from(ZONES), times, moments)
@example("Pacific/Apia", time(12, 0), datetime(2011, 12, 29, 12, tzinfo=UTC))  # 30 December was left out
@example("America/Sao_Paulo", time(0, 0), datetime(2018, 11, 3, 12, tzinfo=UTC))  # clocks went forward at midnight
@example("Europe/Berlin", time(2, 30), datetime(2026, 10, 24, 12, tzinfo=UTC))
@example("Australia/Lord_Howe", time(2, 15), datetime(2026, 10, 3, tzinfo=UTC))  # by half an hour
def test_a_daily_time_comes_once_on_each_day_that_there_is(name: str, at: time, start: datetime) -> None:
    zone = ZoneInfo(name)
    schedule = Daily(at, zone)
    due, seen = start, []
    for _ in range(5):
        later = schedule.after(due)
        assert later > due, "it goes on"
        due = later
        seen.append(due.astimezone(zone))
    # One on each date of the local calendar, none left out; clocks that go forward over midnight, or leave a date
    # out, move its time onto the next date.
    days = [moment.date() for moment in seen]
    for first, second in itertools.pairwise(days):
        assert second - first in (timedelta(days=1), timedelta(days=2), timedelta(0))
        if second - first != timedelta(days=1):
            assert _changes(zone, first, second)
    for moment in seen:
        if moment.time() != at:
            assert _changes(zone, moment.date(), moment.date()), "another time only where clocks change"


def _changes(zone: ZoneInfo, first: date, last: date) -> bool:
    """Whether clocks change in the days from before `first` to after `last`."""
    begin = datetime.combine(first - timedelta(days=2), time(), tzinfo=zone)
    end = datetime.combine(last + timedelta(days=2), time(), tzinfo=zone)
    return begin.utcoffset() != end.utcoffset() or any(
        (begin.astimezone(UTC) + timedelta(hours=hour)).astimezone(zone).utcoffset() != begin.utcoffset()
        for hour in range(int((end - begin) / timedelta(hours=1)) + 48)
    )


@given(moments, moments, times)
def test_what_is_due_does_not_depend_on_when_one_looks(one: datetime, other: datetime, at: time) -> None:
    """Two processes that look at different moments agree on every due time."""
    schedule = Daily(at, BERLIN)
    due = schedule.after(one)
    for look in (due - timedelta(microseconds=1), one, min(max(other, one), due - timedelta(microseconds=1))):
        assert schedule.after(look) == due


def test_a_time_that_clocks_skip_and_one_that_they_show_twice() -> None:
    schedule = Daily(time(2, 30), BERLIN)
    spring = schedule.after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert spring.astimezone(BERLIN).isoformat() == "2026-03-29T03:30:00+02:00"
    assert schedule.after(spring).astimezone(BERLIN).isoformat() == "2026-03-30T02:30:00+02:00"
    autumn = schedule.after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert autumn.astimezone(BERLIN).isoformat() == "2026-10-25T02:30:00+02:00"
    assert schedule.after(autumn).astimezone(BERLIN).isoformat() == "2026-10-26T02:30:00+01:00"


@given(moments, st.integers(0, 59))
def test_hours_follow_each_other(start: datetime, minute: int) -> None:
    schedule = Hourly(minute)
    due = schedule.after(start)
    assert start < due <= start + timedelta(hours=1)
    assert (due.minute, due.second, due.microsecond) == (minute, 0, 0)
    assert schedule.after(due) == due + timedelta(hours=1)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "Europe", "../../etc/passwd", "x" * 500, "a\0b", "\ud800", "zone.tab"]
)
def test_a_time_zone_that_is_none_stops_the_start_and_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        time_zone(name)
    with pytest.raises(Misconfigured, match=r"GOVERNANCE_TIME_ZONE: .* is no time zone; use an IANA name") as caught:
        load(time_zone=name)
    assert len(str(caught.value)) < 250


def test_the_default_time_zone_is_utc() -> None:
    assert load().time_zone == "UTC"


@given(st.integers(1, 10_000), st.floats(0, 1), st.integers(1, 60))
def test_waiting_grows_and_stays_within_its_bounds(attempt: int, chance: float, first: int) -> None:
    backoff = Backoff(first=timedelta(seconds=first), factor=4, longest=timedelta(hours=6))
    wait = backoff.wait(attempt, chance)
    assert timedelta(seconds=first) / 2 <= wait <= timedelta(hours=6)
    assert backoff.wait(attempt + 1, chance) >= wait
    assert backoff.wait(attempt, 0) * 2 == pytest.approx(backoff.wait(attempt, 1), abs=timedelta(milliseconds=1))


# In the database


def advance(database: Database, name: str, schedule: Schedule, now: datetime) -> bool:
    with database.look() as tx:
        due = tx.schedules.due(now, {name: schedule})
    with database.write() as tx:
        added = tx.schedules.advance(name, schedule, now)
    assert due or not added, "who looks first overlooks nothing"
    return added


def test_a_new_schedule_is_first_due_at_its_next_time(database: Database, clock: Clock) -> None:
    schedule = Hourly(0)
    assert not advance(database, "a", schedule, clock())
    clock.forward(minutes=19)
    assert not advance(database, "a", schedule, clock())
    clock.forward(minutes=1)
    assert advance(database, "a", schedule, clock())
    assert not advance(database, "a", schedule, clock())


def test_a_machine_that_slept_runs_a_missed_schedule_once(database: Database, clock: Clock) -> None:
    schedule = Hourly(0)
    advance(database, "a", schedule, clock())
    clock.forward(days=3)
    assert [advance(database, "a", schedule, clock()) for _ in range(4)] == [True, False, False, False]
    clock.forward(hours=1)
    assert advance(database, "a", schedule, clock())


def test_another_rule_is_planned_anew(database: Database, clock: Clock) -> None:
    advance(database, "a", Daily(time(23, 0), BERLIN), clock())
    assert not advance(database, "a", Daily(time(10, 45), BERLIN), clock())  # 09:45 UTC, in five minutes
    clock.forward(minutes=5)
    assert advance(database, "a", Daily(time(10, 45), BERLIN), clock())


def test_a_clock_that_was_years_ahead_does_not_put_a_schedule_off(database: Database, clock: Clock) -> None:
    schedule = Daily(time(12, 0), BERLIN)
    advance(database, "a", schedule, clock())
    right = clock.now
    clock.forward(days=2000)
    assert advance(database, "a", schedule, clock())
    clock.now = right
    assert not advance(database, "a", schedule, clock())
    clock.forward(hours=2)
    assert advance(database, "a", schedule, clock())


@pytest.mark.parametrize("behind", [0.001, 5, 600])
def test_clocks_that_differ_do_not_run_a_time_twice(database: Database, clock: Clock, behind: float) -> None:
    schedule = Hourly(0)
    advance(database, "a", schedule, clock())
    clock.forward(minutes=20)
    assert advance(database, "a", schedule, clock())  # the fast one
    clock.forward(seconds=-behind)
    assert not advance(database, "a", schedule, clock())  # the slow one, before the hour
    clock.forward(seconds=behind + 1)
    assert not advance(database, "a", schedule, clock())  # and at it
