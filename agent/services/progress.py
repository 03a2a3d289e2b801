"""How far a copy is, for people: bytes, rate and time left. Never a basis for a decision."""

import time
from collections import deque
from dataclasses import dataclass, field

_WINDOW_S = 5.0
_STEP_S = 0.25
_LEAST_S = 1.0
"""Before so much time has been seen, a rate says nothing."""


@dataclass(slots=True)
class Progress:
    """Bytes of one camera's copying in this session. `add` is called from worker threads."""

    total_bytes: int = 0
    done_bytes: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=int(_WINDOW_S / _STEP_S)))

    def add(self, count: int) -> None:
        """Count bytes that have just been moved."""
        now = time.monotonic()
        if not self._samples or now - self._samples[-1][0] >= _STEP_S:
            self._samples.append((now, self.done_bytes))
        self.done_bytes += count

    def back_to(self, done_bytes: int) -> None:
        """Start a clip again: what was moved of it does not count."""
        self.done_bytes = done_bytes
        self._samples.clear()

    @property
    def rate_bytes_s(self) -> float:
        """Bytes per second over the last seconds; 0 while that cannot be told."""
        if not self._samples:
            return 0.0
        since, then_bytes = self._samples[0]
        span = time.monotonic() - since
        return (self.done_bytes - then_bytes) / span if span >= _LEAST_S else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the recent rate; None when that cannot be told."""
        left, rate = self.total_bytes - self.done_bytes, self.rate_bytes_s
        return left / rate if rate > 0 and left > 0 else None
