"""A file that is either wholly and durably there under its final name, or not there at all.

Order, each step measured to be needed (file first, then directory): write, fsync file, rename without
replacing, fsync directory. A failed write, fsync or close means that the bytes are lost: the part is dropped and
nothing is retried on the same descriptor, because the kernel forgets failed pages.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.files.kernel import rename_new, start_writeback

WRITEBACK_STEP_BYTES = 8 << 20
"""How much is written before the kernel is asked to start writing it out."""
DIRECT_FROM_BYTES = 4 << 20
"""From this size on, going past the page cache pays."""


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """Create `path` and its missing parents, each made durable in its parent. Raises OSError."""
    missing = []
    while not path.is_dir():
        if path.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=mode)
        try:
            sync_directory(each.parent)
        except OSError:
            with contextlib.suppress(OSError):
                each.rmdir()  # so that the next try makes and syncs it anew
            raise


class DurablePart:
    """A new file under a temporary name. Use as a context manager: leaving it without `publish` drops it.

    Methods block; call them from a worker thread. Not thread safe.
    """

    def __init__(self, path: Path, *, expected_bytes: int = 0) -> None:
        """Create `path`, which must not exist; `expected_bytes` may be wrong. Raises OSError.

        Large files go past the page cache, as long as what is written starts at a page and is made of whole ones: that
        costs a fraction of the processor's time, an error of the disk comes with its own write, and who reads the file
        later reads the disk.
        """
        self.path = path
        self.size_bytes = 0
        self._written_out = 0
        self._synced = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._direct = expected_bytes >= DIRECT_FROM_BYTES and _set_direct(self._fd, direct=True)

    def __enter__(self) -> Self:
        """Hand out the part itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Drop the part unless it was published."""
        self.drop()

    def write(self, block: memoryview | bytes) -> None:
        """Append all of `block`. Raises OSError; the part is then only good for `drop`."""
        view = memoryview(block)
        fd, self._fd = self._fd, -1
        try:
            while view:
                done = self._write(fd, view)
                view = view[done:]
                self.size_bytes += done
        except OSError:
            os.close(fd)  # what the file holds now is not what was given: it can never be published
            raise
        self._fd = fd
        if self._direct:
            self._written_out = self.size_bytes
        elif self.size_bytes - self._written_out >= WRITEBACK_STEP_BYTES:
            start_writeback(self._fd, self._written_out, self.size_bytes - self._written_out)
            self._written_out = self.size_bytes

    def _write(self, fd: int, view: memoryview) -> int:
        try:
            return os.write(fd, view)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._direct:
                raise
        # Not made of whole pages, as the end of most files: nothing was written, the rest goes the ordinary way.
        _set_direct(fd, direct=False)
        self._direct = False
        return os.write(fd, view)

    def give_to(self, uid: int, gid: int) -> None:
        """Let another user own it; before `publish`. Raises OSError."""
        os.fchown(self._fd, uid, gid)

    def publish(self, target: Path, mode: int = 0o400) -> None:
        """Make the bytes durable under `target`, which must not exist.

        Raises FileExistsError when it does, OSError when durability was not reached; in both cases the part
        is still there to be dropped.
        """
        if self._fd >= 0:
            self._sync(mode)
        if not self._synced:
            raise OSError(errno.EIO, "an earlier write or sync failed; these bytes are lost", os.fspath(self.path))
        source_fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            target_fd = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                rename_new(self.path.name, target.name, source_dir_fd=source_fd, target_dir_fd=target_fd)
                self._sync_name(target_fd, target.name)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)

    def _sync(self, mode: int) -> None:
        """Sync the bytes, once: the descriptor is given up first, so that no one can try a failed fsync again."""
        fd, self._fd = self._fd, -1
        try:
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        self._synced = True

    @staticmethod
    def _sync_name(directory_fd: int, name: str) -> None:
        try:
            os.fsync(directory_fd)
        except OSError:
            # The name may or may not survive; without it the bytes are simply brought again.
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=directory_fd)
            raise

    def drop(self) -> None:
        """Forget the part; harmless after `publish`. Never raises: a leftover is removed at the next start."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)
        with contextlib.suppress(OSError):
            self.path.unlink()


def _set_direct(fd: int, *, direct: bool) -> bool:
    """Choose whether writes go past the page cache; returns whether they do. Some file systems cannot."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return direct


class BlockReader:
    """Iterator of memoryviews; each is valid until the next step. Raises OSError."""

    def __init__(self, fd: int, size_bytes: int = 1 << 20) -> None:
        """Read `fd` from where it stands, through one buffer of `size_bytes`."""
        self._fd = fd
        self._buffer = memoryview(bytearray(size_bytes))

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> memoryview:
        """Read the next block."""
        count = os.readv(self._fd, [self._buffer])
        if not count:
            raise StopIteration
        return self._buffer[:count]
