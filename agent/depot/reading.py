"""Reading back: the digest of what lies on the disk, not of what memory still holds of it.

Before bytes are read they are written out, and the kernel's copy of their pages is dropped, so that they come from the
disk as far as the file system lets us ask for that. What a disk answers from its own cache cannot be told apart. All
of it blocks and belongs in a worker thread; a depot that is stopping ends it.
"""

import errno
import hashlib
import os
import time
from pathlib import Path
from threading import Event

from agent.core.object import Digest
from agent.depot.refusal import Refusal
from agent.files.kernel import write_out

FRESH_S = 60.0
"""How long bytes that were read stand for the bytes on the disk. Source: docs/receipt.md."""
BLOCK_BYTES = 1 << 20


class Reading:
    """The digest of a file from its start up to `size_bytes`; it may stop and go on as the file grows."""

    def __init__(self, closing: Event | None = None) -> None:
        """Nothing is read yet; a set `closing` ends a long reading."""
        self._closing = closing
        self._begin()

    def _begin(self) -> None:
        self._hash = hashlib.sha256()
        self._begun_s = 0.0
        self.size_bytes = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the first byte was read within FRESH_S, so that going on is of use."""
        return self.size_bytes == 0 or time.monotonic() - self._begun_s < FRESH_S

    def go_on(self, fd: int, end_bytes: int) -> None:
        """Read the bytes up to `end_bytes`. Raises OSError, Refusal 503 when closing."""
        if not self.size_bytes:
            self._begun_s = time.monotonic()
        begin, buffer = self.size_bytes, memoryview(bytearray(BLOCK_BYTES))
        write_out(fd, begin, end_bytes - begin)
        os.posix_fadvise(fd, begin, end_bytes - begin, os.POSIX_FADV_DONTNEED)
        while self.size_bytes < end_bytes:
            if self._closing is not None and self._closing.is_set():
                raise Refusal(503, "closing", "the depot is stopping; come back later", {"Retry-After": "5"})
            count = os.preadv(fd, [buffer[: end_bytes - self.size_bytes]], self.size_bytes)
            if not count:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            self._hash.update(buffer[:count])
            self.size_bytes += count
        # Evidence must not push everything else out of memory.
        os.posix_fadvise(fd, begin, end_bytes - begin, os.POSIX_FADV_DONTNEED)

    def finish(self, fd: int) -> Digest:
        """The digest of the whole file, all of it read within FRESH_S before this began. Raises as `go_on`."""
        if not self.is_fresh:
            self._begin()
        self.go_on(fd, os.fstat(fd).st_size)
        return Digest(self._hash.hexdigest())

    def forget(self, size_bytes: int) -> None:
        """The file was cut back to `size_bytes`."""
        if self.size_bytes > size_bytes:
            self._begin()


def hash_descriptor(fd: int, closing: Event | None = None) -> Digest:
    """SHA-256 of the whole file, read anew. Raises OSError, Refusal 503 when closing."""
    return Reading(closing).finish(fd)


def open_object(path: Path) -> int:
    """Open for reading; the caller closes. Raises OSError; refuses to follow a link."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def hash_file(path: Path, closing: Event | None = None) -> Digest:
    """SHA-256 of a file's bytes as they are on disk now. Raises as `hash_descriptor`; refuses to follow a link."""
    fd = open_object(path)
    try:
        return hash_descriptor(fd, closing)
    finally:
        os.close(fd)
