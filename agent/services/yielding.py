"""Making room on the line to one store: what its connections show, and the pace that follows from it.

Uploads tell what their connections show from their threads; any thread may ask. The clock is one that nobody sets.
"""

import math
import time
from collections.abc import Callable
from threading import Lock

import structlog

from agent.core.rate import rate_text
from agent.core.yield_policy import STEP_S, Base, LineLook, Pace, next_pace
from agent.ports import JsonObject

log = structlog.get_logger()

STALE_S = 10.0
"""What was seen so long ago says nothing about the line as it is now."""
_IDLE_S = 0.1
_MINUTE_S = 60.0
_BITS = 8


class Yielding:
    """The pace towards one store. `wanted` is the operator's word: without it nothing is looked at or limited."""

    def __init__(self, store: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Free, and not wanted yet."""
        self.wanted = False
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._base = Base()
        self._pace = Pace()
        self._since = clock()
        self._least_s = math.inf
        self._arrived_bytes = 0
        self._seen_at = -math.inf

    def limit(self) -> int | None:
        """Bytes per second that leave room for others; None is no limit."""
        return self._pace.limit if self.wanted else None

    def seen(self, look: LineLook) -> None:
        """Take in what a connection shows; at the end of a step the pace is thought over."""
        with self._lock:
            now = self._clock()
            if now - self._seen_at > look.busy_s + _IDLE_S:
                self._begin(now - look.busy_s)  # nothing was sent meanwhile, which says nothing about the line's speed
            self._seen_at = now
            self._base = self._base.with_seen(int(now // _MINUTE_S), min(look.rtt_s, look.least_rtt_s))
            self._least_s = min(self._least_s, look.rtt_s)
            self._arrived_bytes += look.arrived_bytes
            elapsed_s = now - self._since
            if elapsed_s < STEP_S:
                return
            before = self._pace
            queue_s = self._base.queue_s(self._least_s)
            self._pace = next_pace(before, queue_s, self._arrived_bytes / elapsed_s, elapsed_s)
            self._begin(now)
        self._tell(before, self._pace)

    def _begin(self, now: float) -> None:
        """Begin a step."""
        self._since = now
        self._least_s = math.inf
        self._arrived_bytes = 0

    def _tell(self, before: Pace, after: Pace) -> None:
        if before.limit is None and after.limit is not None:
            log.info("bandwidth.yielding", store=self._store, delay_ms=_ms(after), limit=_shown(after.limit))
        elif before.limit is not None and after.limit is None:
            log.info("bandwidth.freed", store=self._store)

    def view(self) -> JsonObject | None:
        """What people see: why uploads are slow; None when it is not because of others."""
        pace = self._pace
        if not self.wanted or pace.limit is None or self._clock() - self._seen_at > STALE_S:
            return None
        return {
            "limit_bits_s": pace.limit * _BITS,
            "delay_ms": _ms(pace),
            "shown": f"slowed to {_shown(pace.limit)} to leave the line to others ({_ms(pace)} ms of queue)",
        }


def _ms(pace: Pace) -> int:
    return round(pace.queue_s * 1000)


def _shown(limit: int) -> str:
    """A pace for people: two digits are plenty."""
    return rate_text(int(float(f"{limit * _BITS:.2g}")) // _BITS)
