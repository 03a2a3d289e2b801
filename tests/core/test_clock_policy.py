"""What shows that a clock is wrong."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent.core.clock_policy import DOUBT, clock_problem

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, moments)
def test_a_clock_is_only_doubted_when_it_stands_before_what_has_passed(now: datetime, passed: datetime) -> None:
    assert (clock_problem(now, passed) is not None) is (passed - now > DOUBT)


def test_a_wrong_clock_is_told_with_both_times() -> None:
    passed = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    told = clock_problem(passed - timedelta(days=366 * 56), passed)
    assert told is not None
    assert "clock is wrong" in told
    assert "it says 1970-01-" in told
    assert "2026-03-04 05:06 UTC" in told
