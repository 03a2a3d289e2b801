"""The spool's bytes of one object on their way out: read in order, hashed while they are sent.

Rules: the file is opened without following links and must be a regular file of the object's size. The block that
would complete the object is handed out only when the digest of everything, that block included, is right: what
the spool holds wrongly can be begun at a store but never completed there.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from agent.core.errors import SpoolCorrupt, SpoolError
from agent.files.side_hash import SideHash
from agent.ports import Shipment, UploadStopped

BLOCK_BYTES = 1 << 20

_ALTERED = frozenset({errno.ENOENT, errno.ELOOP, errno.EIO, errno.EISDIR, errno.ENOTDIR, errno.EUCLEAN})
"""Errors that mean the copy itself is gone or unreadable; others are the machine's and pass."""


class SpoolCopy:
    """One open spool file. Methods block; call them from one worker thread at a time."""

    def __init__(self, shipment: Shipment, stopped: Callable[[], bool]) -> None:
        """Open the file. `stopped` is asked before each block. Raises SpoolCorrupt, SpoolError."""
        self._shipment = shipment
        self._stopped = stopped
        self._hash = SideHash()
        self._buffers = [memoryview(bytearray(BLOCK_BYTES)) for _ in range(2)]  # one is hashed, one is filled
        self.size_bytes = shipment.size_bytes
        self.position = 0
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
        """Hash from the start up to `offset` without handing anything out. Raises as `blocks` does."""
        if offset < self.position:
            self._hash.close()
            self._hash = SideHash()
            self.position = 0
        while self.position < offset:
            self._next(offset)

    def blocks(self, end: int) -> Iterator[memoryview]:
        """Hand out the bytes from `position` to `end`; each view is valid until the next step.

        Raises UploadStopped before a block, SpoolCorrupt instead of the last block of a wrong object.
        """
        while self.position < end:
            view = self._next(end)
            if self.position == self._shipment.size_bytes:
                self.check()
            yield view

    def matches(self, block: memoryview) -> bool:
        """Go on by as many bytes as `block` has, hashing them; tell whether they are the same bytes."""
        end = self.position + len(block)
        same = True
        while self.position < end:
            view = self._next(end)
            same = same and view == block[: len(view)]
            block = block[len(view) :]
        return same

    def check(self) -> None:
        """Compare the digest of everything handed out so far with the object's. Raises SpoolCorrupt."""
        if self._hash.hexdigest() != self._shipment.sha256:
            raise SpoolCorrupt(f"the spool's copy of {self._shipment.sha256} has another digest now")

    def close(self) -> None:
        """Close the file; idempotent."""
        self._hash.close()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _next(self, end: int) -> memoryview:
        if self._stopped():
            raise UploadStopped
        self._buffers.reverse()
        view = self._buffers[0][: min(BLOCK_BYTES, end - self.position)]
        try:
            count = os.preadv(self._fd, [view], self.position)
        except OSError as error:
            raise self._failed(error) from error
        if not count:
            raise SpoolCorrupt(f"the spool's copy of {self._shipment.sha256} became shorter while it was read")
        view = view[:count]
        self._hash.update(view)
        self.position += count
        self.moved_bytes += count
        return view

    def _failed(self, error: OSError) -> SpoolCorrupt | SpoolError:
        text = f"the spool's copy of {self._shipment.sha256} cannot be read: {error.strerror}"
        return SpoolCorrupt(text) if error.errno in _ALTERED else SpoolError(text)
