"""How soon the first byte of a clip arrives that a person marks as urgent while 20 GB fill a line of 20 Mbit/s.

The real ledger, uploader and tus adapter; the store is a process of its own behind a narrow line. The waiting objects
are holes of 250 MB each. One after the other, clips of several cameras are requested, each while all workers send;
after its round a clip is held back again, so that the next one meets the same crowd.
"""

import asyncio
import hashlib
import json
import logging
import math
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.clip import BayName, CameraId, ClipId, Entry
from agent.core.object import Digest, ReceiptKind
from agent.devices.folders import FolderWatch
from agent.devices.reader.camera import open_camera
from agent.ledger import clips, fleet, objects
from agent.ledger.clips import Sighting
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.spool import Spool
from agent.ports import StorePolicy
from agent.services.desk import Desk
from agent.services.doorbell import Doorbell
from agent.services.kit import Kit
from agent.services.station import Station
from agent.services.uploader import Uploader
from agent.stores.endpoint import Endpoint
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.settings import settings_for

LINE_BYTES_S = 20_000_000 / 8
CAMERAS, CLIPS_EACH, CLIP_BYTES = 8, 10, 250_000_000
ROUNDS = 12
LIMIT_S = 0.5
WORKERS = (2, 4)
_WAIT_S = 60


def measure() -> Result:
    """Run the benchmark."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows: list[Row] = []
    bars: dict[str, Bar] = {}
    for workers in WORKERS:
        with places() as found:
            taken = asyncio.run(_measure(found.disk, workers))
        rows += [{"workers": workers, "first_byte_s": round(value, 4)} for value in taken]
        bars[f"p50_s_{workers}_workers"] = Bar(round(statistics.median(taken), 4), LIMIT_S, most=True)
        bars[f"p95_s_{workers}_workers"] = Bar(round(_p95(taken), 4), LIMIT_S, most=True)
    return Result(name="urgent", rows=rows, bars=bars)


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


async def _measure(root: Path, workers: int) -> list[float]:
    async with _sink() as sink, _station(root, sink.port, workers) as (desk, uploader, waiting):
        taken = []
        for number in range(ROUNDS):
            await _until(uploader._kit.change, lambda: _crowded(uploader, sink, workers))
            clip = waiting[-1 - number]
            who = {"actor": "bench", "reason": "measured"}
            start = time.monotonic()
            await desk.act("request", {**who, "clip": clip})
            await _until(uploader._kit.change, lambda c=clip, s=start: sink.first.get(c, 0.0) > s)  # type: ignore[misc]
            taken.append(sink.first[clip] - start)
            await asyncio.sleep(1)  # the others have stopped by now
            await desk.act("hold-back", {**who, "clip": clip})
        return taken


def _crowded(uploader: Uploader, sink: "_Sink", workers: int) -> bool:
    """Whether all workers send what can wait, and its bytes arrive."""
    running = [r for r in uploader.running.values() if not r.waiting.urgent]
    return len(running) == workers and all(r.transfer.sent_bytes for r in running) and sink.heard >= workers


async def _until(bell: Doorbell, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WAIT_S):
        while not true():
            await bell.wait(bell.rings, 0.002)


@dataclass(slots=True)
class _Sink:
    """The running store: when the first byte of each clip's newest body arrived."""

    port: int
    first: dict[str, float] = field(default_factory=dict)
    heard: int = 0


@asynccontextmanager
async def _sink() -> AsyncIterator[_Sink]:
    words = ["-m", "tests.bench.narrow_sink", str(LINE_BYTES_S)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    sink = _Sink(json.loads(await process.stdout.readline())["port"])

    async def listen(lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            said = json.loads(line)
            sink.first[said["clip"]] = said["at"]
            sink.heard += 1

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen(process.stdout))
            yield sink
            task.cancel()
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _station(root: Path, port: int, workers: int) -> AsyncIterator[tuple[Desk, Uploader, list[ClipId]]]:
    """A running uploader with 20 GB before it; and the ids of all clips, oldest first."""
    store = _store(root, port)
    policy = StorePolicy(store.name, ReceiptKind.SIGNED, counts=True, place=store.place)
    settings = settings_for(policy, workers=workers)
    database = Database.open(root / "ledger.sqlite")
    spool = Spool.open(root / "spool", allow_unsafe=True, reserve_bytes=0)
    disk = ThreadPoolExecutor(2)
    kit = Kit(database, Recorder("hub7", "bench"), spool, disk, {store.name: store}, settings)
    try:
        await kit.apply(settings)
        waiting = [clip for n in range(CAMERAS) for clip in await kit.ledger(lambda tx, _, n=n: _fill(kit, tx, n))]  # type: ignore[misc]
        uploader = Uploader(kit)
        desk = Desk(
            kit, Station(kit, open_camera, (FolderWatch({}),)), uploader, version="bench", bay_names=list, notices=[]
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(uploader.run())
            try:
                yield desk, uploader, waiting
            finally:
                task.cancel()
    finally:
        await store.close()
        disk.shutdown()
        database.close()


def _store(root: Path, port: int) -> TusStore:
    public = Ed25519PrivateKey.generate().public_key()
    key = root / "store.pub"
    key.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    endpoint, tls = Endpoint.of(f"http://127.0.0.1:{port}/files/"), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return TusStore(Remote("central", endpoint, "hub7", lambda: datetime.now(UTC), tls), ReceiptKeys.load(key))


def _fill(kit: Kit, tx: Tx, number: int) -> list[ClipId]:
    """One camera's clips in ledger and spool; their files are holes, and nobody gets to see their end."""
    camera = CameraId(f"CAM{number}")
    fleet.see_camera(tx, kit.recorder, camera, "plain-dcim", None, "config")
    session = fleet.start_session(tx, kit.recorder, camera, BayName(str(number)), {})
    walk = clips.start_listing(tx, kit.recorder, camera, session)
    entries = [Entry(f"DCIM/{n:04}.mp4".encode(), CLIP_BYTES, 1) for n in range(CLIPS_EACH)]
    clips.reconcile(tx, kit.recorder, walk, [Sighting(entry, "clip", event=False) for entry in entries])
    found = fleet.clips_in(tx, session)
    for clip in found:
        sha256 = Digest(hashlib.sha256(clip.id.encode()).hexdigest())
        file = kit.spool.path(sha256)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        with file.open("wb") as hole:
            hole.truncate(CLIP_BYTES)
        objects.spooled(tx, kit.recorder, clip, sha256, CLIP_BYTES, "1")
    return [clip.id for clip in found]
