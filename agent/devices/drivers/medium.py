"""A directory tree on a camera's medium, touched by directory descriptors only.

Rules: below the root no path string is ever resolved by the kernel: each component is opened in its parent with
O_NOFOLLOW, so that no symlink, `..` or race leads outside. What is not a regular file is never opened: opening a
device node can have effects. Another file system is not entered.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.devices.drivers.driver import GONE, DriverError

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
    stat.S_IFDIR: "directory",
}


def refusal(facts: os.stat_result) -> str | None:
    """Why this is not offloaded, None for a plain regular file."""
    if not stat.S_ISREG(facts.st_mode):
        return _KINDS.get(stat.S_IFMT(facts.st_mode), "unknown_kind")
    if facts.st_mode & stat.S_ISUID:
        return "setuid"
    return "setgid" if facts.st_mode & stat.S_ISGID else None


def open_quietly(name: bytes, flags: int, dir_fd: int | None = None) -> int:
    """Open without touching the access time where that is permitted. Raises OSError."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:  # only the owner may leave the access time alone
        return os.open(name, flags, dir_fd=dir_fd)


def _split(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise DriverError("refused", "bad_path")
    return parts


def _block_device(device: int) -> int | None:
    """Tell the block device behind a file system from a later one with the same number; None when it has none."""
    try:
        place = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
        return os.stat(place).st_ino  # noqa: PTH116 - no pathlib in the reader
    except OSError:
        return None


class Medium:
    """The tree below `root`, the one path that the kernel resolves."""

    def __init__(self, root: bytes) -> None:
        """Raise DriverError("gone") when there is no such directory."""
        self._root = root
        try:
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            code = "gone" if error.errno in (errno.ENOENT, errno.ENOTDIR) or error.errno in GONE else "failed"
            raise DriverError(code, error.strerror or "", error.errno or 0) from error
        facts = os.fstat(self._fd)
        self.device = facts.st_dev
        self.inode = facts.st_ino
        self._backing = _block_device(self.device)

    def is_present(self) -> bool:
        """Whether the medium is still the one that was opened.

        A dead mount lists as empty and answers stat() from memory, hence the look at the device behind it.
        """
        try:
            os.statvfs(self._fd)
            here = os.stat(self._root)  # noqa: PTH116 - no pathlib in the reader
        except OSError:
            return False
        same = (here.st_dev, here.st_ino) == (self.device, self.inode)
        return same and _block_device(self.device) == self._backing

    def require_present(self) -> None:
        """Raise DriverError("gone") when the medium is no longer there."""
        if not self.is_present():
            raise DriverError("gone", "the medium is no longer there", errno.ENODEV)

    def trouble(self, error: OSError) -> DriverError:
        """Sort a failure into one of the medium and one of this file only."""
        number = error.errno or 0
        text = error.strerror or type(error).__name__
        if number in GONE or not self.is_present():
            return DriverError("gone", text, number)
        if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return DriverError("missing", text, number)
        if number == errno.ELOOP:
            return DriverError("refused", "symlink", number)
        return DriverError("unreadable", text, number)

    def capacity_bytes(self) -> int | None:
        """Size of the file system, None when it does not say."""
        with suppress(OSError):
            facts = os.statvfs(self._fd)
            return facts.f_blocks * facts.f_frsize or None
        return None

    def open_root(self) -> int:
        """Open the root once more, with a position of its own. Raises OSError, DriverError("window") once left."""
        if self._fd < 0:
            raise DriverError("window", "the medium is not entered")
        return open_quietly(b".", DIRECTORY_FLAGS, self._fd)

    @contextmanager
    def parent_of(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the descriptor of the directory that holds `path`, and the last name. Raises DriverError, OSError."""
        *parents, name = _split(path)
        here = self.open_root()
        try:
            for part in parents:
                below = open_quietly(part, DIRECTORY_FLAGS, here)
                os.close(here)
                here = below
                if os.fstat(here).st_dev != self.device:
                    raise DriverError("refused", "other_file_system")
            yield here, name
        finally:
            os.close(here)

    def look(self, path: bytes) -> os.stat_result:
        """Stat without following. Raises DriverError."""
        try:
            with self.parent_of(path) as (parent, name):
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            raise self.trouble(error) from error

    def open_file(self, path: bytes) -> int:
        """Open a plain regular file for reading. Raises DriverError."""
        try:
            with self.parent_of(path) as (parent, name):
                return _open_regular(name, parent)
        except OSError as error:
            raise self.trouble(error) from error

    def mark_of(self, facts: os.stat_result) -> str:
        """Which file this is and when it was last touched.

        The change time is the kernel's own: no program can put it back, and writing, renaming and linking all move it.
        vfat and exfat keep none worth the name (it follows the mtime, and their inode numbers last only while cached):
        there a mark tells another file, and size and mtime must tell the rest. While mounted they are ours alone.
        """
        return f"{facts.st_dev}:{facts.st_ino}:{facts.st_ctime_ns}"

    def sync(self) -> None:
        """Write out everything of this file system. Raises DriverError."""
        from agent.files.kernel import sync_file_system  # noqa: PLC0415 - ctypes is heavy and rarely needed

        try:
            sync_file_system(self._fd)
        except OSError as error:
            raise self.trouble(error) from error

    def close(self) -> None:
        """Let go of the root; idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _open_regular(name: bytes, parent: int) -> int:
    before = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if reason := refusal(before):
        raise DriverError("refused", reason)
    fd = open_quietly(name, FILE_FLAGS, parent)
    after = os.fstat(fd)
    if refusal(after) or after.st_ino != before.st_ino:
        os.close(fd)
        raise DriverError("changed", "another file took its place")
    return fd
