"""Limits on the bytes of clips, right before the socket takes them.

Rules: each limit is one bucket, shared by all threads that send under it, and asked anew for each piece: a change holds
for the next piece, in every upload that runs. A thread takes its place in line first and waits then, so that nobody is
overtaken; it waits in short slices, so that a stop or a pause is noticed soon at any rate.
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, Protocol

from agent.core.yield_policy import LineLook
from agent.ports import UploadStopped

BURST_S = 0.1
"""So much of a second may leave at once; a piece is never larger, so a wait is at most so long for each sender."""
SLICE_S = 0.05
UNSENT_LEAST_BYTES = 16 << 10
"""What a limited connection may hold back unsent, at least: less would only cost system calls."""

WATCHED_BYTES = 64 << 10
"""A piece, and what may be held back unsent, while the line is watched: at 1 Mbit/s it is looked at twice a second."""
WATCHED_BURST_S = 0.02
WATCHED_LEAST_BYTES = 2_920
"""Two packets: most receivers acknowledge every second one at once, and a single one late."""

Limit = Callable[[], int | None]
"""Bytes per second that hold now; None is no limit, 0 a pause."""


class Bucket:
    """One limit. Time is that of a clock that nobody sets."""

    def __init__(self, limit: Limit, clock: Callable[[], float] = time.monotonic) -> None:
        """Full at the beginning."""
        self.limit = limit
        self._clock = clock
        self._lock = Lock()
        self._spent_until = float("-inf")  # when all that was granted will have left at the limit

    def reserve(self, size_bytes: int, rate: int) -> float:
        """Take a place in line; seconds to wait before so many bytes may leave."""
        with self._lock:
            now = self._clock()
            self._spent_until = max(self._spent_until, now - BURST_S) + size_bytes / rate
            return max(0.0, self._spent_until - now)

    def give_back(self, size_bytes: int, rate: int) -> None:
        """Undo a reservation that was not used."""
        with self._lock:
            self._spent_until -= size_bytes / rate


class Watch(Protocol):
    """Who wants to know how the line is while bytes leave. Used from any thread."""

    wanted: bool

    def limit(self) -> int | None:
        """What follows from it: bytes per second; None is no limit."""
        ...

    def seen(self, look: LineLook) -> None:
        """Take in what a connection shows."""
        ...


class Grant(NamedTuple):
    """What may leave now. `unsent_bytes` is how much the socket may hold unsent; 0: as much as usual."""

    size_bytes: int
    waited_s: float
    unsent_bytes: int


class Throttle:
    """The limits that hold together for one store: the station's and its own."""

    def __init__(
        self,
        *buckets: Bucket,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Without buckets nothing is limited; `watch` adds one of its own."""
        self._buckets = buckets if watch is None else (*buckets, Bucket(watch.limit, clock))
        self._watch = watch
        self._clock = clock
        self._sleep = sleep

    @property
    def is_closed(self) -> bool:
        """Whether a pause holds: nothing may leave at all."""
        return any(bucket.limit() == 0 for bucket in self._buckets)

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants to know how the line is."""
        return self._watch is not None and self._watch.wanted

    def look(self, ask: Callable[[], LineLook | None]) -> None:
        """Ask a connection how it is, if anybody wants to know."""
        if self._watch is not None and self._watch.wanted:
            found = ask()
            if found is not None:
                self._watch.seen(found)

    def grant(self, most_bytes: int, stopped: Callable[[], bool]) -> Grant:
        """Wait until bytes may leave, at most `most_bytes`. Blocks. Raises UploadStopped, also in a pause."""
        if stopped():
            raise UploadStopped
        rates = [(bucket, rate) for bucket in self._buckets if (rate := bucket.limit()) is not None]
        unsent_bytes = 0
        if self.is_watched:
            most_bytes, unsent_bytes = min(most_bytes, WATCHED_BYTES), WATCHED_BYTES
        if not rates:
            return Grant(most_bytes, 0.0, unsent_bytes)
        lowest = min(rate for _, rate in rates)
        if lowest == 0:
            raise UploadStopped
        burst_bytes = max(1, int(lowest * BURST_S))
        size_bytes = min(most_bytes, burst_bytes)
        if self.is_watched:  # a burst is a queue of its own making
            size_bytes = min(size_bytes, max(WATCHED_LEAST_BYTES, int(lowest * WATCHED_BURST_S)))
        began = self._clock()
        ready = began + max(bucket.reserve(size_bytes, rate) for bucket, rate in rates)
        while (left_s := ready - self._clock()) > 0:
            self._sleep(min(left_s, SLICE_S))
            if stopped() or self.is_closed:
                for bucket, rate in rates:
                    bucket.give_back(size_bytes, rate)
                raise UploadStopped
        limited_bytes = max(UNSENT_LEAST_BYTES, burst_bytes)
        return Grant(size_bytes, self._clock() - began, min(limited_bytes, unsent_bytes or limited_bytes))
