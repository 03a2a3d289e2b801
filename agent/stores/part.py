"""A part of an object in a directory store that outlives a stop, and is published without replacing anything.

The order is that of agent.files.durable: file synced, name given without replacing, directory synced. After a
failed write or sync the part is only good to be dropped.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.core.errors import StoreBusy
from agent.files.durable import WRITEBACK_STEP_BYTES, BlockReader, sync_directory
from agent.files.kernel import rename_new, start_writeback

SYNC_STEP_BYTES = 64 << 20
"""The final sync must be short even on a slow share, or it would look like a hang."""
_NO_RENAME_FLAGS = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class StoredPart:
    """A part that may already hold bytes from an earlier try, which nobody has checked yet.

    It is locked while it is open: two stations may share one directory. Leaving the context without `publish` or
    `keep` drops it. Methods block.
    """

    def __init__(self, path: Path) -> None:
        """Create the part, or open the one that is there. Raises StoreBusy, OSError."""
        self.path = path
        self._written_out = self._synced = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            self.size_bytes = self._take()
        except (BlockingIOError, FileNotFoundError) as error:
            self._close()
            raise StoreBusy("another station is storing the same object right now") from error
        except OSError:
            self._close()
            raise

    def __enter__(self) -> Self:
        """Hand out the part itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Drop the part unless it was kept or published."""
        self.drop()

    def blocks(self) -> BlockReader:
        """Read what the part holds from its start; afterwards it stands at its end."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        return BlockReader(self._fd)

    def begin_again(self) -> None:
        """Throw away what the part holds. Raises OSError."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.size_bytes = self._written_out = self._synced = 0

    def write(self, block: memoryview | bytes) -> None:
        """Append all of `block`. Raises OSError."""
        view = memoryview(block)
        while view:
            done = os.write(self._fd, view)
            view = view[done:]
            self.size_bytes += done
        if self.size_bytes - self._written_out >= WRITEBACK_STEP_BYTES:
            start_writeback(self._fd, self._written_out, self.size_bytes - self._written_out)
            self._written_out = self.size_bytes
        if self.size_bytes - self._synced >= SYNC_STEP_BYTES:
            os.fdatasync(self._fd)
            self._synced = self.size_bytes

    def keep(self) -> None:
        """Leave the part for a later try. Raises OSError when its bytes may be lost."""
        os.fsync(self._fd)
        self._close()

    def publish(self, target: Path) -> None:
        """Make the bytes durable and read-only under `target`. Raises FileExistsError when it exists, OSError."""
        os.fchmod(self._fd, 0o400)
        os.fsync(self._fd)
        try:
            rename_here(self.path, target)
        except OSError as error:
            if error.errno not in _NO_RENAME_FLAGS:
                raise
            # NFS cannot rename without replacing; a hard link refuses a taken name as well.
            os.link(self.path, target, follow_symlinks=False)
            self.path.unlink()
        sync_directory(target.parent)
        self._close()

    def drop(self) -> None:
        """Remove the part unless it was kept or published; never raises."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self._close()

    def _take(self) -> int:
        """Lock the part and return its size. Raises BlockingIOError, FileNotFoundError, OSError."""
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(self._fd)
        # Between opening and locking, another station may have published or dropped this very file.
        if not stat.S_ISREG(status.st_mode) or not os.path.samestat(status, self.path.lstat()):
            raise BlockingIOError(errno.EAGAIN, "the part was taken away")
        return status.st_size

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            os.close(fd)


def rename_here(source: Path, target: Path) -> None:
    """Rename without replacing. Raises FileExistsError, OSError."""
    source_fd = os.open(source.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        target_fd = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            rename_new(source.name, target.name, source_dir_fd=source_fd, target_dir_fd=target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
