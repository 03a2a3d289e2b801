"""Checks: an object is read whole before the depot signs that it holds it, once for all who ask meanwhile.

The readings have threads of their own, so that long ones do not keep arriving bytes from the disk.
"""

import asyncio

from agent.core.object import Digest
from agent.depot.objects import Objects
from agent.depot.workers import Workers

THREADS = 2


class Checks:
    """The readings under way, at most one for each object."""

    def __init__(self, objects: Objects) -> None:
        """Begin with none."""
        self._objects = objects
        self._workers = Workers(THREADS)
        self._under_way: dict[Digest, asyncio.Future[bool]] = {}

    async def proves(self, digest: Digest) -> bool:
        """Whether the object's bytes on disk have their digest; what has another is put aside.

        Raises OSError, Refusal 503 at closing. Cancellation: the reading goes on for the others who wait for it.
        """
        reading = self._under_way.get(digest)
        if reading is None:
            reading = self._workers.start(self._objects.prove, digest)
            self._under_way[digest] = reading
            reading.add_done_callback(lambda done: self._ended(digest, done))
        return await asyncio.shield(reading)

    def close(self) -> None:
        """Wait for what is being read; the depot's `closing` makes that short."""
        self._workers.close()

    def _ended(self, digest: Digest, done: asyncio.Future[bool]) -> None:
        del self._under_way[digest]
        if not done.cancelled():
            done.exception()  # taken note of also when nobody waits any more
