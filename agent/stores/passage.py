"""One PATCH: a stretch of an object on its way through a line.

Blocking; runs in a worker thread. What was handed to the socket is counted before it is handed, so that `handed`
never falls short of what the store may hold.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from agent.core.errors import StoreUnreachable
from agent.ports import Transfer
from agent.stores.answer import Answer
from agent.stores.line import Line
from agent.stores.spool_copy import SpoolCopy
from agent.stores.uploads import TUS

PIECE_BYTES = 256 << 10
"""One write to the socket. TLS writes count as progress only when whole, so they must not be large."""
SLOWEST_BYTES_PER_S = 4096
"""A stretch that moves more slowly than this is cut, however steadily it drips."""


@dataclass(slots=True)
class Passage:
    """The bytes from `offset` to `end` of an upload; `copy` stands at `offset`."""

    url: str
    offset: int
    end: int
    copy: SpoolCopy
    transfer: Transfer
    doing: str
    handed: int = 0  # the socket was given the object's bytes up to here, perhaps in vain
    taken: int = 0  # the socket took them up to here

    def send(self, line: Line, loop: asyncio.AbstractEventLoop, *, stall_s: float, answer_s: float) -> Answer:
        """Send and return the store's answer. Raises StoreError kinds, UploadStopped, SpoolCorrupt."""
        self.handed = self.taken = self.offset
        headers = {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(self.end - self.offset),
            "Upload-Offset": str(self.offset),
        }
        line.allow(loop, stall_s + (self.end - self.offset) / SLOWEST_BYTES_PER_S)
        line.on_sent = lambda: line.allow(loop, answer_s)
        try:
            with line.exchange("PATCH", self.url, self.doing, headers, self._pieces()) as response:
                answer = Answer(response.status_code, dict(response.headers))
                self._finish(line, response.iter_raw())
                return answer
        finally:
            line.on_sent = None

    def _pieces(self) -> Iterator[memoryview]:
        for block in self.copy.blocks(self.end):
            for start in range(0, len(block), PIECE_BYTES):
                piece = block[start : start + PIECE_BYTES]
                self.handed += len(piece)
                yield piece
                self.taken += len(piece)
                self._report()

    def _report(self) -> None:
        # A store that fell back makes us send bytes again; people are shown progress, which only goes up.
        if self.taken > self.transfer.sent_bytes:
            self.transfer.sent_bytes = self.taken
            self.transfer.on_progress(self.taken)

    def _finish(self, line: Line, body: Iterator[bytes]) -> None:
        # The body means nothing, but a small one is read so that the connection can be used again.
        taken = 0
        for piece in body:
            taken += len(piece)
            if taken > PIECE_BYTES or line.was_cut:
                raise StoreUnreachable(f"{self.doing}: the store's answer does not end")
