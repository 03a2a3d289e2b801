"""A walk over everything on a medium, bounded in depth, number and memory whatever the medium claims.

Names come sorted within a directory, in runs of `SORTED_NAMES`: the same card lists the same way each time,
and a directory of a million files needs no more memory than one of ten thousand.
"""

import os
import stat
from collections.abc import Generator, Iterator
from itertools import islice

from agent.devices.drivers.driver import PATH_BYTES, DriverError, Found
from agent.devices.drivers.medium import DIRECTORY_FLAGS, Medium, open_quietly, refusal

DEPTH_CAP = 40
"""Directories below one another. Source: fault case F-14."""
ENTRY_CAP = 1_000_000
"""Names in one listing. Source: fault case F-15."""
DIRECTORY_CAP = 100_000
"""Directories in one listing: each is remembered, about 100 bytes."""
SORTED_NAMES = 10_000


def _names(fd: int) -> Generator[bytes, None, None]:
    with os.scandir(fd) as scan:
        while run := [os.fsencode(each.name) for each in islice(scan, SORTED_NAMES)]:
            run.sort()
            yield from run


class _Level:
    """A directory that the walk is in the middle of."""

    def __init__(self, fd: int, prefix: bytes) -> None:
        self.fd = fd
        self.prefix = prefix
        self.names = _names(fd)

    def close(self) -> None:
        self.names.close()
        os.close(self.fd)


class Walk:
    """One fresh walk from the root."""

    def __init__(self, medium: Medium) -> None:
        """Nothing is touched before the first step."""
        self._medium = medium
        self._levels: list[_Level] = []
        self._visited = {medium.inode}
        self._seen = 0
        self._capacity = medium.capacity_bytes()

    def steps(self) -> Iterator[Found]:
        """Yield what is found; None for a directory. Raises DriverError when the medium leaves or has no root."""
        try:
            self._levels.append(_Level(self._medium.open_root(), b""))
        except OSError as error:
            raise self._medium.trouble(error) from error
        try:
            while self._levels:
                yield from self._step(self._levels[-1])
        finally:
            for level in self._levels:
                level.close()
        self._medium.require_present()  # a dead mount looks empty: an empty listing alone proves nothing

    def _step(self, level: _Level) -> Iterator[Found]:
        try:
            name = next(level.names, None)
        except OSError as error:
            yield self._unreadable(error, level.prefix[:-1])
            name = None
        if name is None:
            self._levels.pop().close()
            return
        self._seen += 1
        if self._seen > ENTRY_CAP:
            yield (level.prefix + name, "too_many_entries")
            while self._levels:
                self._levels.pop().close()
            return
        yield self._look(level, name)

    def _look(self, level: _Level, name: bytes) -> Found:
        path = level.prefix + name
        try:
            facts = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                return self._enter(level, name, facts)
        except OSError as error:
            return self._unreadable(error, path)
        reason = refusal(facts)
        if reason is None and len(path) > PATH_BYTES:
            reason = "path_too_long"
        if reason is None and self._capacity is not None and facts.st_size > self._capacity:
            reason = "larger_than_medium"  # a sparse file or a looped cluster chain
        return (path, facts.st_size, facts.st_mtime_ns) if reason is None else (path, reason)

    def _enter(self, level: _Level, name: bytes, facts: os.stat_result) -> Found:
        path = level.prefix + name
        if reason := self._why_not_enter(facts, len(path)):
            return (path, reason)
        fd = open_quietly(name, DIRECTORY_FLAGS, level.fd)
        opened = os.fstat(fd)
        if (opened.st_dev, opened.st_ino) != (facts.st_dev, facts.st_ino):
            os.close(fd)
            return (path, "changed")
        self._visited.add(facts.st_ino)
        self._levels.append(_Level(fd, path + b"/"))
        return None

    def _why_not_enter(self, facts: os.stat_result, path_bytes: int) -> str | None:
        if facts.st_dev != self._medium.device:
            return "other_file_system"
        if facts.st_ino in self._visited:
            return "loop"
        if len(self._levels) > DEPTH_CAP:
            return "too_deep"
        if path_bytes > PATH_BYTES:
            return "path_too_long"
        return "too_many_directories" if len(self._visited) >= DIRECTORY_CAP else None

    def _unreadable(self, error: OSError, path: bytes) -> Found:
        trouble = self._medium.trouble(error)
        if trouble.code == "gone":
            raise trouble from error
        if not path:
            raise DriverError("failed", f"the root cannot be listed: {trouble.text}", trouble.number) from error
        return (path, "unreadable")
