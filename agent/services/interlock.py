"""One hand on a camera at a time, and no interruption while its medium may be written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Interlock:
    """Belongs to one docked camera."""

    def __init__(self) -> None:
        """Nothing is open."""
        self._closed = asyncio.Event()
        self._closed.set()
        self.broken = False
        """A window did not end in good order: the medium may still be being written."""

    @property
    def window_open(self) -> bool:
        """Whether the medium may be written right now: the camera must not be removed."""
        return not self._closed.is_set()

    @asynccontextmanager
    async def window(self) -> AsyncIterator[None]:
        """Hold the window open. Raises RuntimeError when it already is."""
        if self.window_open:
            raise RuntimeError("two windows on one camera")
        self._closed.clear()
        self.broken = True
        try:
            yield
            self.broken = False
        finally:
            self._closed.set()

    async def safe_point(self, grace_s: float) -> bool:
        """Wait until no window is open; False when it still is after the grace."""
        try:
            async with asyncio.timeout(grace_s):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True
