"""A real ledger on a real file, and the steps that tests make on it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from agent.core.clip import BayName, CameraId, Clip, ClipId, Copy, Custody, Entry, SessionId
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, fleet, objects, unlisted
from agent.ledger.clips import Move, Sighting
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ports import StorePolicy

T = TypeVar("T")
PLACE = "tus+https://store.test/files/"
CENTRAL = StorePolicy("central", ReceiptKind.SIGNED, counts=True, place=PLACE)
CAMERA = CameraId("CAM-1")


def digest_of(name: str) -> Digest:
    """The digest that the bytes called `name` have."""
    return Digest(hashlib.sha256(name.encode()).hexdigest())


def entry_of(name: str) -> Entry:
    """The file that holds the bytes called `name`."""
    return Entry(f"DCIM/{name}.MP4".encode(), len(name), 1_000)


class Stage:
    """An open ledger with a clock of its own. Every step is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.recorder = Recorder("hub7", "test", clock=lambda: self.now, boot="boot-1")
        self.database = Database.open(path)

    def close(self) -> None:
        self.database.close()

    def do(self, work: Callable[[Tx], T]) -> T:
        return self.database.run_blocking(work)

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a careless programmer would run on the connection, in a transaction of its own."""
        return self.do(lambda tx: list(tx.conn.execute(text, values)))

    def one(self, text: str, *values: Any) -> Any:
        return self.sql(text, *values)[0][0]

    def gate(self, *, copies: int = 1, wiping: bool = True, stores: tuple[StorePolicy, ...] = (CENTRAL,)) -> None:
        self.do(lambda tx: objects.apply_gate(tx, copies=copies, wiping=wiping, stores=stores))

    def dock(self, camera: CameraId = CAMERA, *, claimed_by: str | None = "config", bay: str = "1") -> SessionId:
        def work(tx: Tx) -> SessionId:
            fleet.see_camera(tx, self.recorder, camera, "plain", None, claimed_by)
            return fleet.start_session(tx, self.recorder, camera, BayName(bay), {})

        return self.do(work)

    def listing(self, session: SessionId, *names: str, camera: CameraId = CAMERA) -> clips.ListingCount:
        """A complete listing that shows exactly these files."""
        seen = [Sighting(entry_of(name), "clip", event=False) for name in names]

        def work(tx: Tx) -> clips.ListingCount:
            walk = clips.start_listing(tx, self.recorder, camera, session)
            count = clips.reconcile(tx, self.recorder, walk, seen)
            rest = unlisted.finish_listing(tx, self.recorder, walk)
            return clips.ListingCount(count.new, count.known, rest.gone, rest.missing)

        return self.do(work)

    def clip(self, name: str, camera: CameraId = CAMERA) -> Clip:
        """The newest sighting of a file."""
        ident = self.one(
            "SELECT id FROM clips WHERE path = ? AND camera = ? ORDER BY number DESC", entry_of(name).path, camera
        )
        return self.again(ident)

    def again(self, ident: ClipId) -> Clip:
        return self.do(lambda tx: clips.get(tx, ident))

    def move(self, clip: Clip, change: Move) -> Clip:
        return self.do(lambda tx: clips.move(tx, self.recorder, clip, change))

    def spooled(self, name: str, camera: CameraId = CAMERA) -> Clip:
        clip = self.clip(name, camera)
        size = clip.entry.size_bytes
        return self.do(lambda tx: objects.spooled(tx, self.recorder, clip, digest_of(name), size, "1"))

    def receipt(self, name: str, store: str = "central", kind: ReceiptKind = ReceiptKind.SIGNED) -> Receipt:
        return Receipt(store, kind, digest_of(name), len(name), "handle", self.now, "the signed text")

    def proved(
        self, name: str, store: str = "central", kind: ReceiptKind = ReceiptKind.SIGNED, place: str = PLACE
    ) -> list[Clip]:
        receipt = self.receipt(name, store, kind)
        return self.do(lambda tx: objects.keep_receipt(tx, self.recorder, receipt, place))

    def intended(self, name: str) -> Clip:
        clip = self.clip(name)
        change = Move("copy.wipe_intended", copy=Copy.WIPE_INTENDED, read_in=clip.session, looked_in=clip.session)
        return self.move(clip, change)

    def unlinked(self, name: str) -> Clip:
        """The reader's word that it has removed the file."""
        clip = self.clip(name)
        return self.do(lambda tx: clips.unlinked(tx, self.recorder, clip.id, clip.session))

    def quarantined(self, name: str) -> Clip:
        return self.move(self.clip(name), Move("clip.quarantined", custody=Custody.QUARANTINED, problem="read error"))

    def events(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT event FROM events ORDER BY seq")]

    def everything(self) -> list[tuple[Any, ...]]:
        """All rows of all tables: two equal answers mean that nothing was changed."""
        tables = self.sql("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return [row for (name,) in tables for row in self.sql(f"SELECT '{name}', * FROM {name}")]  # noqa: S608
