"""How soon what a station shows, or is shown, must be renewed: certificates and authorities.

Rules: pure decisions over facts. People are told in steps that only ever rise, each once for each certificate, also
where several alternate in one place, as those of several servers behind one address. A clock that seems to be behind
makes nothing last longer, and calls nobody in the night either: perhaps it was ahead once. By what has passed alone, a
renewal is pressing at most.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from agent.core.clock_policy import clock_problem, clock_text

TOLD_BEFORE = timedelta(days=30)
PRESSING_BEFORE = timedelta(days=7)
LAST_DAY = timedelta(days=1)
"""How long before the end people are told, when it is a problem, and when it is one for today."""


class Step(IntEnum):
    """How pressing a renewal is; a higher one is worse."""

    FAR = 0
    SOON = 1  # within 30 days: worth knowing
    PRESSING = 2  # within 7 days: somebody must act this week
    LAST_DAY = 3  # within a day: somebody must act now
    ENDED = 4

    @property
    def word(self) -> str:
        """For events and people."""
        return self.name.lower()


class Subject(StrEnum):
    """Whose validity ends."""

    STORE = "store_certificate"
    STATION = "station_certificate"
    CA = "ca"


@dataclass(frozen=True, slots=True)
class Ending:
    """One thing of one store that ends, and how pressing that is now."""

    store: str
    subject: Subject
    ends: datetime
    step: Step


Told = Mapping[tuple[str, str], tuple[Ending, ...]]
"""What people were told already, by store and subject: the last step for each end, the newest at the end."""
MOST_TOLD = 64
"""Ends that are remembered of one subject; certificates that end at the same moment are one matter."""


def step_of(ends: datetime, now: datetime, passed: datetime | None = None) -> Step:
    """How pressing it is; `passed` is a moment that has passed, by this same clock as it once stood."""
    by_clock = _step(ends - now)
    return by_clock if passed is None else max(by_clock, min(_step(ends - passed), Step.PRESSING))


def _step(left: timedelta) -> Step:
    if left <= timedelta(0):
        return Step.ENDED
    if left <= LAST_DAY:
        return Step.LAST_DAY
    if left <= PRESSING_BEFORE:
        return Step.PRESSING
    return Step.SOON if left <= TOLD_BEFORE else Step.FAR


def ending_words(ends: datetime, now: datetime, passed: datetime | None = None) -> str | None:
    """How soon something ends, for people, from 30 days before; None before that."""
    if step_of(ends, now, passed) is Step.FAR:
        return None
    if ends <= now:
        return f"has ended ({clock_text(ends)})"
    wrong = None if passed is None else clock_problem(now, passed)
    if wrong is not None:
        return f"ends on {clock_text(ends)}; how soon that is cannot be told: {wrong}"
    days = (ends - now).days
    count = "less than a day" if not days else "1 day" if days == 1 else f"{days} days"
    return f"ends on {clock_text(ends)}, in {count}"


def risen(told: Told, found: Iterable[Ending]) -> tuple[Told, list[Ending]]:
    """What is known from now on, and what people must be told of: each step once.

    What cannot be seen now is not forgotten; a clock that is set back repeats nothing; a renewed one begins anew, and
    one that was there before, and stands there again, does not.
    """
    known, fresh = dict(told), []
    for each in found:
        key = each.store, each.subject.value
        others = tuple(one for one in known.get(key, ()) if one.ends != each.ends)
        before = max((one.step for one in known.get(key, ()) if one.ends == each.ends), default=Step.FAR)
        if each.step > before:
            known[key] = (*others, each)[-MOST_TOLD:]
            fresh.append(each)
    return known, fresh
