"""The other side of a store adapter, and what is sent there."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.object import Digest, ReceiptKind
from agent.ports import ClipLabel, EvidenceStore, Shipment, Transfer, UploadStopped

MIB = 1 << 20
LONG_S = 20.0
"""No single step may take longer."""


@dataclass
class Place:
    """The other side: `open` makes a new adapter, `held` lists the digests of finished objects as they lie there.

    `lose` makes it forget an object; `announced` lists what it was told of, None where it takes no announcements.
    `may_announce`: this kind of store knows announcements at all.
    """

    open: Callable[[], EvidenceStore]
    open_unreachable: Callable[[], EvidenceStore]
    held: Callable[[], list[str]]
    require: ReceiptKind
    lose: Callable[[str], None] = lambda _digest: pytest.fail("nobody said how this store loses an object")
    can_find: bool = True
    may_announce: bool = True
    announced: Callable[[], list[str]] | None = None


@dataclass
class Hints:
    """What `keep_hint` stored, newest last; the progress seen at that moment beside it."""

    transfer: Transfer
    texts: list[str] = field(default_factory=list)
    sent_then: list[int] = field(default_factory=list)

    async def keep(self, text: str) -> None:
        self.texts.append(text)
        self.sent_then.append(self.transfer.sent_bytes)

    @property
    def last(self) -> str | None:
        return self.texts[-1] if self.texts else None


def make_bytes(size_bytes: int, seed: str = "clip") -> bytes:
    """Bytes without repetition, the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def make_shipment(directory: Path, data: bytes, *, path: bytes = b"DCIM/A001.MP4") -> Shipment:
    digest = Digest(hashlib.sha256(data).hexdigest())
    file = directory / digest
    file.write_bytes(data)
    label = ClipLabel(
        clip=ClipId("c0123456789abcdef0123"),
        camera=CameraId("CAM-7"),
        bay=BayName("1"),
        station="hub7",
        path=path,
        role="clip",
        event=False,
        started_at="2026-01-02T03:04:05",
        ended_at=None,
    )
    return Shipment(digest, len(data), file, label)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[EvidenceStore]:
    store = place.open()
    try:
        async with asyncio.timeout(LONG_S):
            yield store
    finally:
        await store.close()


def stop_after(transfer: Transfer, at_least: int) -> None:
    """Ask the transfer to stop once that many bytes are on their way."""

    def look(sent: int) -> None:
        if sent >= at_least:
            transfer.stop.set()

    transfer.on_progress = look


async def stopped_halfway(place: Place, shipment: Shipment) -> Hints:
    transfer = Transfer()
    hints = Hints(transfer)
    stop_after(transfer, shipment.size_bytes // 2)
    async with opened(place) as store:
        with pytest.raises(UploadStopped):
            await store.send(shipment, None, transfer, hints.keep)
    return hints
