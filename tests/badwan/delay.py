"""What is under way: it comes out in order, each item when its time has come, and never more than so many bytes."""

import asyncio
from collections import deque

from tests.badwan.fault import Ending, Fault

Item = bytes | Fault | Ending

MOST_BYTES = 16 << 20
"""Under way in one direction of one connection: 64 Mbit/s over 2 s, or 1.3 Gbit/s over 100 ms."""


class Delay:
    """One putter, one taker."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is under way."""
        self._items: deque[tuple[float, Item]] = deque()
        self._most_bytes = most_bytes
        self._changed = asyncio.Condition()
        self.held_bytes = 0

    async def put(self, due: float, item: Item) -> None:
        """Send on; waits while too much is under way. `due` is in the loop's time."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.held_bytes < self._most_bytes)
            self._items.append((due, item))
            self.held_bytes += _size(item)
            self._changed.notify_all()

    async def take(self) -> Item:
        """Wait for the next item and its time."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._items))
            due, item = self._items[0]
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        async with self._changed:
            self._items.popleft()
            self.held_bytes -= _size(item)
            self._changed.notify_all()
        return item


def _size(item: Item) -> int:
    return len(item) if isinstance(item, bytes) else 0
