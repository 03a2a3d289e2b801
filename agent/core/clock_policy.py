"""Whether the station's clock can be right.

A station cannot know the time by itself; all it knows are moments that have certainly passed, such as that of its
newest custody event. Nothing is stopped for a wrong clock: it only explains what else goes wrong.
"""

from datetime import datetime, timedelta

DOUBT = timedelta(hours=1)
"""A clock that is set right by less than this was near enough."""


def clock_problem(now: datetime, passed: datetime) -> str | None:
    """What shows that the clock is wrong, as a sentence without its end; None when nothing does.

    `passed` is a moment that has passed, by this same clock as it once stood.
    """
    if passed - now <= DOUBT:
        return None
    return (
        f"this station's clock is wrong: it says {clock_text(now)}, but its own records"
        f" or files are of {clock_text(passed)}"
    )


def clock_text(moment: datetime) -> str:
    """A time for people, in UTC to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
