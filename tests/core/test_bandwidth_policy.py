"""Which limit holds when, and when the next one does: weekdays, midnight, nights on which clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.bandwidth_policy import AHEAD_DAYS, DAY_MIN, BandwidthPolicy, Hours, InForce, Timetable, in_force

LONDON = ZoneInfo("Europe/London")
WORKDAYS = frozenset(range(5))
EVERY_DAY = frozenset(range(7))
SLOW, FAST = 625_000, 2_500_000
OFFICE = Timetable(FAST, (Hours(WORKDAYS, 8 * 60, 18 * 60, SLOW),))


def london(text: str) -> datetime:
    """A moment by London's clocks; with "second" behind it, the later one of two that read the same."""
    return datetime.fromisoformat(text.removesuffix(" second")).replace(tzinfo=LONDON, fold=int("second" in text))


def told(table: Timetable, text: str) -> tuple[int | None, str | None]:
    """The limit that holds then, and the moment at which it ends, by London's clocks."""
    found = in_force(table, london(text).astimezone(UTC), LONDON)
    return found.limit, None if found.until is None else f"{found.until:%Y-%m-%d %H:%M %Z}"


def night(days: frozenset[int], begin: str, end: str, limit: int | None = SLOW) -> Hours:
    def minute(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Hours(days, minute(begin), minute(end), limit)


@pytest.mark.parametrize(
    ("when", "limit", "until"),
    [
        ("2026-11-27 07:59:59", FAST, "2026-11-27 08:00 GMT"),  # a Friday
        ("2026-11-27 08:00:00", SLOW, "2026-11-27 18:00 GMT"),
        ("2026-11-27 17:59:59", SLOW, "2026-11-27 18:00 GMT"),
        ("2026-11-27 18:00:00", FAST, "2026-11-30 08:00 GMT"),
        ("2026-11-28 12:00:00", FAST, "2026-11-30 08:00 GMT"),
    ],
)
def test_office_hours_hold_from_their_first_minute_and_not_in_their_last(when: str, limit: int, until: str) -> None:
    assert told(OFFICE, when) == (limit, until)


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    friday = Timetable(None, (night(frozenset({4}), "22:00", "06:00"),))
    assert told(friday, "2026-11-27 05:00") == (None, "2026-11-27 22:00 GMT")
    assert told(friday, "2026-11-27 22:00") == (SLOW, "2026-11-28 06:00 GMT")
    assert told(friday, "2026-11-28 05:59") == (SLOW, "2026-11-28 06:00 GMT")
    assert told(friday, "2026-11-28 22:30") == (None, "2026-12-04 22:00 GMT")


def test_sunday_night_reaches_into_monday() -> None:
    sunday = Timetable(None, (night(frozenset({6}), "23:00", "01:00"),))
    assert told(sunday, "2026-11-30 00:30") == (SLOW, "2026-11-30 01:00 GMT")


def test_of_hours_that_overlap_the_first_one_holds() -> None:
    table = Timetable(FAST, (night(EVERY_DAY, "12:00", "13:00", 0), night(EVERY_DAY, "08:00", "18:00", SLOW)))
    assert told(table, "2026-11-27 11:00") == (SLOW, "2026-11-27 12:00 GMT")
    assert told(table, "2026-11-27 12:59") == (0, "2026-11-27 13:00 GMT")
    assert told(table, "2026-11-27 13:00") == (SLOW, "2026-11-27 18:00 GMT")


def test_hours_that_meet_with_the_same_limit_are_no_change() -> None:
    table = Timetable(FAST, (night(EVERY_DAY, "08:00", "12:00"), night(EVERY_DAY, "12:00", "18:00")))
    assert told(table, "2026-11-27 09:00") == (SLOW, "2026-11-27 18:00 GMT")


def test_a_whole_day_every_day_never_ends() -> None:
    assert told(Timetable(FAST, (Hours(EVERY_DAY, 0, DAY_MIN, SLOW),)), "2026-11-27 09:00") == (SLOW, None)
    assert told(Timetable(SLOW), "2026-11-27 09:00") == (SLOW, None)


def test_an_hour_that_the_spring_skips_begins_where_the_clock_lands() -> None:
    table = Timetable(None, (night(EVERY_DAY, "01:30", "04:00"),))
    assert told(table, "2026-03-29 00:59") == (None, "2026-03-29 02:00 BST")  # 01:00 GMT becomes 02:00 BST
    assert told(table, "2026-03-29 02:00") == (SLOW, "2026-03-29 04:00 BST")


def test_hours_within_what_the_spring_skips_do_not_happen_that_night() -> None:
    table = Timetable(None, (night(frozenset({6}), "01:15", "01:45"),))
    assert told(table, "2026-03-29 00:30") == (None, "2026-04-05 01:15 BST")


def test_an_hour_that_the_autumn_repeats_counts_both_times() -> None:
    table = Timetable(None, (night(EVERY_DAY, "01:15", "01:45"),))
    assert told(table, "2026-10-25 01:00") == (None, "2026-10-25 01:15 BST")
    assert told(table, "2026-10-25 01:15") == (SLOW, "2026-10-25 01:45 BST")
    assert told(table, "2026-10-25 01:45") == (None, "2026-10-25 01:15 GMT")
    assert told(table, "2026-10-25 01:20 second") == (SLOW, "2026-10-25 01:45 GMT")


def test_going_back_an_hour_reopens_hours_that_had_ended() -> None:
    table = Timetable(None, (night(EVERY_DAY, "23:00", "01:30"),))
    assert told(table, "2026-10-25 01:40") == (None, "2026-10-25 01:00 GMT")
    assert told(table, "2026-10-25 01:00 second") == (SLOW, "2026-10-25 01:30 GMT")


def test_people_are_told_the_time_and_the_day_only_where_it_is_another() -> None:
    assert in_force(OFFICE, london("2026-11-27 09:00"), LONDON).told(london("2026-11-27 09:00")) == (
        "5 Mbit/s until 18:00"
    )
    assert in_force(OFFICE, london("2026-11-27 19:00"), LONDON).told(london("2026-11-27 19:00")) == (
        "20 Mbit/s until Mon 08:00"
    )
    far = InForce(0, london("2026-12-24 08:00"))
    assert far.told(london("2026-11-27 19:00")) == "paused until 2026-12-24 08:00"
    assert InForce().told(london("2026-11-27 19:00")) == "no limit"


def test_without_a_word_from_the_operator_nothing_is_limited() -> None:
    policy = BandwidthPolicy()
    assert in_force(policy.station, datetime(2026, 1, 1, tzinfo=UTC), policy.zone) == InForce()


ZONES = st.sampled_from(
    ["Europe/London", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Kolkata", "UTC"]
)
LIMITS = st.sampled_from([None, 0, SLOW, FAST])
MINUTES = st.integers(0, DAY_MIN - 1)
HOURS = st.builds(Hours, st.frozensets(st.integers(0, 6), min_size=1), MINUTES, st.integers(1, DAY_MIN), LIMITS).filter(
    lambda hours: hours.begin_min != hours.end_min
)
TABLES = st.builds(Timetable, LIMITS, st.lists(HOURS, max_size=4).map(tuple))
# Around the nights on which clocks are changed somewhere, and any time.
NEAR = st.sampled_from(
    ["2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2026-09-06", "2026-04-24", "2026-10-29"]
)
MOMENTS = st.one_of(
    st.builds(
        lambda day, hours: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hours),
        NEAR,
        st.floats(-48, 48),
    ),
    st.integers(0, 20 * 365 * 86400).map(lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
)


@given(TABLES, MOMENTS, ZONES, st.data())
@example(OFFICE, datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "Europe/London", None)
def test_until_the_change_that_is_told_the_limit_stays_and_then_it_is_another(
    table: Timetable, now: datetime, zone: str, data: st.DataObject | None
) -> None:
    where = ZoneInfo(zone)
    found = in_force(table, now, where)
    assert found.limit == table.at(now.astimezone(where))
    end = found.until.astimezone(UTC) if found.until is not None else now + timedelta(days=AHEAD_DAYS - 1)
    assert end > now
    inside = int((end - now).total_seconds())
    looks = {0, inside // 2, max(0, inside - 1)}
    if data is not None:
        looks |= set(data.draw(st.lists(st.integers(0, inside), max_size=30)))
    for seconds in looks:
        at = now + timedelta(seconds=seconds)
        assert at == end or table.at(at.astimezone(where)) == found.limit
    if found.until is not None:
        assert table.at(end.astimezone(where)) != found.limit


@given(TABLES, MOMENTS, ZONES)
def test_a_change_of_which_nobody_is_told_is_not_found_by_looking_at_every_quarter_of_an_hour(
    table: Timetable, now: datetime, zone: str
) -> None:
    where = ZoneInfo(zone)
    found = in_force(table, now, where)
    end = found.until or now + timedelta(days=8)
    at = now
    while (at := at + timedelta(minutes=15)) < min(end, now + timedelta(days=8)):
        assert table.at(at.astimezone(where)) == found.limit
