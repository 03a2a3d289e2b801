"""Objects: each lies in one file named by its SHA-256 under `objects/`, mode 0400, never written again.

What says that it is an object is checked before other bytes are given up for it: a file that already bears the
name is read whole, and one that does not have the digest it is named by is put aside under `damaged/`, never deleted.
"""

import logging
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock

from agent.core.object import Digest, as_digest
from agent.depot.reading import hash_descriptor, hash_file, open_object
from agent.files.durable import make_directory, sync_directory
from agent.files.kernel import rename_new

log = logging.getLogger(__name__)


class Objects:
    """The object files of one depot. Methods block."""

    def __init__(self, depot: Path, closing: Event) -> None:
        """Use `objects/` and `damaged/` below `depot`, both made when missing; `closing` ends long readings.

        Raises OSError.
        """
        self._closing = closing
        self._naming = Lock()
        self._folder = depot / "objects"
        self._aside = depot / "damaged"
        make_directory(self._folder)
        make_directory(self._aside)

    def path_of(self, digest: Digest) -> Path:
        """Where the object lies or would lie."""
        return self._folder / as_digest(digest)

    def holds(self, digest: Digest, size_bytes: int) -> bool:
        """Whether a regular file of this size bears the name: the cheap check. Raises OSError."""
        try:
            found = self.path_of(digest).lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size_bytes

    def proves(self, digest: Digest) -> bool:
        """Whether the file that bears the name has this digest: reads it whole. Raises OSError."""
        try:
            return hash_file(self.path_of(digest), self._closing) == digest
        except FileNotFoundError:
            return False

    def prove(self, digest: Digest) -> bool:
        """As `proves`, and put the file aside when its bytes have another digest. Raises OSError."""
        try:
            fd = open_object(self.path_of(digest))
        except FileNotFoundError:
            return False
        try:
            if hash_descriptor(fd, self._closing) == digest:
                return True
            self._put_aside(digest, os.fstat(fd))
        finally:
            os.close(fd)
        return False

    def admit(self, part: Path, digest: Digest) -> None:
        """Move a frozen, synced part to its name, durably, never replacing. Raises OSError.

        When the name is taken by the same bytes, the part is dropped: they are one object.
        """
        if not self._move(part, digest):
            if self.prove(digest):
                part.unlink()
            elif not self._move(part, digest):
                raise FileExistsError(17, "the name was taken again while a damaged object was put aside", digest)
        # Also when another upload moved it: its fsync of the directory may still be on the way.
        sync_directory(self._folder)
        sync_directory(part.parent)

    def names(self) -> Iterator[str]:
        """All file names under `objects/`, in no order."""
        with os.scandir(self._folder) as entries:
            yield from (entry.name for entry in entries)

    def _move(self, part: Path, digest: Digest) -> bool:
        source_fd = os.open(part.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            target_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                rename_new(part.name, digest, source_dir_fd=source_fd, target_dir_fd=target_fd)
            except FileExistsError:
                return False
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)
        return True

    def _put_aside(self, digest: Digest, read: os.stat_result) -> None:
        """Move the very file that was read; whole bytes that took its place meanwhile stay."""
        target = self._aside / f"{digest}.{secrets.token_hex(4)}"
        with self._naming:
            try:
                if not os.path.samestat(self.path_of(digest).lstat(), read):
                    return
            except FileNotFoundError:
                return
            self.path_of(digest).rename(target)
        sync_directory(self._folder)
        sync_directory(self._aside)
        log.error("object.put_aside", extra={"sha256": digest})
