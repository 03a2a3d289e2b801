"""Objects in a spool, ready to be sent, and the sending of one."""

from pathlib import Path

from agent.ledger.spool import Spool, Stored
from agent.ports import Shipment, Transfer
from agent.stores.tus import TusStore
from tests.bench.cards import BLOCK_BYTES, fill
from tests.bench.client import shipment


def stock(root: Path, size_bytes: int, seed: int = 0) -> Shipment:
    """An object of this size in a spool below `root`, its pages warm."""
    root.mkdir(exist_ok=True)
    fill(root / "clip.mp4", size_bytes, seed)
    spool = Spool.open(root / "spool", allow_unsafe=True)
    stored = keep(spool, root / "clip.mp4")
    (root / "clip.mp4").unlink()
    return shipment_of(spool, stored)


def shipment_of(spool: Spool, stored: Stored) -> Shipment:
    """What is sent of an object in the spool."""
    return shipment(spool.path(stored.sha256))


def folder_of(root: Path, count: int, size_bytes: int) -> Path:
    """A spool's folder with so many objects of this size and nothing else, their pages warm."""
    spool = Spool.open(root / "spool", allow_unsafe=True)
    for number in range(count):
        fill(root / "clip.mp4", size_bytes, number)
        keep(spool, root / "clip.mp4")
        (root / "clip.mp4").unlink()
    return spool.root / "objects"


def keep(spool: Spool, file: Path) -> Stored:
    """Copy a file into the spool, as an offload does."""
    buffers = [memoryview(bytearray(BLOCK_BYTES)) for _ in range(2)]  # a block is hashed while the next is read
    with spool.begin(file.stat().st_size) as part, file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffers[0]):
            part(buffers[0][:count])
            buffers.reverse()
        return part.finish()


async def send(store: TusStore, shipment: Shipment) -> str:
    """Bring an object to a store that does not know it; the upload's address."""

    async def keep_hint(_hint: str) -> None:
        pass

    return await store.send(shipment, None, Transfer(), keep_hint)
