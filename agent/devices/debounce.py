"""A port whose device keeps coming and going is shown as occupied only once it has stood still.

A worn contact or a bouncing plug must not make a session for each of its contacts. Pure: time is handed in.
"""

from collections import deque
from collections.abc import Mapping

CHANGES = 4
"""So many changes are usual: a camera that switches its mode, or whose port lost its power for a moment."""
WITHIN_S = 10.0
STILL_S = 2.0


class Debounce:
    """Remembers for each port when its device changed lately."""

    def __init__(self, *, changes: int = CHANGES, within_s: float = WITHIN_S, still_s: float = STILL_S) -> None:
        """More than `changes` within `within_s` is a flapping port, until it stands still for `still_s`."""
        self._most, self._within_s, self._still_s = changes, within_s, still_s
        self._tokens: dict[str, str] = {}
        self._changes: dict[str, deque[float]] = {}
        self.flapping: frozenset[str] = frozenset()

    def again_s(self, tokens: Mapping[str, str], now: float) -> float | None:
        """Take note of what is in which port now; in how many seconds a flapping port should be looked at again."""
        for port in self._tokens.keys() | tokens.keys():
            if self._tokens.get(port) != tokens.get(port):
                self._changes.setdefault(port, deque(maxlen=self._most + 1)).append(now)
        self._tokens = dict(tokens)
        waits: dict[str, float] = {}
        for port, times in list(self._changes.items()):
            if now - times[-1] > self._within_s:
                del self._changes[port]
            elif len(times) > self._most and times[-1] - times[0] <= self._within_s:
                wait_s = times[-1] + self._still_s - now
                if wait_s > 0:
                    waits[port] = wait_s
        self.flapping = frozenset(waits)
        return min(waits.values(), default=None)
