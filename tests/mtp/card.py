"""A camera with a real MTP stack whose storage is a folder of the test's."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.core.clip import BayName
from agent.devices.reader.camera import ReaderCamera, open_camera
from agent.ports import Docked
from tests.contracts.camera_contract import CameraCard
from tests.mtp.bridge import GET_OBJECT_INFO, Bridge
from tests.mtp.responder import Responder

NS_PER_S = 1_000_000_000


def to_whole_seconds(path: Path) -> Path:
    """Give a file a time that MTP can tell."""
    mtime_ns = path.stat().st_mtime_ns // NS_PER_S * NS_PER_S
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


@dataclass(frozen=True, slots=True)
class MtpCard(CameraCard):
    responder: Responder
    bridge: Bridge

    def put(self, name: bytes, content: bytes = b"clip") -> Path:
        return to_whole_seconds(CameraCard.put(self, name, content))


@contextmanager
def mtp_card(base: Path, *more: str) -> Iterator[MtpCard]:
    """A camera with one storage, or with others of these names besides."""
    stores = {name: base / name for name in ("card", *more)}
    for store in stores.values():
        store.mkdir()
    work = base / "umtprd"
    work.mkdir()
    with closing(Responder(work, stores)) as responder, closing(Bridge(responder)) as bridge:
        docked = Docked(BayName("1"), "mtp", bridge.address, "token")
        yield MtpCard(docked, stores["card"], open_camera, bridge.pull, responder, bridge)


@asynccontextmanager
async def opened(card: MtpCard, stall_s: float = 20.0) -> AsyncIterator[ReaderCamera]:
    """The camera through its real reader process."""
    camera = await open_camera(card.docked, stall_s=stall_s)
    try:
        yield camera
    finally:
        await camera.close()


def swapped(old: str, new: str) -> Callable[[int, bytes], bytes]:
    """A camera that calls one thing by the name of another; for `Bridge.rewrite`."""
    before, after = old.encode("utf-16-le"), new.encode("utf-16-le")
    return lambda operation, data: data.replace(before, after) if operation == GET_OBJECT_INFO else data
