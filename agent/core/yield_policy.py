"""How fast clips may leave while others need the line as well: slower as soon as packets begin to queue.

Rules: pure. What a packet waits beyond the least of the last minutes it waits in a queue, and telephones wait in the
same one. Above the target less is sent, below it more again; never less than the floor, so that evidence always moves.
Source: RFC 6817 (LEDBAT), simplified: a rate instead of a window, cut by a share like TCP's.
"""

from dataclasses import dataclass

TARGET_S = 0.06
"""So much of a queue is nobody's trouble: a telephone's own buffer bridges it."""
FLOOR_BYTES_S = 32_000
"""256 kbit/s. A smaller limit of the operator holds all the same."""
STEP_S = 0.5
"""How often the rate is thought over: a few round trips of a long line."""
MINUTES = 10
"""So long a round trip counts as the least: a line may lead elsewhere after a change. Source: RFC 6817, 4.2."""
_SLOWER = 0.7
_FASTER_PER_S = 0.2
_DRAINING = 0.9
"""A queue that shrinks by so much in a step ends by itself: what was held back has not shown yet."""
_FREE = 8.0
"""A limit so many times above what arrives limits nothing: something else does."""


@dataclass(frozen=True, slots=True)
class LineLook:
    """What the kernel knows of a connection that sends: the smoothed round trip, the least one so far.

    `arrived_bytes` are those that the other side has taken in the last `busy_s` seconds: since the last look, or since
    the request began.
    """

    rtt_s: float
    least_rtt_s: float
    arrived_bytes: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class Base:
    """The least round trip of each of the last minutes, in seconds; the newest minute last."""

    minutes: tuple[tuple[int, float], ...] = ()

    def with_seen(self, minute: int, rtt_s: float) -> "Base":
        """What is known after one more round trip in this minute of a clock that nobody sets."""
        kept = [(then, least_s) for then, least_s in self.minutes if minute - MINUTES < then <= minute]
        if kept and kept[-1][0] == minute:
            kept[-1] = (minute, min(kept[-1][1], rtt_s))
        else:
            kept.append((minute, rtt_s))
        return Base(tuple(kept))

    def queue_s(self, rtt_s: float) -> float:
        """How long packets wait in a queue; 0 while nothing is known."""
        least_s = min((least_s for _, least_s in self.minutes), default=rtt_s)
        return max(0.0, rtt_s - least_s)


@dataclass(frozen=True, slots=True)
class Pace:
    """What holds now: `limit` in bytes per second, None while nobody else seems to need the line."""

    limit: int | None = None
    queue_s: float = 0.0


def next_pace(pace: Pace, queue_s: float, arrived: float, elapsed_s: float) -> Pace:
    """Think the pace over; `arrived` are the bytes per second that reached the other side since the last time."""
    return Pace(_limit(pace, queue_s, arrived, elapsed_s), queue_s)


def _limit(pace: Pace, queue_s: float, arrived: float, elapsed_s: float) -> int | None:
    if queue_s > TARGET_S:
        if queue_s < _DRAINING * pace.queue_s:
            return pace.limit
        reached = arrived if pace.limit is None else min(pace.limit, arrived)
        return max(FLOOR_BYTES_S, int(reached * _SLOWER))
    if pace.limit is None:
        return None
    room = 1 - queue_s / TARGET_S
    grown = pace.limit * (1 + _FASTER_PER_S * room * elapsed_s)
    return None if grown > _FREE * max(arrived, FLOOR_BYTES_S) else int(grown)
