"""Empties a reading's pipe in a thread of its own, so that hashing and writing never hold up the event loop.

The bytes are counted here, by us. Time is measured by progress: as long as bytes come, a reading may take all night.
"""

import asyncio
import fcntl
import mmap
import os
import select
from concurrent.futures import Future
from contextlib import suppress
from itertools import cycle

from agent.core.errors import ClipChanged, ReaderStalled
from agent.devices.apart import run_apart
from agent.devices.drivers.driver import BLOCK_BYTES
from agent.ports import Sink

_MS_PER_S = 1000


def open_pipe() -> tuple[int, int]:
    """Open a pipe (read end, write end) of 1 MiB, or of what the machine still grants this user."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    with suppress(PermissionError):
        fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, BLOCK_BYTES)
    return read_end, write_end


class Drain:
    """Two buffers in turn, made at the first use, and a thread for each reading. One reading at a time."""

    def __init__(self, bay: str) -> None:
        """`bay` names the threads."""
        self._bay = bay
        self._buffers: list[memoryview] = []

    async def run(self, pipe: int, sink: Sink, *, most_bytes: int, stall_s: float) -> int:
        """Pass everything from `pipe` to `sink` until its end; return how many bytes there were.

        A block stays as it is until the sink's next call has returned: the other buffer is filled meanwhile. The last
        call brings an empty block.
        Raises ClipChanged beyond `most_bytes` (the sink does not see the surplus), ReaderStalled when nothing comes
        for `stall_s`, and what the sink raises. Cancellation: `sink` is not called again, and its running call has
        returned, so that what it writes to can be dropped safely.
        """
        if not self._buffers:
            # Anonymous maps begin at a page, which lets the spool write them past the page cache; shared ones keep
            # their pages when a process is forked in the middle of such a write.
            flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
            self._buffers = [memoryview(mmap.mmap(-1, BLOCK_BYTES, flags=flags)) for _ in range(2)]
        stop = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            work = run_apart(f"reader-{self._bay}", self._drain, pipe, stop, sink, most_bytes, stall_s)
            return await _finished(work, stop)
        finally:
            os.close(stop)

    def _drain(self, pipe: int, stop: int, sink: Sink, most_bytes: int, stall_s: float) -> int:
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        waiting.register(stop, select.POLLIN)
        total = 0
        for buffer in cycle(self._buffers):
            count = 0
            while count < len(buffer):  # whole blocks: each one costs the sink a few thread switches
                ready = {fd for fd, _event in waiting.poll(stall_s * _MS_PER_S)}
                if stop in ready:
                    return total
                if not ready:
                    raise ReaderStalled(f"the camera gave nothing for {stall_s:g} s, {total + count} bytes into a file")
                more = os.readv(pipe, [buffer[count:]])
                if not more:
                    break
                count += more
            total += count
            if total > most_bytes:
                raise ClipChanged(f"a file gave more than the {most_bytes} bytes that were listed")
            if count:
                sink(buffer[:count])
            if count < len(buffer):
                break
        sink(memoryview(b""))
        return total


async def _finished(work: Future[int], stop: int) -> int:
    """Wait for the thread; when cancelled, stop it and wait for its last block all the same."""
    future = asyncio.wrap_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        os.eventfd_write(stop, 1)
        while not future.done():
            with suppress(asyncio.CancelledError):  # raised again below
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # seen: the reading was given up, its failure no longer matters
        raise
