"""How fast clips may leave: limits by weekday and hour, of the whole station and of single stores.

Rules: pure. Hours are those of a clock on the station's wall: an hour that a clock change repeats counts both times,
one that it skips does not happen. Of the hours that fit, the first one written holds; where none fits, the plain limit
does. Limits are in bytes per second; None is no limit, 0 a pause.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from agent.core.rate import rate_text

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
AHEAD_DAYS = 15
"""So far a change is looked for: two weeks, since a clock change may skip a weekly hour once."""
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Hours:
    """A limit on certain days from one minute of the day to another.

    `days` are those on which the hours begin, 0 = Monday. `end_min` is not part of them; at or before `begin_min` it is
    of the next day.
    """

    days: frozenset[int]
    begin_min: int
    end_min: int
    limit: int | None

    def fit(self, wall: datetime) -> bool:
        """Whether a clock on the wall that shows this is within the hours."""
        minute, today = wall.hour * 60 + wall.minute, wall.weekday()
        if self.begin_min < self.end_min:
            return today in self.days and self.begin_min <= minute < self.end_min
        yesterday = (today - 1) % len(DAYS)
        return (today in self.days and minute >= self.begin_min) or (yesterday in self.days and minute < self.end_min)


@dataclass(frozen=True, slots=True)
class Timetable:
    """The limits of one line: `hours` in the order of their writing, and what holds otherwise."""

    limit: int | None = None
    hours: tuple[Hours, ...] = ()

    def at(self, wall: datetime) -> int | None:
        """The limit while a clock on the wall shows this."""
        return next((hours.limit for hours in self.hours if hours.fit(wall)), self.limit)


@dataclass(frozen=True, slots=True)
class InForce:
    """The limit that holds now, and until when; `until` None: for as long as anybody looks ahead."""

    limit: int | None = None
    until: datetime | None = None

    def told(self, now: datetime) -> str:
        """In words: "5 Mbit/s until 18:00"."""
        if self.until is None:
            return rate_text(self.limit)
        today = now.astimezone(self.until.tzinfo)
        if self.until.date() == today.date():
            when = f"{self.until:%H:%M}"
        elif self.until - now < _WEEK:
            when = f"{DAYS[self.until.weekday()].capitalize()} {self.until:%H:%M}"
        else:
            when = f"{self.until:%Y-%m-%d %H:%M}"
        return f"{rate_text(self.limit)} until {when}"


@dataclass(frozen=True, slots=True)
class BandwidthPolicy:
    """What the operator allows. `stores` has those that are reached through the station's line, by name.

    `yields`: send more slowly as soon as others need the line, too.
    """

    zone: tzinfo = UTC
    station: Timetable = Timetable()
    stores: Mapping[str, Timetable] = field(default_factory=dict)
    yields: bool = False


def in_force(table: Timetable, now: datetime, zone: tzinfo) -> InForce:
    """The limit at the moment `now` (aware) on a wall in `zone`, and the first moment at which another one holds."""
    limit = table.at(now.astimezone(zone))
    if not table.hours:
        return InForce(limit)
    for moment in _moments(table, now, zone):
        if moment > now and table.at(moment.astimezone(zone)) != limit:
            return InForce(limit, moment.astimezone(zone))
    return InForce(limit)


def _moments(table: Timetable, now: datetime, zone: tzinfo) -> list[datetime]:
    """All moments from now on at which another limit could begin to hold, in their order."""
    first = now.astimezone(zone).date() - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(AHEAD_DAYS + 2)]
    marks = {minute % DAY_MIN for hours in table.hours for minute in (0, hours.begin_min, hours.end_min)}
    return sorted({*_on_the_wall(days, marks, zone), *_clock_changes(days, zone)})


def _on_the_wall(days: Iterable[date], marks: Iterable[int], zone: tzinfo) -> Iterable[datetime]:
    """When the wall shows these minutes of the day, both times where an hour is repeated."""
    for day in days:
        for mark in marks:
            for fold in (0, 1):
                shown = time(mark // 60, mark % 60, fold=fold)
                yield datetime.combine(day, shown, tzinfo=zone).astimezone(UTC)


def _clock_changes(days: list[date], zone: tzinfo) -> Iterable[datetime]:
    """When clocks are changed, to the second."""
    noons = [datetime.combine(day, time(12), tzinfo=UTC) for day in days]
    for early, late in pairwise(noons):
        before, after = early, late
        old = before.astimezone(zone).utcoffset()
        if old == after.astimezone(zone).utcoffset():
            continue
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
            if middle.astimezone(zone).utcoffset() == old:
                before = middle
            else:
                after = middle
        yield after
