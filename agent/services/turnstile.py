"""Many may pass at a time, or one is alone: copies are recorded side by side, a purge only while none is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """Passers never wait for each other; who wants to be alone waits for a moment without passers."""

    def __init__(self) -> None:
        """Nobody is inside."""
        self._passers = 0
        self._alone = False
        self._left = asyncio.Condition()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Be inside together with other passers."""
        async with self._left:
            await self._left.wait_for(lambda: not self._alone)
            self._passers += 1
        try:
            yield
        finally:
            self._passers -= 1
            await self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be inside with nobody else."""
        async with self._left:
            await self._left.wait_for(lambda: not self._alone and not self._passers)
            self._alone = True
        try:
            yield
        finally:
            self._alone = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._left:
            self._left.notify_all()
