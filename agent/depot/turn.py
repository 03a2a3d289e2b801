"""Turns: at most one request at a time works on an upload, and a newer one ends an older one.

A client that lost its line comes back while the old request still hangs; it must not wait for a time-out, nor be
told that the upload is locked for long. So nobody owns a lock: each waiter asks the holder to come to its end, which
it does at its next receive.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Message, Receive

from agent.depot.refusal import Refusal

WAIT_S = 15.0
"""How long a newcomer waits for the older request's last block, fsync or finish before it is told to come back."""


class TurnOver(Exception):
    """A newer request, or the depot's end, wants this one to stop; `closing` tells which."""

    def __init__(self, *, closing: bool) -> None:
        """`closing`: the depot is stopping."""
        super().__init__()
        self.closing = closing


class Turn:
    """One request's turn at an upload."""

    def __init__(self) -> None:
        """Begin a turn that nobody has asked to end."""
        self._gate: asyncio.Timeout | None = None
        self._over: TurnOver | None = None

    def ask_to_end(self, *, closing: bool = False) -> None:
        """Let the holder's present or next `receive` raise TurnOver."""
        self._over = TurnOver(closing=closing)
        if self._gate is not None and not self._gate.expired():
            self._gate.reschedule(asyncio.get_running_loop().time())

    async def receive(self, receive: Receive, idle_s: float) -> Message:
        """Take the request's next message. Raises TurnOver, or TimeoutError when nothing comes for `idle_s`."""
        if self._over is not None:
            raise self._over
        try:
            async with asyncio.timeout(idle_s) as self._gate:
                return await receive()
        except TimeoutError:
            if self._over is not None:
                raise self._over from None
            raise
        finally:
            self._gate = None


@dataclass(slots=True)
class _Line:
    """The requests at one upload: who holds the turn, who came last."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holder: Turn | None = None
    waiting: int = 0
    last: int = 0


class Turns:
    """The turns at all uploads of a depot."""

    def __init__(self) -> None:
        """Begin with nobody at work."""
        self._lines: dict[str, _Line] = {}
        self._closing = False

    @asynccontextmanager
    async def take(self, upload: str) -> AsyncIterator[Turn]:
        """Ask the present holder to end and take the turn. Raises Refusal 423 when that takes long, 503 at closing."""
        self._refuse_when_closing()
        line = self._lines.setdefault(upload, _Line())
        line.waiting += 1
        line.last += 1
        ticket = line.last
        try:
            if line.holder is not None:
                line.holder.ask_to_end()
            await _acquire(line.lock)
            try:
                self._refuse_when_closing()
                line.holder = Turn()
                if ticket != line.last:
                    line.holder.ask_to_end()  # somebody newer waits already
                yield line.holder
            finally:
                line.holder = None
                line.lock.release()
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[upload]

    def is_taken(self, upload: str) -> bool:
        """Whether a request is at work on the upload, or waits for its turn."""
        return upload in self._lines

    def close(self) -> None:
        """Ask everybody to end, and let nobody begin."""
        self._closing = True
        for line in self._lines.values():
            if line.holder is not None:
                line.holder.ask_to_end(closing=True)

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise Refusal(503, "closing", "the depot is stopping; come back later", {"Retry-After": "5"})


async def _acquire(lock: asyncio.Lock) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            await lock.acquire()
    except TimeoutError:
        message = "an older request for this upload is being finished; ask again"
        raise Refusal(423, "locked", message, {"Retry-After": "5"}) from None
