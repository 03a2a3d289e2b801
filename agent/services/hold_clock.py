"""The time by which the hold of the spool's copies ends: the wall clock, believed once it has proved itself.

Rules: only a wall clock knows how long a station was switched off, so the first reading after a start counts as it is.
While the agent runs, a step ahead counts once it has lasted for the whole hold time by the clock that nobody can set,
which also runs while the machine sleeps: a clock that is wrong for an hour, or was wrong until now, ends no hold early.
A step back counts at once, which only prolongs holds.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from agent.ports import Clock

STEP = timedelta(minutes=1)
"""Less than this is a clock being steered, not stepped."""


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class HoldClock:
    """Reads the wall clock with suspicion."""

    def __init__(self, wall: Clock, monotonic: Callable[[], float] = _since_boot) -> None:
        """Take the first reading; `monotonic` gives seconds."""
        self._wall = wall
        self._monotonic = monotonic
        self._from = wall(), monotonic()
        self._stepped: tuple[timedelta, float] | None = None  # how far ahead, and since when

    def now(self, hold: timedelta) -> datetime:
        """The present time as far as it is believed; `hold` is how long a step ahead must last."""
        wall, monotonic = self._wall(), self._monotonic()
        began, began_s = self._from
        believed = began + timedelta(seconds=monotonic - began_s)
        ahead = wall - believed
        if ahead <= STEP:
            self._from, self._stepped = (wall, monotonic), None
            return wall
        if self._stepped is None or abs(ahead - self._stepped[0]) > STEP:
            self._stepped = ahead, monotonic
        if monotonic - self._stepped[1] >= hold.total_seconds():
            self._from, self._stepped = (wall, monotonic), None
            return wall
        return believed
