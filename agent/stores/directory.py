"""The directory store: a NAS or a second disk, mounted here.

Durability is that of the spool: synced file, name given without replacing, synced directory, mode 0400. On a local
ext4 or XFS that is a promise of this machine. On NFS and CIFS the sync ends at the server: it is worth what the
server's export promises (`sync`, not `async`; no write-back cache without a battery), and the read-back may be
answered from a cache on the way. Use such a store as one of several copies, or with a server that you trust.

The only proof is a read-back: the file is opened and hashed again. A file system that hangs cannot be interrupted;
a call that sees no progress for the stall time fails, and its thread is left behind.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event

from agent.core.announcement import Announcement
from agent.core.errors import ReceiptInvalid
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Clock, Shipment, Transfer
from agent.stores.delivery import KeepHint
from agent.stores.directory_files import DirectoryFiles
from agent.stores.read_back import readback_receipt, still_read_back
from agent.stores.spool_copy import SpoolCopy
from agent.stores.workers import Workers


class DirectoryStore:
    """An EvidenceStore in a mounted directory. Handles are paths relative to it."""

    find: Callable[[Shipment], Awaitable[str | None]] | None
    still_holds: Callable[[Receipt], Awaitable[bool]] | None
    announce: Callable[[Announcement], Awaitable[bool]] | None

    def __init__(  # noqa: PLR0913 - what a store may need of its station
        self,
        name: str,
        root: Path,
        clock: Clock,
        *,
        stall_s: float = 60.0,
        allow_unsafe: bool = False,
        place: str | None = None,
        device: int | None = None,
    ) -> None:
        """`allow_unsafe` accepts file systems that may lose synced bytes, for trials.

        `place` is the store's URL as it was configured; without it, it is made from `root`. `device` is the number of
        the file system that must be there; without it, it is the one that is found first.
        """
        self.name = name
        self.place = place if place is not None else root.as_uri()
        self._files = DirectoryFiles(name, root, allow_unsafe=allow_unsafe, device=device)
        self._clock = clock
        self._stall_s = stall_s
        self._workers = Workers(name, 2)
        self._aside = Workers(f"{name}-aside", 1)  # what is no upload takes no upload's thread
        self.find = self._find
        self.still_holds = self._still_holds
        self.announce = self._announce

    def __repr__(self) -> str:
        """Name the store, nothing else."""
        return f"DirectoryStore({self.name!r})"

    async def send(self, shipment: Shipment, hint: str | None, transfer: Transfer, keep_hint: KeepHint) -> str:
        """See EvidenceStore.send; what lies in the directory decides where to go on, not the hint."""
        halt = Event()
        part = f"incoming/{shipment.sha256}.part"
        if hint != part:
            await keep_hint(part)

        def stopped() -> bool:
            return transfer.stop.is_set() or halt.is_set()

        copy: list[SpoolCopy] = []

        def bring() -> None:
            self._files.open()
            if not self._files.holds(shipment):
                with SpoolCopy(shipment, stopped, beside=True) as opened:
                    copy.append(opened)
                    self._files.bring(shipment, opened, transfer)
            self._files.write_label(shipment)

        await self._workers.run(
            bring, stall_s=self._stall_s, pulse=lambda: copy[0].moved_bytes if copy else 0, halt=halt.set
        )
        transfer.sent_bytes = shipment.size_bytes
        transfer.on_progress(shipment.size_bytes)
        return f"objects/{shipment.sha256}"

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        """See EvidenceStore.prove: the file is opened and hashed again, also where a checksum would be enough."""
        if at_least > ReceiptKind.READBACK:
            raise ReceiptInvalid(f"store {self.name}: a directory cannot sign receipts")
        if handle != f"objects/{shipment.sha256}":
            raise ReceiptInvalid(f"store {self.name}: the handle is not that of a finished object")
        halt, read = Event(), [0]

        def hash_again() -> None:
            self._files.open()
            self._files.hash_object(shipment, halt.is_set, lambda done: read.__setitem__(0, done))

        await self._workers.run(hash_again, stall_s=self._stall_s, pulse=lambda: read[0], halt=halt.set)
        return readback_receipt(self.name, shipment, handle, self._clock)

    def still_proves(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_proves; a receipt that this store would never give proves nothing."""
        own = (receipt.store, receipt.kind) == (self.name, ReceiptKind.READBACK)
        return own and receipt.handle == f"objects/{receipt.sha256}" and still_read_back(receipt)

    async def close(self) -> None:
        """Release the threads; idempotent."""
        self._workers.close()
        self._aside.close()

    async def _find(self, shipment: Shipment) -> str | None:
        """See EvidenceStore.find: a file with this name and size; whether it is right, only `prove` tells."""

        def look() -> bool:
            self._files.open()
            return self._files.holds(shipment)

        held = await self._workers.run(look, stall_s=self._stall_s)
        return f"objects/{shipment.sha256}" if held else None

    async def _still_holds(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_holds: the file is there and has its size."""
        return await self._aside.run(lambda: self._files.still_holds(receipt), stall_s=self._stall_s)

    async def _announce(self, announcement: Announcement) -> bool:
        """See EvidenceStore.announce: a file of its own in `announced/`, which whoever reads it may remove."""

        def write() -> bool:
            self._files.open()
            self._files.write_announcement(announcement)
            return True

        return await self._aside.run(write, stall_s=self._stall_s)
