"""A camera that is a directory: a mounted card, an import folder, a folder in a trial.

Rules: read-only except in a wipe window; a wipe removes one regular file by its name in its parent and never a
directory.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from agent.devices.drivers.driver import DriverError, Facts, Found, Source
from agent.devices.drivers.medium import Medium
from agent.devices.drivers.mounts import read_mounts
from agent.devices.drivers.source import FileSource
from agent.devices.drivers.walk import Walk

_REFUSED_BY_MEDIUM = frozenset({errno.EROFS, errno.EPERM, errno.EACCES})


def file_system_of(medium: Medium) -> str | None:
    """What kind of file system this is, None when the kernel does not say."""
    device = f"{os.major(medium.device)}:{os.minor(medium.device)}"
    with suppress(OSError, ValueError):
        for mount in read_mounts():
            if mount.device == device:
                return mount.file_system
    return None


class FolderDriver:
    """Implements `driver.Driver` for a directory."""

    can_wipe = True

    def __init__(self, address: bytes) -> None:
        """Open the directory. Raises DriverError."""
        self._address = address
        self._window = False
        self.medium = self.open_medium()

    def open_medium(self) -> Medium:
        """Open the root anew. Raises DriverError."""
        return Medium(self._address)

    def facts(self) -> Facts:
        """Name the file system and its size; a directory has no serial."""
        return {"file_system": file_system_of(self.medium), "capacity_bytes": self.medium.capacity_bytes()}

    def require_present(self) -> None:
        """Raise DriverError("gone") when the directory is no longer the one that was opened."""
        self.medium.require_present()

    def exists(self, path: bytes) -> bool:
        """Whether there is a regular file or a directory; a symlink is neither."""
        try:
            mode = self.medium.look(path).st_mode
        except DriverError as error:
            if error.code in ("missing", "refused"):
                return False
            raise
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)

    def walk(self) -> Iterator[Found]:
        """Walk everything afresh."""
        return Walk(self.medium).steps()

    def open_source(self, path: bytes, *, fresh: bool) -> Source:
        """Open a file for reading."""
        return FileSource(self.medium, path, fresh=fresh)

    def wipe(self, path: bytes, size_bytes: int, mtime_ns: int, mark: str) -> None:
        """Unlink exactly this file, and make that durable in its directory."""
        if not self._window:
            raise DriverError("window", "no wipe window is open")
        source = FileSource(self.medium, path, fresh=False)
        try:
            source.hold_still()
            if source.state() != (size_bytes, mtime_ns):
                raise DriverError("changed", "size or time is not what was listed")
            if source.mark() != mark:
                raise DriverError("changed", "it is not the file that was read, or was touched since")
            self._unlink(path, mark)
        finally:
            source.close()

    def _unlink(self, path: bytes, mark: str) -> None:
        """Look at the name once more, in the very directory it is removed from: no lease keeps it from being reused."""
        try:
            with self.medium.parent_of(path) as (parent, name):
                if self.medium.mark_of(os.stat(name, dir_fd=parent, follow_symlinks=False)) != mark:
                    raise DriverError("changed", "another file took its place")
                os.unlink(name, dir_fd=parent)
                os.fsync(parent)
        except OSError as error:
            if error.errno in _REFUSED_BY_MEDIUM:
                raise DriverError("read_only", error.strerror or "", error.errno) from error
            raise self._wipe_trouble(error) from error

    def _wipe_trouble(self, error: OSError) -> DriverError:
        """After a failed unlink or fsync nobody knows what the medium holds: the session must start afresh."""
        trouble = self.medium.trouble(error)
        if trouble.code in ("gone", "missing"):
            return trouble
        return DriverError("failed", trouble.text, trouble.number)

    def leave(self) -> None:
        """Write everything out if a window was open, and let go of the medium."""
        window, self._window = self._window, False
        try:
            if window:
                self.medium.sync()
        finally:
            self.medium.close()

    def enter(self, address: bytes, *, writable: bool) -> None:
        """Open the root anew, which may have moved to another mount point."""
        known, moved = self.medium, address != self._address
        known.close()
        self._address = address
        self.medium = self.open_medium()
        same_root = moved or self.medium.inode == known.inode
        if self.medium.device != known.device or not same_root:
            raise DriverError("gone", "another medium took its place", errno.ENODEV)
        if writable and os.statvfs(address).f_flag & os.ST_RDONLY:
            raise DriverError("read_only", "the medium is read-only", errno.EROFS)
        self._window = writable

    def close(self) -> None:
        """Write out what an open window left, and let go."""
        with suppress(DriverError):
            self.leave()
