"""Append: one request's body becomes the next bytes of an upload, durable before anybody is told.

What arrived is kept when the line breaks, except when the request carried a checksum or more than the upload has room
for: then the part is cut back to where the request began.
"""

import errno

from starlette.types import Receive

from agent.depot.depot import Depot, Work
from agent.depot.headers import Checksum
from agent.depot.inflow import Ending, Inflow
from agent.depot.part import Part
from agent.depot.refusal import Refusal
from agent.depot.upload import Upload

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSE = {"Connection": "close"}


async def append(
    depot: Depot, work: Work, receive: Receive, *, announced_bytes: int | None, checksum: Checksum | None
) -> tuple[Upload, int]:
    """Take the body in; return the upload, now perhaps finished, and the new offset in bytes.

    `announced_bytes` is the body's Content-Length. Raises Refusal 408, 409, 413, 460, 500, 503, 507.
    """
    held = work.offset_bytes
    room = work.upload.length_bytes - held
    if announced_bytes is not None and announced_bytes > room:
        raise _too_long(room)
    if work.part is None:
        return work.upload, held
    body = _Body(depot, work, work.part, checksum)
    try:
        ending = await body.take(receive, room)
    except OSError as error:
        raise await depot.workers.run(depot.acceptance.lose, work.upload, error) from error
    if work.part.size_bytes == work.upload.length_bytes:
        return await depot.workers.run(depot.acceptance.accept, work.upload, work.part), work.upload.length_bytes
    _refuse(ending)
    return work.upload, work.part.size_bytes


class _Body:
    """A body on its way, with the way back to where it began."""

    def __init__(self, depot: Depot, work: Work, part: Part, checksum: Checksum | None) -> None:
        self._run = depot.workers.run
        self._part = part
        self._start_bytes = part.size_bytes
        self._checksum = checksum
        self._digest = checksum.start() if checksum else None
        self._depot = depot
        self._turn = work.turn

    async def take(self, receive: Receive, room_bytes: int) -> Ending:
        """Write and sync. Raises OSError when bytes are lost, Refusal when they are refused."""
        self._part.watch(self._digest)
        try:
            inflow = Inflow(receive, self._turn, self._part, self._depot.workers, self._depot.followers)
            ending = await inflow.run(room_bytes)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            await self._keep(whole=False)
            raise Refusal(507, "disk_full", "the depot's disk is full; what was acknowledged is kept") from error
        finally:
            self._part.watch(None)
        if ending is Ending.TOO_LONG:
            await self._back()
            raise _too_long(room_bytes)
        await self._keep(whole=ending is Ending.WHOLE)
        return ending

    async def _keep(self, *, whole: bool) -> None:
        if self._checksum is None or self._digest is None:
            await self._run(self._part.sync)
        elif not whole:
            await self._back()
        elif self._digest.digest() != self._checksum.digest:
            await self._back()
            raise Refusal(460, "checksum_mismatch", "the body does not have the checksum it came with; send it again")
        else:
            await self._run(self._part.sync)

    async def _back(self) -> None:
        await self._run(self._part.cut_back, self._start_bytes)
        await self._run(self._part.sync)


def _refuse(ending: Ending) -> None:
    match ending:
        case Ending.NEWER:
            raise Refusal(409, "superseded", "a newer request for this upload has taken over", _CLOSE)
        case Ending.IDLE:
            raise Refusal(408, "idle", "no byte came for too long; what arrived is kept", _CLOSE)
        case Ending.CLOSING:
            raise Refusal(503, "closing", "the depot is stopping; what arrived is kept", {"Retry-After": "5", **_CLOSE})
        case Ending.WHOLE | Ending.CUT | Ending.TOO_LONG:
            pass  # whole: well; cut: nobody listens; too long: refused already


def _too_long(room_bytes: int) -> Refusal:
    return Refusal(413, "too_long", f"the upload has room for {room_bytes} more bytes; nothing of the body was kept")
