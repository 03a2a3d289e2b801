"""A station that brings each object to two stores, of which one is hostile: real ledger, spool, uploader and desk."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.clip import Custody
from agent.core.object import Digest, ReceiptKind
from agent.devices.folders import FolderWatch
from agent.devices.reader.camera import open_camera
from agent.ledger.custody import Recorder
from agent.ledger.database import Database
from agent.ledger.spool import Spool
from agent.ports import EvidenceStore, StorePolicy
from agent.services.desk import Desk
from agent.services.kit import Kit, Settings
from agent.services.station import Station
from agent.services.uploader import Uploader
from agent.stores.credential import Credential
from agent.stores.lines import TusLimits
from tests.fakes.hostile_store import HostileStore
from tests.services.stage import custody_of, put
from tests.stores.hostile_try import TOKEN, adapter

LIMIT_S = 30
HASTY = TusLimits(connect_s=0.5, stall_s=0.5, answer_s=0.4, control_s=0.5, patch_bytes=100_000)


@dataclass(frozen=True, slots=True)
class TwoStores:
    """The running station. An object is confirmed when both stores have proved it."""

    kit: Kit
    desk: Desk
    hostile: HostileStore
    honest: HostileStore

    def put(self, content: bytes) -> Digest:
        """Spool one clip of a camera of its own."""
        digest = put(self.kit, f"CAM{hashlib.sha256(content).hexdigest()[:8]}", content)
        self.kit.ring()
        return digest

    def custody(self, digest: Digest) -> set[Custody]:
        return custody_of(self.kit, digest)

    def confirmed(self, *digests: Digest) -> bool:
        return all(self.custody(digest) == {Custody.CONFIRMED} for digest in digests)

    async def until(self, true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Wait for something to become true; asks again after each change."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    found = true()
                    if found if isinstance(found, bool) else await found:
                        return
                    await self.kit.change.wait(self.kit.change.rings, 0.05)
        except TimeoutError:
            raise AssertionError(f"not reached: {what}; told: {await self.problem()}") from None

    async def until_told(self, words: str) -> str:
        """Wait until the station says what is wrong with the hostile store, and return all that it says."""

        async def says() -> bool:
            return words in await self.problem()

        await self.until(says, f"it says {words!r}")
        text = await self.problem()
        assert TOKEN not in text

        async def health_says() -> bool:
            problems: Any = (await self.desk.health())["problems"]
            return any(words in problem for problem in problems if problem.startswith("store hostile: "))

        await self.until(health_says, "health says it as well")
        return text

    async def problem(self) -> str:
        """What page and command line show of the hostile store."""
        stores: Any = (await self.desk.station())["stores"]
        view = next(store for store in stores if store["name"] == "hostile")
        problem = str(view["problem"] or "")
        assert view["ok"] is (not problem)
        return problem

    async def upload_of(self, digest: Digest) -> dict[str, Any]:
        """What the queue shows of an object that the hostile store lacks."""
        rows = [r for r in await self.desk.queue() if (r["sha256"], r["store"]) == (digest, "hostile")]
        return rows[0] if rows else {}

    async def retry(self) -> None:
        """What a person says when the cause is mended."""
        await self.desk.act("retry", {"actor": "sergeant", "reason": "mended"})


@asynccontextmanager
async def two_stores(
    root: Path, hostile: HostileStore, honest: HostileStore, credential: Credential | None = None
) -> AsyncIterator[TwoStores]:
    """Run the station until the block ends."""
    stores: dict[str, EvidenceStore] = {
        "hostile": adapter(hostile, HASTY, signed=True, credential=credential, name="hostile"),
        "honest": adapter(honest, HASTY, signed=True, name="honest"),
    }
    policies = tuple(StorePolicy(n, ReceiptKind.SIGNED, counts=True, place=s.place) for n, s in stores.items())
    settings = Settings(
        station="hub7",
        digest="",
        copies=2,
        wiping=True,
        trial=False,
        enrolled=("*",),
        profiles=(),
        fallback=None,
        stores=policies,
        keep_s=0,
        workers=3,
    )
    database = Database.open(root / "ledger.sqlite")
    spool = Spool.open(root / "spool", allow_unsafe=True, reserve_bytes=0)
    disk = ThreadPoolExecutor(2)
    kit = Kit(database, Recorder("hub7", "test"), spool, disk, stores, settings)
    await kit.apply(settings)
    uploader = Uploader(kit)
    hub = Station(kit, open_camera, (FolderWatch({}),))
    desk = Desk(kit, hub, uploader, version="test", bay_names=list, notices=[])
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(uploader.run())
            try:
                yield TwoStores(kit, desk, hostile, honest)
            finally:
                task.cancel()
    finally:
        for store in stores.values():
            await store.close()
        disk.shutdown()
        database.close()
