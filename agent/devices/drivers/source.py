"""One file of a medium, spliced into a pipe without its bytes passing through this process."""

import errno
import fcntl
import os
import signal
import time

from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.medium import Medium

_NO_LEASES = frozenset({errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOLCK})
_TICK_NS = 20_000_000
"""Kernels before 6.13 stamp files with a clock that moves each 1 to 10 ms: two changes within one step look alike."""
_NS_PER_S = 1_000_000_000


def mark_of(facts: os.stat_result) -> str:
    """Which file this is and when it was last touched.

    The change time is the kernel's own: no program can put it back, and writing, renaming and linking all move it.
    vfat and exfat keep none worth the name (it follows the mtime, and their inode numbers last only while cached):
    there a mark tells another file, and size and mtime must tell the rest. Their media are ours alone while mounted.
    """
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_ctime_ns}"


class FileSource:
    """A regular file opened for reading. Implements `driver.Source`."""

    def __init__(self, medium: Medium, path: bytes, *, fresh: bool) -> None:
        """`fresh` drops the file's cached pages first. Raises DriverError."""
        self.path = path
        self.offset = 0
        self._medium = medium
        self._splices = True
        self._fd = medium.open_file(path)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED if fresh else os.POSIX_FADV_SEQUENTIAL)

    def state(self) -> tuple[int, int]:
        """Look at the open file, and that its name still leads to it."""
        try:
            facts = os.fstat(self._fd)
        except OSError as error:
            raise self._medium.trouble(error) from error
        named = self._medium.look(self.path)
        if (named.st_dev, named.st_ino) != (facts.st_dev, facts.st_ino):
            raise DriverError("changed", "another file took its place")
        return facts.st_size, facts.st_mtime_ns

    def mark(self) -> str:
        """Tell the open file, as it is now, from any other and from itself once touched.

        Of a file touched this very moment it is told a moment later, when the next change must show.
        """
        try:
            facts = os.fstat(self._fd)
            age_ns = time.time_ns() - facts.st_ctime_ns
            if 0 <= age_ns < _TICK_NS:
                time.sleep((_TICK_NS - age_ns) / _NS_PER_S)
                if os.fstat(self._fd).st_ctime_ns != facts.st_ctime_ns:
                    raise DriverError("changed", "somebody is touching it right now")
        except OSError as error:
            raise self._medium.trouble(error) from error
        return mark_of(facts)

    def send(self, pipe: int, limit: int) -> int:
        """Send the next bytes; 0 at the end."""
        try:
            count = self._splice(pipe, limit) if self._splices else self._copy(pipe, limit)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._medium.trouble(error) from error
        self.offset += count
        return count

    def _splice(self, pipe: int, limit: int) -> int:
        try:
            return os.splice(self._fd, pipe, limit, offset_src=self.offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        self._splices = False  # some file systems cannot
        return self._copy(pipe, limit)

    def _copy(self, pipe: int, limit: int) -> int:
        block = memoryview(os.pread(self._fd, limit, self.offset))
        rest = block
        while rest:
            rest = rest[os.write(pipe, rest) :]
        return len(block)

    def hold_still(self) -> None:
        """Keep others from writing to the file until it is closed. Raises DriverError when somebody is writing.

        Source: fcntl(2), leases. Where the file system has none, or the file is another user's, nobody can tell.
        """
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel's word that somebody waits for us; we are quick
        try:
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError as error:
            raise DriverError("changed", "somebody is still writing to it", errno.EAGAIN) from error
        except OSError as error:
            if error.errno not in _NO_LEASES:
                raise self._medium.trouble(error) from error

    def close(self) -> None:
        """Forget the file and its cached pages: many cameras pass through little memory."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
