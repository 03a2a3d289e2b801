"""A kit with a real ledger and a real spool, and a store that does what a test tells it."""

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agent.core.announcement import Announcement
from agent.core.clip import BayName, CameraId, Clip, Custody, Entry
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, fleet, objects
from agent.ledger.clips import Sighting
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.spool import Spool
from agent.ports import Shipment, StorePolicy, Transfer, UploadStopped
from agent.services.kit import Kit, Settings

PLACE = "tus+https://store.example/files/"
POLICY = StorePolicy("central", ReceiptKind.SIGNED, counts=True, place=PLACE)


@dataclass
class ScriptedStore:
    """Implements EvidenceStore. `refuse` may raise for an object; a body waits while its digest is in `slow`."""

    name: str = "central"
    place: str = PLACE
    find: Callable[[Shipment], Awaitable[str | None]] | None = None
    still_holds: Callable[[Receipt], Awaitable[bool]] | None = None
    announce: Callable[[Announcement], Awaitable[bool]] | None = None
    refuse: Callable[[Digest], None] = lambda _digest: None
    slow: set[Digest] = field(default_factory=set)
    sent: list[Digest] = field(default_factory=list)
    stopped: list[Digest] = field(default_factory=list)
    proved: list[Shipment] = field(default_factory=list)
    trusted: bool = True
    deaf: bool = False  # a slow body does not look whether it should stop
    held_bytes: int = 0  # of each object, when a try begins

    async def send(
        self, shipment: Shipment, _hint: str | None, transfer: Transfer, keep_hint: Callable[[str], Awaitable[None]]
    ) -> str:
        self.sent.append(shipment.sha256)
        transfer.held_bytes = self.held_bytes
        self.refuse(shipment.sha256)
        await keep_hint("handle")
        while shipment.sha256 in self.slow:
            if await _stopped(transfer.stop) and not self.deaf:
                self.stopped.append(shipment.sha256)
                raise UploadStopped
        return "handle"

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        self.proved.append(shipment)
        now = datetime.now(UTC)
        return Receipt(self.name, at_least, shipment.sha256, shipment.size_bytes, handle, now, "proof")

    def still_proves(self, _receipt: Receipt) -> bool:
        return self.trusted

    async def close(self) -> None:
        pass


def always(error: Exception) -> Callable[[Digest], None]:
    """What refuses every object with this."""

    def refuse(_sha256: Digest) -> None:
        raise error

    return refuse


async def _stopped(stop: threading.Event) -> bool:
    await asyncio.sleep(0.01)
    return stop.is_set()


@contextmanager
def kit_in(root: Path, store: ScriptedStore, *, workers: int = 1) -> Iterator[Kit]:
    """Open a kit; the ledger's gate asks for one copy."""
    database = Database.open(root / "ledger.sqlite")
    spool = Spool.open(root / "spool", allow_unsafe=True, reserve_bytes=0)
    settings = Settings(
        station="hub7",
        digest="",
        copies=1,
        wiping=True,
        trial=False,
        enrolled=("*",),
        profiles=(),
        fallback=None,
        stores=(POLICY,),
        keep_s=0,
        workers=workers,
    )
    disk = ThreadPoolExecutor(2)
    kit = Kit(database, Recorder("hub7", "test"), spool, disk, {store.name: store}, settings)
    database.run_blocking(lambda tx: objects.apply_gate(tx, copies=1, wiping=True, stores=(POLICY,)))
    try:
        yield kit
    finally:
        disk.shutdown()
        database.close()


def listed(kit: Kit, camera: str, content: bytes, *, event: bool = False) -> Clip:
    """List one clip on a camera that is docked for it."""
    ident = CameraId(camera)
    entry = Entry(hashlib.sha256(content).hexdigest().encode(), len(content), 1)

    def work(tx: Tx) -> Clip:
        rec = kit.recorder
        fleet.see_camera(tx, rec, ident, "plain", None, "test")
        session = fleet.start_session(tx, rec, ident, BayName("1"), {})
        listing = clips.start_listing(tx, rec, ident, session)
        clips.reconcile(tx, rec, listing, [Sighting(entry, "clip", event)])
        return next(c for c in fleet.clips_aboard(tx, ident, Custody.LISTED, 99) if c.entry == entry)

    return kit.database.run_blocking(work)


def put(kit: Kit, camera: str, content: bytes, *, event: bool = False) -> Digest:
    """Spool one clip of a camera, as an offload would."""
    with kit.spool.begin(len(content)) as part:
        part(memoryview(content))
        stored = part.finish()
    clip = listed(kit, camera, content, event=event)

    def work(tx: Tx) -> None:
        objects.spooled(tx, kit.recorder, clip, stored.sha256, stored.size_bytes, "1")

    kit.database.run_blocking(work)
    return stored.sha256


def custody_of(kit: Kit, sha256: Digest) -> set[Custody]:
    return {c.custody for c in kit.database.run_blocking(lambda tx: objects.clips_of(tx, sha256))}
