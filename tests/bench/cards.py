"""Cameras for measurements: cards on tmpfs, behind the real reader process, at full speed or throttled."""

import asyncio
import hashlib
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent.core.clip import BayName, Entry
from agent.devices.reader.camera import open_camera
from agent.ledger.spool import Spool
from agent.ports import Camera, Docked

BLOCK_BYTES = 1 << 20
CLIP = "clip.mp4"


def fill(file: Path, size_bytes: int, seed: int = 0) -> None:
    """Write bytes that no file system can make smaller, each block another; rounded down to whole MiB."""
    assert size_bytes >= BLOCK_BYTES  # less would be nothing
    block = hashlib.shake_256(seed.to_bytes(8, "big")).digest(BLOCK_BYTES)
    with file.open("wb") as out:
        for number in range(size_bytes // BLOCK_BYTES):
            out.write(number.to_bytes(8, "big") + block[8:])


@dataclass(slots=True)
class Card:
    """An open camera with one clip on it."""

    clip: Path
    camera: Camera
    entry: Entry

    @classmethod
    async def insert(cls, rack: Path, number: int, clip: Path, stack: AsyncExitStack, rate_bytes_s: int = 0) -> Self:
        """Put `clip` into a simulated camera in `rack` and open it; the same bytes may be in several cameras."""
        bay = rack / str(number)
        (bay / "card").mkdir(parents=True)
        (bay / "card" / CLIP).hardlink_to(clip)
        script = {"serial": f"BENCH{number}"} | ({"rate_bytes_s": rate_bytes_s} if rate_bytes_s else {})
        (bay / ".camera.json").write_text(json.dumps(script), "utf-8")
        docked = Docked(BayName(str(number)), "simulated", str(bay), "bench")
        camera = await open_camera(docked, stall_s=60)
        stack.push_async_callback(camera.close)
        facts = await asyncio.to_thread(clip.stat)
        return cls(clip, camera, Entry(CLIP.encode(), facts.st_size, facts.st_mtime_ns))

    async def offload(self, spool: Spool) -> None:
        """Through reader, pipe, hash, spool and fsync, then out of the spool again."""
        with spool.begin(self.entry.size_bytes) as part:
            await self.camera.read(self.entry, part)
            stored = await asyncio.to_thread(part.finish)
        spool.purge(stored.sha256)


async def offload_all(cards: list[Card], spool: Spool) -> float:
    """Offload from all cameras at once; seconds."""
    start = time.perf_counter()
    await asyncio.gather(*(card.offload(spool) for card in cards))
    return time.perf_counter() - start
