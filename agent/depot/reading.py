"""Reading back: the digest of what lies on the disk, not of what memory still holds of it.

The kernel's copy of the pages is dropped first, so that the bytes come from the disk as far as the file system lets
us ask for that. One pass, in a worker thread; a depot that is stopping ends it.
"""

import hashlib
import os
from pathlib import Path
from threading import Event

from agent.core.object import Digest
from agent.depot.refusal import Refusal
from agent.files.durable import BlockReader


def hash_descriptor(fd: int, closing: Event | None = None) -> Digest:
    """SHA-256 of the whole synced file, read anew; moves the position. Raises OSError, Refusal 503 when closing."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(fd, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    for block in BlockReader(fd):
        if closing is not None and closing.is_set():
            raise Refusal(503, "closing", "the depot is stopping; come back later", {"Retry-After": "5"})
        digest.update(block)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # evidence must not push everything else out of memory
    return Digest(digest.hexdigest())


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
