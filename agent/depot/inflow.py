"""Inflow: a request's body on its way into a part, with memory bounded.

Chunks are gathered to blocks; one block is written in a worker thread while the next is being gathered, and what was
written a while ago is read back in another. What arrived is kept, however the body ends.
"""

import asyncio
from enum import Enum, auto

from starlette.types import Receive

from agent.depot.part import Part
from agent.depot.turn import Turn, TurnOver
from agent.depot.workers import Workers

BLOCK_BYTES = 1 << 20
MAX_CHUNKS = 512
"""Most chunks in a block: a client that sends single bytes must not gather a million objects."""
IDLE_S = 60.0
"""How long a body may stand still before the request is ended."""


class Ending(Enum):
    """How a body ended."""

    WHOLE = auto()
    CUT = auto()  # the client went away
    IDLE = auto()  # nothing came for too long
    NEWER = auto()  # a newer request took over
    CLOSING = auto()  # the depot is stopping
    TOO_LONG = auto()  # more than there is room for; the excess was not written


class Inflow:
    """One body. `run` may be called once."""

    def __init__(self, receive: Receive, turn: Turn, part: Part, workers: Workers, followers: Workers) -> None:
        """Read from `receive` during `turn`; write to `part` in `workers`, and read it back in `followers`."""
        self._receive = receive
        self._turn = turn
        self._part = part
        self._workers = workers
        self._followers = followers
        self._chunks: list[bytes] = []
        self._gathered_bytes = 0
        self._left_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._following: asyncio.Future[None] | None = None

    async def run(self, room_bytes: int) -> Ending:
        """Write at most `room_bytes` of the body to the part. Raises OSError when the disk fails.

        Cancellation: waits for the block being written or read, the part stays usable.
        """
        self._left_bytes = room_bytes
        try:
            ending = None
            while ending is None:
                ending = await self._take()
                if ending or self._gathered_bytes >= BLOCK_BYTES or len(self._chunks) >= MAX_CHUNKS:
                    await self._write()
            await self._done(self._writing)
            await self._done(self._following)
        finally:
            under_way = [work for work in (self._writing, self._following) if work is not None and not work.done()]
            if under_way:
                await asyncio.wait(under_way)
        return ending

    async def _take(self) -> Ending | None:
        try:
            message = await self._turn.receive(self._receive, IDLE_S)
        except TurnOver as over:
            return Ending.CLOSING if over.closing else Ending.NEWER
        except TimeoutError:
            return Ending.IDLE
        if message["type"] == "http.disconnect":
            return Ending.CUT
        chunk: bytes = message.get("body", b"")
        if len(chunk) > self._left_bytes:
            return Ending.TOO_LONG
        if chunk:
            self._chunks.append(chunk)
            self._gathered_bytes += len(chunk)
            self._left_bytes -= len(chunk)
        return None if message.get("more_body", False) else Ending.WHOLE

    async def _write(self) -> None:
        await self._done(self._writing)
        await self._follow()
        if self._chunks:
            self._writing = self._workers.start(self._part.append, self._chunks)
            self._chunks, self._gathered_bytes = [], 0

    async def _follow(self) -> None:
        if self._following is not None and self._following.done():
            await self._following
            self._following = None
        if self._following is None and self._part.is_behind:
            self._following = self._followers.start(self._part.follow)

    @staticmethod
    async def _done(work: "asyncio.Future[None] | None") -> None:
        if work is not None:
            await asyncio.shield(work)
