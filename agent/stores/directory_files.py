"""The files of a directory store: objects, their labels, and parts; everything here blocks.

Layout: `objects/<sha256>` the bytes, `objects/<sha256>.<clip>.json` a label beside them, `incoming/<sha256>.part`
what is unfinished, `announced/<digest>.json` what is to come. Nothing is ever overwritten; what anybody finds can be
checked with `sha256sum`.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.announcement import Announcement
from agent.core.errors import (
    ObjectRefused,
    ReceiptInvalid,
    StoreBusy,
    StoreError,
    StoreLied,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import Digest, Receipt
from agent.files.durable import BlockReader, DurablePart, make_directory
from agent.files.kernel import DURABLE_FILE_SYSTEMS
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.label import label_name, label_text
from agent.stores.mount import NETWORK_FILE_SYSTEMS, Mount
from agent.stores.part import StoredPart
from agent.stores.spool_copy import SpoolCopy

_MOUNT = (
    "Mount the store again on {}. If it is mounted there, restart the agent: what it finds when it starts decides"
    " whether the store lies on another machine."
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_AWAY = frozenset({errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT})


class DirectoryFiles:
    """One directory store's files. Methods block and raise StoreError kinds."""

    def __init__(self, name: str, root: Path, *, allow_unsafe: bool, device: int | None = None) -> None:
        """Touch nothing yet: the directory may not be mounted now. `device` as in DirectoryStore."""
        self._name = name
        self._root = root
        self._allow_unsafe = allow_unsafe
        self._device = device

    def object_path(self, sha256: Digest) -> Path:
        """Where an object lies."""
        return self._root / "objects" / sha256

    def part_path(self, sha256: Digest) -> Path:
        """Where an unfinished object lies."""
        return self._root / "incoming" / f"{sha256}.part"

    def open(self) -> None:
        """Make sure that the right, safe file system is there, and the two directories on it."""
        with self._translated("opening the directory"):
            mount = Mount.at(self._root)
            self._same_device(mount.device)
            if mount.system not in DURABLE_FILE_SYSTEMS | NETWORK_FILE_SYSTEMS and not self._allow_unsafe:
                hint = "Use ext4 or XFS, or a share of a server that does."
                raise StoreRefused(
                    f"store {self._name}: {self._root} lies on {mount.system}, which may lose bytes", hint=hint
                )
            make_directory(self._root / "objects")
            make_directory(self._root / "incoming")
            self._device = mount.device

    def _same_device(self, device: int) -> None:
        if self._device is not None and device != self._device:
            text = f"store {self._name}: {self._root} is no longer the file system it was; is it still mounted?"
            raise StoreUnreachable(text, hint=_MOUNT.format(self._root))

    def holds(self, shipment: Shipment) -> bool:
        """Tell whether the object's name is taken by a file of the right size. Raises StoreLied for another size."""
        with self._translated("looking for an object"):
            try:
                status = self.object_path(shipment.sha256).lstat()
            except FileNotFoundError:
                return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != shipment.size_bytes:
            hint = "Look at that file in the store; it is never overwritten."
            raise StoreLied(f"store {self._name}: {shipment.sha256} is there, but not with its size", hint=hint)
        return True

    def bring(self, shipment: Shipment, copy: SpoolCopy, transfer: Transfer) -> None:
        """Copy the object here, going on with an earlier part if that still equals what it should be.

        Raises UploadStopped with the part kept, SpoolCorrupt and StoreError with the part dropped.
        """
        with self._translated("storing an object"), StoredPart(self.part_path(shipment.sha256)) as part:
            try:
                self._resume(part, copy)
                _report(transfer, part.size_bytes)
                for block in copy.blocks(shipment.size_bytes):
                    part.write(block)
                    _report(transfer, part.size_bytes)
                copy.check()
            except UploadStopped:
                part.keep()
                raise
            with contextlib.suppress(FileExistsError):  # another station was faster with the same bytes
                part.publish(self.object_path(shipment.sha256))

    def write_label(self, shipment: Shipment) -> None:
        """Put the label beside the object; one that is there stays as it is."""
        with self._translated("writing a label"):
            self._write_once(self._root / "objects" / label_name(shipment), label_text(shipment))

    def _write_once(self, target: Path, text: bytes) -> None:
        if target.exists():
            return
        path = self._root / "incoming" / f"{target.name}.part"
        path.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError), DurablePart(path) as part:
            part.write(text)
            part.publish(target)

    def still_holds(self, receipt: Receipt) -> bool:
        """Tell whether the object is there with its size. Creates nothing.

        Raises StoreUnreachable where there are no objects at all: that is a mount point without its store.
        """
        with self._translated("looking for an object again"):
            self._same_device(Mount.at(self._root).device)
            with os.scandir(self._root / "objects") as entries:
                if next(entries, None) is None:
                    text = f"store {self._name}: {self._root} holds no object at all; is it mounted?"
                    raise StoreUnreachable(text, hint=f"Mount the store again on {self._root}.")
            try:
                status = self.object_path(receipt.sha256).lstat()
            except FileNotFoundError:
                return False
        return stat.S_ISREG(status.st_mode) and status.st_size == receipt.size_bytes

    def write_announcement(self, announcement: Announcement) -> None:
        """Put an announcement into `announced/`, named by its digest; one that is there stays as it is."""
        text = announcement.text()
        target = self._root / "announced" / f"{hashlib.sha256(text).hexdigest()}.json"
        with self._translated("writing an announcement"):
            make_directory(target.parent)
            self._write_once(target, text)

    def hash_object(self, shipment: Shipment, stopped: Callable[[], bool], progress: Callable[[int], None]) -> None:
        """Read the object again and compare. Cached pages are dropped first, as far as the kernel goes along.

        Raises ReceiptInvalid, UploadStopped.
        """
        with self._translated("reading an object back"):
            try:
                fd = os.open(self.object_path(shipment.sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise ReceiptInvalid(f"store {self._name}: {shipment.sha256} is not there") from None
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                digest, size_bytes = hashlib.sha256(), 0
                for block in BlockReader(fd):
                    if stopped():
                        raise UploadStopped
                    digest.update(block)
                    size_bytes += len(block)
                    progress(size_bytes)
            finally:
                os.close(fd)
        if (digest.hexdigest(), size_bytes) != (shipment.sha256, shipment.size_bytes):
            hint = "The store's disk altered it; keep that file for examination, and move it aside to store it anew."
            raise ReceiptInvalid(f"store {self._name}: {shipment.sha256} has other bytes now", hint=hint)

    def _resume(self, part: StoredPart, copy: SpoolCopy) -> None:
        """Keep what the part holds if it is a true beginning of the object; otherwise start again."""
        if part.size_bytes <= copy.size_bytes and all(copy.matches(block) for block in part.blocks()):
            return
        part.begin_again()
        copy.seek(0)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(error, doing) from error

    def _failure(self, error: OSError, doing: str) -> StoreError:
        text = f"store {self._name}: {doing}: {error.strerror}"
        if error.errno in _FULL:
            return StoreRefused(f"store {self._name}: {doing}: store disk full", hint="Make room in the store.")
        if error.errno == errno.EFBIG:
            hint = "The store's file system holds no files of this size; move the store to another."
            return ObjectRefused(f"store {self._name}: {doing}: larger than the store accepts", hint=hint)
        if error.errno in _FORBIDDEN:
            return StoreRefused(text, hint=f"Let the agent's user write below {self._root}.")
        if error.errno in _AWAY:
            return StoreUnreachable(text, hint=f"Check that the store is mounted on {self._root}.")
        if error.errno == errno.EBUSY:
            return StoreBusy(text)
        return StoreError(text)


def _report(transfer: Transfer, sent_bytes: int) -> None:
    if sent_bytes > transfer.sent_bytes:
        transfer.sent_bytes = sent_bytes
        transfer.on_progress(sent_bytes)
