"""How long it takes to choose the next upload, and to show the queue, while 100,000 clips wait in the spool.

The same questions with 1,000 waiting show that the time does not grow with them. Rows of the ledger are written past
its flows (one event stands for all), because only the queue is measured.
"""

import asyncio
import hashlib
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.core.clip import CameraId
from agent.core.object import ReceiptKind
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.spool import Spool
from agent.ports import StorePolicy
from agent.services.kit import Kit
from agent.services.queue_view import QueueView
from agent.services.uploader import Running, Uploader
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.settings import settings_for

FEW, MANY = 1_000, 100_000
CAMERAS = (64, 500)
ROUNDS = 50
_PLACE = "tus+https://store.test/files/"


def measure() -> Result:
    """Run the benchmark."""
    rows: list[Row] = []
    for cameras in CAMERAS:
        for clips in (FEW, MANY):
            with places() as found:
                rows.append(asyncio.run(_measure(found.disk, cameras, clips)))
    many = [row for row in rows if row["clips"] == MANY]
    few = [row for row in rows if row["clips"] == FEW]
    bars = {
        "choose_ms": Bar(max(row["choose_ms"] for row in many if row["cameras"] == CAMERAS[0]), 10, most=True),
        "choose_growth": Bar(round(many[0]["choose_ms"] / few[0]["choose_ms"], 2), 2, most=True),
        "list_ms": Bar(max(row["list_ms"] for row in many if row["cameras"] == CAMERAS[0]), 100, most=True),
        "count_ms": Bar(max(row["count_ms"] for row in many), 10, most=True),
    }
    return Result(name="queue", rows=rows, bars=bars)


async def _measure(root: Path, cameras: int, clips: int) -> Row:
    policy = StorePolicy("central", ReceiptKind.SIGNED, counts=True, place=_PLACE)
    settings = settings_for(policy, workers=2)
    database = Database.open(root / "ledger.sqlite")
    spool = Spool.open(root / "spool", allow_unsafe=True, reserve_bytes=0)
    disk = ThreadPoolExecutor(1)
    try:
        kit = Kit(database, Recorder("hub7", "bench"), spool, disk, {}, settings)
        await kit.apply(settings)
        await kit.ledger(lambda tx, rec: _fill(tx, rec, cameras, clips))
        uploader = Uploader(kit)
        for _ in range(settings.workers):
            assert await uploader._take(only_urgent=False) is not None
        view = QueueView(kit, uploader)

        async def choose() -> None:
            taken = await uploader._take(only_urgent=False)
            assert isinstance(taken, Running)
            del uploader.running[taken.waiting.sha256, taken.waiting.store]

        return {
            "cameras": cameras,
            "clips": clips,
            "choose_ms": await _middle_ms(choose),
            "list_ms": await _middle_ms(lambda: view.rows(50)),
            "count_ms": await _middle_ms(view.summary),
        }
    finally:
        disk.shutdown()
        database.close()


async def _middle_ms(ask: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await ask()
        taken.append(time.perf_counter() - start)
    return round(1000 * statistics.median(taken), 3)


def _fill(tx: Tx, recorder: Recorder, cameras: int, clips: int) -> None:
    event = recorder.record(tx, "agent.started", {})
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(clips)]
    tx.conn.executemany(
        "INSERT INTO objects (sha256, size_bytes, spool, spooled_us, spooled_event) VALUES (?, 1000, 'present', 1, ?)",
        [(digest, event) for digest in digests],
    )
    tx.conn.executemany(
        "INSERT INTO uploads (sha256, store, camera, urgent, number) VALUES (?, 'central', ?, 0, ?)",
        [(digest, CameraId(f"CAM{number % cameras}"), number) for number, digest in enumerate(digests)],
    )
