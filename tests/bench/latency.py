"""How long an event-marked clip takes from docking to its proof while a whole shift waits before it.

The real agent, reader and depot: a camera with 2 GB is offloaded while the depot is away, then the depot comes back;
as soon as all uploads are under way, a camera with one marked clip of 50 MB is docked. Against it, in the same round
and with nothing else going on: a file of that size copied into a spool and brought to the same depot with its proof.
"""

import asyncio
import logging
import os
import shutil
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.core.clip import Custody
from agent.core.object import ReceiptKind
from agent.ledger.spool import Spool
from agent.simulate.rack import make_camera
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.bench.cards import fill
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import keep, send, shipment_of
from tests.scenarios.shift import Running, Shift

CLIP_BYTES = 50_000_000
OTHERS, OTHER_BYTES = 8, 250_000_000
ROUNDS = 5
_LIMIT_S = 600
_MANY, _ONE = "CAM1", "CAM2"


def measure() -> Result:
    """Run the benchmark."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with places() as found:
        root = found.disk
        for number in range(OTHERS):
            fill(root / f"{number}.mp4", OTHER_BYTES, seed=number)
        fill(root / "bare.mp4", CLIP_BYTES, seed=OTHERS)
        rows = []
        for _ in range(ROUNDS + 1):
            (root / "round").mkdir()
            rows.append(asyncio.run(_round(root, root / "round")))
            shutil.rmtree(root / "round")
    del rows[0]  # it warmed up
    excess = [(row["marked_s"] - 1) / row["bare_s"] for row in rows]
    return Result(
        name="latency",
        rows=rows,
        bars={"times_bare_after_one_second": Bar(round(statistics.median(excess), 3), 1.5, most=True)},
    )


async def _round(files: Path, root: Path) -> Row:
    shift = Shift(root, wiping=False)
    await shift.depot.start()
    try:
        shift.write_config()
        many = make_camera(root / "shelf", "plain-dcim", serial=_MANY, seed=1, clips=1, clip_bytes=100_000)
        for number in range(OTHERS):
            (many.card / "DCIM" / "100BWC" / f"{number}.MP4").hardlink_to(files / f"{number}.mp4")
        one = make_camera(root / "shelf", "plain-dcim", serial=_ONE, seed=2, clips=1, clip_bytes=CLIP_BYTES)
        os.sync()
        bare_s = await _bare(shift, files / "bare.mp4")
        async with shift.station() as station:
            await shift.depot.stop()
            many.dock(shift.bay(1))
            await _until(station, lambda: _has(station, _MANY, Custody.SPOOLED, OTHERS))
            await shift.depot.start()
            station.agent.uploader.retry_now()
            await _until(station, lambda: _all_send(station))
            start = time.perf_counter()
            one.dock(shift.bay(2))
            await _until(station, lambda: _has(station, _ONE, Custody.CONFIRMED, 1))
            marked_s = time.perf_counter() - start
            waiting = sum(c.entry.size_bytes for c in await station.clips() if c.custody is Custody.SPOOLED)
    finally:
        await shift.depot.stop()
    return {"bare_s": round(bare_s, 3), "marked_s": round(marked_s, 3), "others_waiting_mb": round(waiting / 1e6)}


async def _bare(shift: Shift, file: Path) -> float:
    """Seconds for copying a file into a spool and bringing it to the depot, with its proof."""
    spool = Spool.open(shift.root / "bare", allow_unsafe=True)
    keys = ReceiptKeys.load(Path(shift.depot.facts["receipt_key"]))
    credential = Credential((shift.root / "credential").read_text().strip())
    endpoint, tls = Endpoint.of(shift.depot.facts["url"]), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store = TusStore(Remote("bare", endpoint, "hub7", lambda: datetime.now(UTC), tls, credential), keys)
    start = time.perf_counter()
    shipment = shipment_of(spool, await asyncio.to_thread(keep, spool, file))
    await store.prove(shipment, await send(store, shipment), ReceiptKind.SIGNED)
    taken_s = time.perf_counter() - start
    await store.close()
    return taken_s


async def _has(station: Running, serial: str, custody: Custody, at_least: int) -> bool:
    """Whether so many large clips of a camera have come so far."""
    clips = [c for c in await station.clips() if c.camera == serial and c.entry.size_bytes >= CLIP_BYTES]
    return sum(c.custody is custody for c in clips) >= at_least


async def _all_send(station: Running) -> bool:
    running = station.agent.uploader.running.values()
    return len(running) == station.agent.kit.settings.workers and all(r.transfer.sent_bytes for r in running)


async def _until(station: Running, true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true; looks after each change, and a hundred times a second."""
    async with asyncio.timeout(_LIMIT_S):
        while not await true():
            await station.agent.kit.change.wait(station.agent.kit.change.rings, 0.01)
