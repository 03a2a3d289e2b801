"""A wake-up in memory: it says "look again", never what happened. The facts are in the ledger."""

import asyncio


class Doorbell:
    """Wakes everyone who waits; a ring between two waits is not lost."""

    def __init__(self) -> None:
        """Silent so far."""
        self.rings = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all waiters; call it on the event loop's thread."""
        self.rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float | None = None) -> int:
        """Wait until there were more rings than `seen`, or until the time is over; returns the rings so far."""
        if self.rings != seen:
            return self.rings
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            pass
        return self.rings
