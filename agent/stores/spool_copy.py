"""The spool's bytes of one object on their way out: read in order, hashed while they are sent.

Rules: the file is opened without following links and must be a regular file of the object's size. The block that
would complete the object is handed out only when the digest of everything, that block included, is right: what
the spool holds wrongly can be begun at a store but never completed there. Where a digest must be known before the
first byte leaves, the bytes are read once more for it: none of them is kept in memory.
"""

import contextlib
import errno
import hashlib
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from agent.core.errors import SpoolCorrupt, SpoolError
from agent.core.piece_policy import Pieces
from agent.files.side_hash import SideHash
from agent.ports import Shipment, UploadStopped
from agent.stores.stretch import Stretch

BLOCK_BYTES = 1 << 20
"""The largest block, read where the hash has a thread of its own: to hand a small one over would cost too much."""
DROP_BYTES = 8 << 20
"""So much is read before its pages are given up again: sixty cameras' footage would push out all else."""

_ALTERED = frozenset({errno.ENOENT, errno.ELOOP, errno.EIO, errno.EISDIR, errno.ENOTDIR, errno.EUCLEAN})
"""Errors that mean the copy itself is gone or unreadable; others are the machine's and pass."""


class SpoolCopy:
    """One open spool file. Methods block; call them from one worker thread at a time, but for `look_ahead`."""

    def __init__(self, shipment: Shipment, stopped: Callable[[], bool], *, beside: bool = False) -> None:
        """Open the file. `stopped` is asked before each block. Raises SpoolCorrupt, SpoolError.

        `beside`: the hash may have a thread of its own once the bytes leave faster than one thread can hash and encrypt
        them. That costs more of the processor.
        """
        self._shipment = shipment
        self.stopped = stopped
        self._beside = beside
        self._hash = SideHash()
        self._mark = (0, SideHash())  # where the last blocks began, and the hash of all before
        self._ahead: memoryview | None = None
        self._buffers: list[memoryview] = []  # two beside a thread: one is hashed, one is filled
        self._pieces = Pieces()
        self.size_bytes = shipment.size_bytes
        self.position = 0
        self._dropped = 0  # pages before this were given up
        self.moved_bytes = 0  # never falls: shows that something moves
        self._fd = -1
        try:
            self._fd = os.open(shipment.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(self._fd)
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        if not stat.S_ISREG(status.st_mode) or status.st_size != shipment.size_bytes:
            self.close()
            raise SpoolCorrupt(f"the spool's copy of {shipment.sha256} is not a file of {shipment.size_bytes} bytes")

    def __enter__(self) -> Self:
        """Hand out the copy itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def seek(self, offset: int) -> None:
        """Hash up to `offset` without handing anything out: what follows goes on from there. Raises as `blocks` does.

        Back, it costs a reading from where the last blocks began, or from the start if that is too far.
        """
        if offset < self.position:
            self._go_back(offset)
        while self.position < offset:
            self._next(offset)

    def blocks(self, end: int) -> Iterator[memoryview]:
        """Hand out the bytes from `position` to `end`; each view is valid until the next step.

        Raises UploadStopped before a block, SpoolCorrupt instead of the last block of a wrong object.
        """
        self._mark = (self.position, self._hash.fork())
        while self.position < end:
            began = time.monotonic()
            view = self._next(end)
            if self.position == self._shipment.size_bytes:
                self.check()
            yield view
            self._pieces = self._pieces.after(len(view), time.monotonic() - began)

    def look_ahead(self, start: int, end: int) -> Stretch:
        """Hash the bytes from `start` to `end` by themselves; `position` stays. May run beside any other method.

        Raises as `blocks` does; SpoolCorrupt at once if this is the whole object and wrong.
        """
        if self._ahead is None:
            self._ahead = _room(BLOCK_BYTES)
        digest, room, at = hashlib.sha256(), self._ahead, start
        while at < end:
            view = self._read(room[: end - at], at)
            digest.update(view)
            at += len(view)
        if end - start == self._shipment.size_bytes:
            self._compare(digest.hexdigest())
        return Stretch(start, end, digest.digest())

    def matches(self, block: memoryview) -> bool:
        """Go on by as many bytes as `block` has, hashing them; tell whether they are the same bytes."""
        end = self.position + len(block)
        same = True
        while self.position < end:
            view = self._next(end)
            same = same and view == block[: len(view)]
            block = block[len(view) :]
        return same

    def digest(self) -> str:
        """SHA-256 of everything read so far, in hex."""
        return self._hash.hexdigest()

    def check(self) -> None:
        """Compare the digest of everything handed out so far with the object's. Raises SpoolCorrupt."""
        self._compare(self.digest())

    def _compare(self, digest: str) -> None:
        if digest != self._shipment.sha256:
            raise SpoolCorrupt(f"the spool's copy of {self._shipment.sha256} has another digest now")

    def close(self) -> None:
        """Close the file; idempotent."""
        self._hash.close()
        if self._fd >= 0:
            self._drop(to_the_end=True)
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _go_back(self, offset: int) -> None:
        at, before = self._mark if self._mark[0] <= offset else (0, SideHash())
        self._hash.close()
        self._hash = before.fork()
        self.position = self._dropped = at

    def _next(self, end: int) -> memoryview:
        beside = self._beside and self._pieces.outrun_one_thread
        size_bytes, count = (BLOCK_BYTES, 2) if beside else (self._pieces.size_bytes, 1)
        if len(self._buffers) != count:
            self._buffers = [_room(BLOCK_BYTES) for _ in range(count)]
        self._buffers.reverse()
        view = self._read(self._buffers[0][: min(size_bytes, end - self.position)], self.position)
        if beside:
            self._hash.update(view)
        else:
            self._hash.update_here(view)
        self.position += len(view)
        if self.position - self._dropped >= DROP_BYTES:
            self._drop()
        return view

    def _read(self, room: memoryview, at: int) -> memoryview:
        """Read what follows `at` into the beginning of `room`, at least one byte."""
        if self.stopped():
            raise UploadStopped
        try:
            count = os.preadv(self._fd, [room], at)
        except OSError as error:
            raise self._failed(error) from error
        if not count:
            raise SpoolCorrupt(f"the spool's copy of {self._shipment.sha256} became shorter while it was read")
        self.moved_bytes += count
        return room[:count]

    def _drop(self, *, to_the_end: bool = False) -> None:
        """Give up the pages of what was read; what nobody reads twice need not stay in memory."""
        size_bytes = 0 if to_the_end else self.position - self._dropped  # 0: however long the file is
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._fd, self._dropped, size_bytes, os.POSIX_FADV_DONTNEED)
        self._dropped = self.position

    def _failed(self, error: OSError) -> SpoolCorrupt | SpoolError:
        text = f"the spool's copy of {self._shipment.sha256} cannot be read: {error.strerror}"
        return SpoolCorrupt(text) if error.errno in _ALTERED else SpoolError(text)


def _room(size_bytes: int) -> memoryview:
    """Memory that goes back to the system with its copy; the allocator would keep it, for each thread some."""
    return memoryview(mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
