"""A part: the bytes of an unfinished upload, growing at their end only.

Rules: the offset is the file's size on disk, never a remembered number. What names the object is the digest of what
lies on the disk, read back behind the writing while bytes still arrive. Methods block and belong in a worker thread,
one at a time, except that `follow` may run beside `append`; after a failed write, reading or fsync the bytes since the
last `sync` count as lost.
"""

import os
import stat
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from agent.core.object import Digest
from agent.depot.reading import Reading
from agent.files.durable import WRITEBACK_STEP_BYTES, sync_directory
from agent.files.kernel import start_writeback

if TYPE_CHECKING:
    from hashlib import _Hash


FOLLOW_BYTES = WRITEBACK_STEP_BYTES
"""What was handed to the disk so long ago is read back, in pieces of at least this size ..."""
MOST_BYTES = 4 * FOLLOW_BYTES
"""... and at most this one, so that the end of a request does not wait for long."""


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

    def __init__(self, path: Path, reading: Reading | None, closing: Event) -> None:
        """Open `path`, for appending unless it is frozen; a set `closing` ends long readings.

        `reading` is what an earlier opening left, None to begin anew. Raises FileNotFoundError, OSError.
        """
        self.path = path
        access = os.O_RDWR | os.O_APPEND if path.stat().st_mode & stat.S_IWUSR else os.O_RDONLY
        self._fd = os.open(path, access | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.reading = reading or Reading(closing)
        self.reading.forget(self.size_bytes)
        self._written_out = self.size_bytes
        self._watch: _Hash | None = None

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)

    @property
    def size_bytes(self) -> int:
        """The size on disk."""
        return os.fstat(self._fd).st_size

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
        if self._watch is not None:
            for chunk in chunks:
                self._watch.update(chunk)
        size = self.size_bytes
        if size - self._written_out >= WRITEBACK_STEP_BYTES:
            start_writeback(self._fd, self._written_out, size - self._written_out)
            self._written_out = size

    @property
    def is_behind(self) -> bool:
        """Whether there is enough to do for `follow`."""
        return self.reading.is_fresh and self._written_out - self.reading.size_bytes >= 2 * FOLLOW_BYTES

    def follow(self) -> None:
        """Read back some of what was written a while ago. Raises OSError, Refusal 503 at closing."""
        end = min(self._written_out - FOLLOW_BYTES, self.reading.size_bytes + MOST_BYTES)
        self.reading.go_on(self._fd, end // FOLLOW_BYTES * FOLLOW_BYTES)

    def cut_back(self, size_bytes: int) -> None:
        """Forget what follows `size_bytes`. Raises OSError."""
        os.ftruncate(self._fd, size_bytes)
        self.reading.forget(size_bytes)
        self._written_out = min(self._written_out, size_bytes)

    def sync(self) -> None:
        """Make all bytes durable. Raises OSError."""
        os.fsync(self._fd)

    def digest(self) -> Digest:
        """The SHA-256 of all bytes, read from the disk, as far as that was not done; call it when they are synced.

        Raises OSError, Refusal 503 at closing.
        """
        return self.reading.finish(self._fd)

    def freeze(self) -> None:
        """Take away the right to write, durably, before the bytes become an object. Raises OSError."""
        os.fchmod(self._fd, 0o400)
        os.fsync(self._fd)


def _write_all(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
