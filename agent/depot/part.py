"""A part: the bytes of an unfinished upload, growing at their end only.

Rules: the offset is the file's size on disk, never a remembered number. What names the object is the digest of what
lies on the disk; the digest that ran over what arrived, where memory of it is whole, must be the same. Methods block
and belong in a worker thread, one at a time; after a failed write or fsync the bytes since the last `sync` count as
lost.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from agent.core.object import Digest
from agent.depot.reading import hash_descriptor
from agent.files.durable import WRITEBACK_STEP_BYTES, sync_directory
from agent.files.kernel import start_writeback

if TYPE_CHECKING:
    from hashlib import _Hash


@dataclass(frozen=True, slots=True)
class Running:
    """A SHA-256 on its way: the state after the first `size_bytes` bytes."""

    state: "_Hash"
    size_bytes: int


def make_part(path: Path) -> None:
    """Create the empty part, durably. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    sync_directory(path.parent)


def drop_part(path: Path) -> None:
    """Remove a part, durably; one that is not there is fine. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


class Part:
    """An opened part. Whoever opens it closes it."""

    def __init__(self, path: Path, running: Running | None, closing: Event) -> None:
        """Open `path`, for appending unless it is frozen; a set `closing` ends long readings.

        Raises FileNotFoundError, OSError.
        """
        self.path = path
        self._closing = closing
        access = os.O_RDWR | os.O_APPEND if path.stat().st_mode & stat.S_IWUSR else os.O_RDONLY
        self._fd = os.open(path, access | os.O_NOFOLLOW | os.O_CLOEXEC)
        fits = running is not None and running.size_bytes <= self.size_bytes
        self._hash = running.state.copy() if running and fits else hashlib.sha256()
        self._hashed_bytes = running.size_bytes if running and fits else 0
        self._written_out = self.size_bytes
        self._watch: _Hash | None = None

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)

    @property
    def size_bytes(self) -> int:
        """The size on disk."""
        return os.fstat(self._fd).st_size

    @property
    def running(self) -> Running:
        """The digest so far, to be given to the next opening."""
        return Running(self._hash.copy(), self._hashed_bytes)

    def watch(self, digest: "_Hash | None") -> None:
        """Let `digest` run along over what is appended from now on; None ends it."""
        self._watch = digest

    def append(self, chunks: list[bytes]) -> None:
        """Append all chunks, or, on OSError, leave the part as long as it was."""
        before = self.size_bytes
        try:
            for chunk in chunks:
                _write_all(self._fd, chunk)
        except OSError:
            os.ftruncate(self._fd, before)
            raise
        if self._hashed_bytes == before:
            for chunk in chunks:
                self._hash.update(chunk)
                self._hashed_bytes += len(chunk)
        if self._watch is not None:
            for chunk in chunks:
                self._watch.update(chunk)
        size = self.size_bytes
        if size - self._written_out >= WRITEBACK_STEP_BYTES:
            start_writeback(self._fd, self._written_out, size - self._written_out)
            self._written_out = size

    def cut_back(self, size_bytes: int, running: Running) -> None:
        """Forget what follows `size_bytes`; `running` is the digest as it was there. Raises OSError."""
        os.ftruncate(self._fd, size_bytes)
        self._hash, self._hashed_bytes = running.state.copy(), running.size_bytes
        self._written_out = min(self._written_out, size_bytes)

    def sync(self) -> None:
        """Make all bytes durable. Raises OSError."""
        os.fsync(self._fd)

    def digest(self) -> Digest:
        """The SHA-256 of all bytes, read from the disk in one pass; call it when they are synced.

        Raises OSError, also when they are not the bytes that arrived; Refusal 503 at closing.
        """
        found = hash_descriptor(self._fd, self._closing)
        if self._hashed_bytes == self.size_bytes and self._hash.hexdigest() != found:
            raise OSError(errno.EIO, "the bytes on disk are not those that arrived")
        return found

    def freeze(self) -> None:
        """Take away the right to write, durably, before the bytes become an object. Raises OSError."""
        os.fchmod(self._fd, 0o400)
        os.fsync(self._fd)


def _write_all(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
