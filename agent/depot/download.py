"""Read-back: an object's bytes as they are on disk, streamed whole."""

import os
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from agent.depot.depot import Depot
from agent.depot.refusal import Refusal
from agent.depot.upload import Upload

BLOCK_BYTES = 1 << 20


async def stream_object(depot: Depot, upload: Upload) -> StreamingResponse:
    """Answer with the bytes of a finished upload. Raises Refusal 410 when the depot no longer has them.

    A read error in the middle cuts the connection, so that the client sees a short body and no wrong one.
    """
    if upload.sha256 is None or not await depot.holds(upload):
        raise Refusal(410, "object_missing", "the depot no longer has these bytes; send them anew")
    path = depot.objects.path_of(upload.sha256)
    fd = await depot.workers.run(os.open, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    headers = {"Content-Length": str(upload.length_bytes), "Cache-Control": "no-store"}
    return StreamingResponse(_blocks(depot, fd), headers=headers, media_type="application/octet-stream")


async def _blocks(depot: Depot, fd: int) -> AsyncIterator[bytes]:
    try:
        while block := await depot.workers.run(os.read, fd, BLOCK_BYTES):
            yield block
    finally:
        os.close(fd)
