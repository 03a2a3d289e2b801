"""What the agent costs a small box: memory with eight busy cameras, time when nothing happens, time to start."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.cards import fill
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.service import Service, peak_bytes
from tests.bench.stock import stock
from tests.scenarios.shift import Shift

MIB = 1 << 20
CAMERAS = 8
IDLE_S = 30
STARTS = 5
STOCKED_CLIPS = 100_000
LOADS = {"few_small": (4, 8 * MIB), "few_large": (4, 64 * MIB), "many_small": (100, MIB)}
"""Clips of each camera and their size."""


def measure() -> Result:
    """Run the benchmark."""
    with places() as found:
        rows = asyncio.run(_measure(found.memory, found.disk))
    (all_of,) = [{key: value for row in rows for key, value in row.items()}]
    agent = [all_of[f"agent_mib_{name}"] for name in LOADS]
    bars = {
        "agent_mib": Bar(max(agent), 120, most=True),
        "reader_mib": Bar(max(all_of[f"reader_mib_{name}"] for name in LOADS), 30, most=True),
        "agent_growth_with_clip_size": Bar(round(agent[1] / agent[0], 3), 1.1, most=True),
        "agent_growth_with_clip_count": Bar(round(agent[2] / agent[0], 3), 1.1, most=True),
        "idle_share_of_a_core": Bar(all_of["idle_share"], 0.005, most=True),
        "start_longer_with_100000_clips_s": Bar(
            round(all_of["start_stocked_s"] - all_of["start_empty_s"], 3), 0.5, most=True
        ),
        "help_s": Bar(all_of["help_s"], 0.4, most=True),
    }
    return Result(name="footprint", rows=rows, bars=bars)


async def _measure(memory: Path, disk: Path) -> list[Row]:
    rows = []
    for name, (clips, size_bytes) in LOADS.items():
        async with _shift(memory / name) as shift:
            rows.append(await _busy(shift, name, clips, size_bytes))
    rows.append({"help_s": round(statistics.median(_help() for _ in range(STARTS)), 3)})
    async with _shift(disk / "empty") as empty, _shift(disk / "stocked") as stocked:
        await asyncio.to_thread(stock, stocked, STOCKED_CLIPS)
        pairs = [(await _start(empty), await _start(stocked)) for _ in range(STARTS)]
    first, second = zip(*pairs, strict=True)
    starts = {"start_empty_s": statistics.median(first), "start_stocked_s": statistics.median(second)}
    return [*rows, {key: round(value, 3) for key, value in starts.items()}]


@asynccontextmanager
async def _shift(root: Path) -> AsyncIterator[Shift]:
    await asyncio.to_thread(root.mkdir)
    shift = Shift(root, bays=CAMERAS, wiping=False)
    await shift.depot.start()
    try:
        shift.write_config()
        yield shift
    finally:
        await shift.depot.stop()


async def _busy(shift: Shift, name: str, clips: int, size_bytes: int) -> Row:
    """Eight cameras at once until the depot holds everything; then nothing happens for a while."""
    for number in range(1, CAMERAS + 1):
        camera = shift.camera(f"CAM{number}", clips=1)
        folder = camera.card / "DCIM" / "100BENCH"
        folder.mkdir(parents=True, exist_ok=True)
        for clip in range(clips):
            fill(folder / f"20260301_12{clip // 60:02}{clip % 60:02}.mp4", size_bytes, number * clips + clip)
        camera.dock(shift.bay(number))
    service, objects = Service(shift), shift.depot.directory / "objects"
    wanted = CAMERAS * clips + len(set.union(*map(shift.truth, shift.cameras)))
    await service.start()
    try:
        await service.until(lambda: len(list(objects.iterdir())) == wanted)
        row = {
            f"agent_mib_{name}": round(peak_bytes(service.pid) / MIB, 1),
            f"reader_mib_{name}": round(service.reader_peak_bytes / MIB, 1),
        }
        if name == next(iter(LOADS)):
            await asyncio.sleep(2)  # the last receipts
            row["idle_share"] = round(await service.idle_share(IDLE_S), 5)
    finally:
        await service.stop()
    return row


async def _start(shift: Shift) -> float:
    service = Service(shift)
    try:
        return await service.start()
    finally:
        await service.stop()


def _help() -> float:
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("dock-agent")), "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - start
