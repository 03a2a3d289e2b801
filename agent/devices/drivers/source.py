"""One file of a medium, sent into a pipe."""

import errno
import fcntl
import os
import signal
import time

from agent.devices.drivers.driver import BLOCK_BYTES, DriverError
from agent.devices.drivers.medium import Medium

_NO_LEASES = frozenset({errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOLCK})
_TICK_NS = 20_000_000
"""Kernels before 6.13 stamp files with a clock that moves each 1 to 10 ms: two changes within one step look alike."""
_NS_PER_S = 1_000_000_000
_PAGE_BYTES = 4096
_PROBE_BYTES = 1 << 20
_PROBE_S = 5.0
"""How far, and how long at most, a bad spot is followed: a worn-out card takes seconds for each page."""


class FileSource:
    """A regular file opened for reading. Implements `driver.Source`."""

    def __init__(self, medium: Medium, path: bytes, *, fresh: bool) -> None:
        """`fresh` drops the file's cached pages first. Raises DriverError."""
        self.path = path
        self.offset = 0
        self._medium = medium
        self._block: memoryview | None = None
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
        return self._medium.mark_of(facts)

    def send(self, pipe: int, limit: int) -> int:
        """Send the next bytes; 0 at the end."""
        try:
            count = self._copy(pipe, limit)
        except BrokenPipeError:
            raise
        except OSError as error:
            trouble = self._medium.trouble(error)
            if trouble.code == "unreadable":
                trouble = DriverError("unreadable", f"{trouble.text}, {self._bad_range()}", trouble.number)
            raise trouble from error
        self.offset += count
        return count

    def _bad_range(self) -> str:
        """Say which bytes cannot be read, page by page from where the reading stopped; bounded in steps and time."""
        size, end = os.fstat(self._fd).st_size, self.offset
        until = time.monotonic() + _PROBE_S
        while end < size and end - self.offset < _PROBE_BYTES and time.monotonic() < until:
            try:
                os.pread(self._fd, 1, end)
            except OSError:
                end = min(end + _PAGE_BYTES, size)
            else:
                break
        if end == self.offset:
            return f"at byte {self.offset}; reading it once more went well"
        more = "" if end >= size or end - self.offset < _PROBE_BYTES else " and perhaps more"
        return f"bytes {self.offset} to {end - 1} of {size}{more}"

    def _copy(self, pipe: int, limit: int) -> int:
        """Through memory of ours: a splice holds the pipe's lock while it waits for the disk.

        A camera that hangs would then hang whoever touches the other end of the pipe, which is the agent.
        """
        if self._block is None:
            self._block = memoryview(bytearray(BLOCK_BYTES))
        count = os.preadv(self._fd, [self._block[:limit]], self.offset)
        rest = self._block[:count]
        while rest:
            rest = rest[os.write(pipe, rest) :]
        return count

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
