"""Which time ends the hold of the spool's copies, whatever the wall clock does."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.services.hold_clock import HoldClock

START = datetime(2026, 3, 28, 22, tzinfo=UTC)
HOLD = timedelta(hours=24)
HOUR = timedelta(hours=1)
YEARS = timedelta(days=50 * 365)


class Clocks:
    """A wall clock that can be stepped, and a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall, self.seconds = START, 1000.0
        self.hold = HoldClock(lambda: self.wall, lambda: self.seconds)

    def run(self, span: timedelta, step: timedelta = timedelta(0)) -> datetime:
        """Let both clocks run for `span`, asking each hour; the wall clock steps first."""
        self.wall += step
        now = self.hold.now(HOLD)
        while span > timedelta(0):
            part = min(span, HOUR)
            self.wall += part
            self.seconds += part.total_seconds()
            span -= part
            now = self.hold.now(HOLD)
        return now


def test_a_clock_that_only_runs_is_believed() -> None:
    clocks = Clocks()
    assert clocks.run(10 * HOUR) == START + 10 * HOUR


def test_the_first_reading_after_a_start_is_believed_however_long_the_station_was_off() -> None:
    assert Clocks().hold.now(HOLD) == START


@pytest.mark.parametrize("step", [HOUR, 24 * HOUR, YEARS])
def test_a_step_ahead_ends_no_hold_before_it_has_lasted_as_long_as_the_hold(step: timedelta) -> None:
    clocks = Clocks()
    clocks.run(5 * HOUR)
    assert clocks.run(23 * HOUR, step) == START + 28 * HOUR
    assert clocks.run(HOUR) == clocks.wall
    assert clocks.run(HOUR) == START + step + 30 * HOUR


def test_a_step_ahead_that_is_taken_back_never_counted() -> None:
    clocks = Clocks()
    clocks.run(20 * HOUR, YEARS)
    assert clocks.run(20 * HOUR, -YEARS) == START + 40 * HOUR


def test_each_further_step_ahead_begins_anew() -> None:
    clocks = Clocks()
    for day in range(1, 5):
        assert clocks.run(20 * HOUR, 365 * HOUR) == START + day * 20 * HOUR
    assert clocks.run(4 * HOUR) == clocks.wall


def test_a_step_back_is_believed_at_once() -> None:
    clocks = Clocks()
    assert clocks.run(HOUR, -YEARS) == START - YEARS + HOUR
    assert clocks.run(23 * HOUR, YEARS) == START - YEARS + 24 * HOUR, "the way back is a step ahead"
    assert clocks.run(HOUR) == START + 25 * HOUR


def test_a_clock_that_is_steered_is_believed() -> None:
    clocks = Clocks()
    for _ in range(100):
        clocks.run(HOUR, timedelta(seconds=20))
    assert clocks.hold.now(HOLD) == clocks.wall
