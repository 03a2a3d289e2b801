"""One PATCH or PUT: a stretch of an object on its way through a line.

Blocking; runs in a worker thread. What was handed to the socket is counted before it is handed, so that `handed`
never falls short of what the store may hold. Time that our own limits take counts against nobody's patience.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.errors import StoreUnreachable
from agent.ports import Transfer
from agent.stores.answer import Answer
from agent.stores.line import Line
from agent.stores.throttle import BURST_S, Throttle
from agent.stores.workers import do_nothing

MOST_ANSWER_BYTES = 256 << 10
SLOWEST_BYTES_PER_S = 4096
"""A stretch that moves more slowly than this is cut, however steadily it drips."""


OFFSET_STREAM = {"Content-Type": "application/offset+octet-stream"}
"""Source: tus 1.0.0, PATCH."""


class Blocks(Protocol):
    """Where the bytes of a stretch come from: a spool's copy, perhaps encrypted. `stopped`: whether to go on."""

    stopped: Callable[[], bool]

    def blocks(self, end: int) -> Iterator[memoryview]:
        """Hand out the bytes up to `end`; each view is valid until the next step."""
        ...


@dataclass(slots=True)
class Passage:
    """The bytes from `offset` to `end` of an upload; `copy` stands at `offset`, also before they are sent again.

    `on_sent` is called in the worker's thread when no more of them will be taken from `copy`.
    """

    url: str
    offset: int
    end: int
    copy: Blocks
    transfer: Transfer
    doing: str
    throttle: Throttle
    handed: int = 0  # the socket was given the object's bytes up to here, perhaps in vain
    taken: int = 0  # the socket took them up to here
    method: str = "PATCH"
    headers: Mapping[str, str] = field(default_factory=dict)
    on_sent: Callable[[], None] = do_nothing

    def send(self, line: Line, loop: asyncio.AbstractEventLoop, *, stall_s: float, answer_s: float) -> Answer:
        """Send and return the store's answer. Raises StoreError kinds, UploadStopped, SpoolCorrupt."""
        self.handed = self.taken = self.offset
        headers = {**self.headers, "Content-Length": str(self.end - self.offset)}
        patience = _Patience(line, loop, stall_s + (self.end - self.offset) / SLOWEST_BYTES_PER_S)

        def sent() -> None:
            line.allow(loop, answer_s)
            self.on_sent()

        line.on_sent = sent
        try:
            with line.exchange(self.method, self.url, self.doing, headers, self._pieces(line, patience)) as response:
                body = self._finish(line, response.iter_raw())
                return Answer(response.status_code, dict(response.headers), body)
        finally:
            line.on_sent = None

    def _pieces(self, line: Line, patience: "_Patience") -> Iterator[memoryview]:
        began = time.monotonic()
        for block in self.copy.blocks(self.end):
            rest = block
            while rest:
                grant = self.throttle.grant(min(line.pieces.size_bytes, len(rest)), self.copy.stopped)
                line.hold_unsent(min(grant.unsent_bytes or line.pieces.unsent_bytes, line.pieces.unsent_bytes))
                patience.excuse(grant.waited_s)
                piece, rest = rest[: grant.size_bytes], rest[grant.size_bytes :]
                self.handed += len(piece)
                yield piece
                self.taken += len(piece)
                self._report()
                self.throttle.look(line.look)
                now = time.monotonic()
                line.pieces, began = line.pieces.after(len(piece), now - began), now

    def _report(self) -> None:
        # A store that fell back makes us send bytes again; people are shown progress, which only goes up.
        if self.taken > self.transfer.sent_bytes:
            self.transfer.sent_bytes = self.taken
            self.transfer.on_progress(self.taken)

    def _finish(self, line: Line, body: Iterator[bytes]) -> bytes:
        # A small body is read so that the connection can be used again; some protocols say in it what was wrong.
        taken = bytearray()
        for piece in body:
            taken += piece
            if len(taken) > MOST_ANSWER_BYTES or line.was_cut:
                raise StoreUnreachable(f"{self.doing}: the store's answer does not end")
        return bytes(taken)


class _Patience:
    """The deadline of a stretch, put off by as long as we ourselves held its bytes back."""

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._line, self._loop = line, loop
        self._ends = time.monotonic() + seconds
        self._owed_s = 0.0
        line.allow(loop, seconds)

    def excuse(self, waited_s: float) -> None:
        self._owed_s += waited_s
        if self._owed_s >= BURST_S:
            self._ends += self._owed_s
            self._owed_s = 0.0
            self._line.allow(self._loop, self._ends - time.monotonic())
