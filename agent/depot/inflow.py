"""Inflow: a request's body on its way into a part, with memory bounded.

Chunks are gathered to blocks; one block is written and hashed in a worker thread while the next is being gathered.
What arrived is kept, however the body ends.
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

    def __init__(self, receive: Receive, turn: Turn, part: Part, workers: Workers) -> None:
        """Read from `receive` during `turn`; write to `part` in `workers`."""
        self._receive = receive
        self._turn = turn
        self._part = part
        self._workers = workers
        self._chunks: list[bytes] = []
        self._gathered_bytes = 0
        self._left_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    async def run(self, room_bytes: int) -> Ending:
        """Write at most `room_bytes` of the body to the part. Raises OSError when the disk refuses.

        Cancellation: waits for the block being written, the part stays usable.
        """
        self._left_bytes = room_bytes
        try:
            ending = None
            while ending is None:
                ending = await self._take()
                if ending or self._gathered_bytes >= BLOCK_BYTES or len(self._chunks) >= MAX_CHUNKS:
                    await self._write()
            await self._written()
        finally:
            if self._writing is not None and not self._writing.done():
                await asyncio.wait([self._writing])
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
        await self._written()
        if self._chunks:
            self._writing = self._workers.start(self._part.append, self._chunks)
            self._chunks, self._gathered_bytes = [], 0

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None
