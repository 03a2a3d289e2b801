"""The spool: objects by digest on a local disk, each wholly and durably there or not at all.

Layout: `incoming/<random>.part` while bytes arrive, `objects/<2 hex>/<sha256>` (mode 0400) afterwards, and
`rejected/` for copies that no longer have their digest. Everything here blocks; call it from a worker thread.
"""

import errno
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from agent.core.amount import shown_bytes
from agent.core.errors import ClipTooLarge, SpoolCorrupt, SpoolError, SpoolFull, SpoolUnsafe
from agent.core.object import Digest
from agent.files.durable import BlockReader, DurablePart, make_directory, sync_directory
from agent.files.kernel import DURABLE_FILE_SYSTEMS, file_system_of
from agent.files.side_hash import SideHash

RESERVE_CAP_BYTES = 1 << 30
RESERVE_SHARE = 0.05
"""The reserve keeps ledger and log writable when the spool is full: 5 % of the disk, at most 1 GiB."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Stored:
    """What the spool now holds durably."""

    sha256: Digest
    size_bytes: int


class Spool:
    """The spool's directory. Thread safe."""

    def __init__(self, root: Path, reserve_bytes: int) -> None:
        """Use `Spool.open`."""
        self.root = root
        self.reserve_bytes = reserve_bytes
        self._expected = 0
        self._lock = Lock()

    @classmethod
    def open(cls, root: Path, *, allow_unsafe: bool, reserve_bytes: int | None = None) -> Self:
        """Open or make the spool. Raises SpoolUnsafe for a file system that does not keep what was synced."""
        try:
            for name in ("incoming", "objects", "rejected"):
                make_directory(root / name)
            kind = file_system_of(root)
            total = os.statvfs(root)
        except OSError as error:
            raise SpoolError(f"The spool at {root} cannot be used: {error.strerror}.") from error
        if kind not in DURABLE_FILE_SYSTEMS and not allow_unsafe:
            raise SpoolUnsafe(f"The spool at {root} lies on {kind}, which may lose synced footage in a power cut.")
        if reserve_bytes is None:
            reserve_bytes = min(RESERVE_CAP_BYTES, int(total.f_blocks * total.f_frsize * RESERVE_SHARE))
        return cls(root, reserve_bytes)

    def path(self, sha256: Digest) -> Path:
        """Where an object lies or would lie."""
        return self.root / "objects" / sha256[:2] / sha256

    def free_bytes(self) -> int:
        """Bytes that may still be promised: free space less the reserve and what running copies will need."""
        with self._lock:
            return self._free_bytes()

    def _free_bytes(self) -> int:
        space = os.statvfs(self.root)
        return space.f_bavail * space.f_frsize - self.reserve_bytes - self._expected

    def begin(self, size_bytes: int) -> "SpoolPart":
        """Start to receive an object of this size. Raises ClipTooLarge, SpoolFull, SpoolError."""
        space = os.statvfs(self.root)
        whole = space.f_blocks * space.f_frsize
        if size_bytes > whole:
            claimed, there = shown_bytes(size_bytes), shown_bytes(whole)
            raise ClipTooLarge(f"The clip claims {claimed}, the spool's whole disk has {there}.")
        with self._lock:
            free = self._free_bytes()
            if size_bytes > free:
                room, needed = shown_bytes(max(free, 0)), shown_bytes(size_bytes)
                raise SpoolFull(f"The spool has room for {room}, the clip needs {needed}.")
            self._expected += size_bytes
        try:
            name = f"{secrets.token_hex(8)}.part"
            part = DurablePart(self.root / "incoming" / name, expected_bytes=size_bytes)
        except OSError as error:
            self.promise(-size_bytes)
            raise spool_error(error, "start a copy") from error
        return SpoolPart(self, part, size_bytes)

    def promise(self, change_bytes: int) -> None:
        """Count bytes that a running copy has yet to write (negative: no longer)."""
        with self._lock:
            self._expected += change_bytes

    def holds(self, sha256: Digest, size_bytes: int) -> bool:
        """Whether a regular file of this size lies under the object's name; its bytes are not read."""
        try:
            found = self.path(sha256).lstat()
        except OSError:
            return False
        return found.st_size == size_bytes and stat.S_ISREG(found.st_mode)

    def check(self, sha256: Digest) -> None:
        """Read an object whole and compare. Raises SpoolCorrupt when it is missing or altered."""
        digest = hashlib.sha256()
        try:
            fd = os.open(self.path(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                for block in BlockReader(fd):
                    digest.update(block)
            finally:
                os.close(fd)
        except OSError as error:
            raise SpoolCorrupt(f"Object {sha256} cannot be read from the spool: {error.strerror}.") from error
        if digest.hexdigest() != sha256:
            raise SpoolCorrupt(f"Object {sha256} in the spool has other bytes: {digest.hexdigest()}.")

    def reject(self, sha256: Digest) -> None:
        """Put a copy that failed its check aside, for a person; harmless when it is not there."""
        target = self.root / "rejected" / f"{sha256}.{secrets.token_hex(4)}"
        try:
            self.path(sha256).rename(target)
            sync_directory(self.path(sha256).parent)
            sync_directory(target.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise spool_error(error, "put an altered object aside") from error

    def purge(self, sha256: Digest) -> None:
        """Destroy the copy; the ledger has recorded it as purged before. Raises SpoolError."""
        try:
            self.path(sha256).unlink(missing_ok=True)
            sync_directory(self.path(sha256).parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise spool_error(error, "purge an object") from error


class SpoolPart:
    """An object on its way into the spool: hashes while it writes. A context manager; unfinished parts vanish."""

    def __init__(self, spool: Spool, part: DurablePart, size_bytes: int) -> None:
        """Use `Spool.begin`."""
        self._spool = spool
        self._part = part
        self._promised = size_bytes
        self._hash = SideHash()

    def __enter__(self) -> Self:
        """Hand out the part itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was not finished."""
        self.drop()

    def drop(self) -> None:
        """Forget what was not finished and return the promised room; idempotent."""
        self._hash.close()
        self._part.drop()
        self._spool.promise(-self._promised)
        self._promised = 0

    def __call__(self, block: memoryview) -> None:
        """Take the next block (the part is a Sink); it is hashed while it is written.

        Raises SpoolError; the part is then lost.
        """
        self._hash.update(block)
        try:
            self._part.write(block)
        except OSError as error:
            raise spool_error(error, "write a clip") from error
        used = min(len(block), self._promised)
        self._spool.promise(-used)
        self._promised -= used

    def finish(self) -> Stored:
        """Make the object durable under its digest. Raises SpoolError; the part is then lost."""
        sha256 = Digest(self._hash.hexdigest())
        target = self._spool.path(sha256)
        stored = Stored(sha256, self._part.size_bytes)
        try:
            make_directory(target.parent)
            try:
                self._part.publish(target)
            except FileExistsError:
                self._meet_existing(sha256, target)
        except OSError as error:
            raise spool_error(error, "keep a clip") from error
        return stored

    def _meet_existing(self, sha256: Digest, target: Path) -> None:
        """The name is taken: the same bytes were here before, unless the disk has altered them since."""
        try:
            self._spool.check(sha256)
        except SpoolCorrupt:
            self._spool.reject(sha256)
            self._part.publish(target)
        sync_directory(target.parent)


def spool_error(error: OSError, action: str) -> SpoolError:
    """Translate an OSError of the spool's disk."""
    if error.errno in _NO_SPACE:
        return SpoolFull(f"The spool's disk is full: it could not {action}.")
    return SpoolError(f"The spool could not {action}: {error.strerror or error}.")
