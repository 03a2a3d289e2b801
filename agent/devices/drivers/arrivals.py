"""What has arrived in an import folder, into which cameras push by Wi-Fi or FTP.

A file is offered once its size and time stood still for a while, by our own clock: cameras set what times they like.
Methods block; they are called from one thread at a time.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

IMPORT_FILES = 100_000
"""An import folder is looked at no further than this; a session's listing has its own, higher cap."""
SESSION_SETTLES = 10
"""While files keep arriving, a new session begins after this many settle times."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at a bay found: a token if occupied, and in how many seconds another look is due."""

    token: str | None = None
    again_s: float | None = None


class ImportFolder:
    """Knows since when each file of an import folder has stood still."""

    def __init__(self, settle_s: float) -> None:
        """A file has settled after `settle_s` without a change."""
        self._settle_s = settle_s
        self._files: dict[str, tuple[int, int, float]] = {}  # size, mtime, unchanged since
        self._offered: set[str] = set()
        self._arrivals = 0
        self._arrived_at = 0.0

    def look(self, path: Path, now: float) -> Sight:
        """Look once more; `now` is monotonic, in seconds. Raises OSError when the folder is not there.

        The token changes when files have settled that were not offered before, and not when offered ones go. As long
        as others still arrive it waits for them, but not without end.
        """
        root = path.lstat()
        files: dict[str, tuple[int, int, float]] = {}
        for name, size, mtime in _regular_files(path):
            known = self._files.get(name)
            since = known[2] if known is not None and known[:2] == (size, mtime) else now
            files[name] = (size, mtime, since)
        self._files = files
        settled = {name for name, (_, _, since) in files.items() if now - since >= self._settle_s}
        self._offered &= settled  # what was wiped or written again may arrive once more
        moving = [since for _, _, since in files.values() if now - since < self._settle_s]
        patient = now - self._arrived_at < SESSION_SETTLES * self._settle_s
        if settled - self._offered and not (moving and self._offered and patient):
            self._offered = settled
            self._arrivals += 1
            self._arrived_at = now
        again_s = min(moving) + self._settle_s - now if moving else None
        if not self._offered:
            return Sight(again_s=again_s)
        return Sight(f"{root.st_dev}:{root.st_ino}:{self._arrivals}", again_s)


def _regular_files(root: Path) -> Iterator[tuple[str, int, int]]:
    """Everything below `root` that is a regular file; no symlink is followed."""
    directories, seen = [os.fspath(root)], 0
    while directories:
        with suppress(OSError), os.scandir(directories.pop()) as entries:
            for entry in entries:
                seen += 1
                if seen > IMPORT_FILES:
                    return
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    yield entry.path, facts.st_size, facts.st_mtime_ns
