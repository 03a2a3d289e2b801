"""The agent's memory with eight uploads at a time, to the depot and to S3: how much, and whether it grows meanwhile.

The whole agent, with eight cameras, sends over a line of 160 Mbit/s, so that all eight are under way for long. Growth:
the second half of that time over the first.
"""

import asyncio
import re
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.cards import fill
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.service import Service, peak_bytes
from tests.bench.upload_line import line
from tests.bench.upload_stores import s3_store
from tests.bench.upload_turns import scaled
from tests.contracts.s3_server import KEY_ID, SECRET
from tests.scenarios.shift import Shift

MIB = 1 << 20
AT_A_TIME = 8
CLIPS = 2
CLIP_BYTES = scaled(40) * MIB
LOOK_S = 0.25


def measure() -> Result:
    """Run the benchmark."""
    with places() as found:
        rows = [asyncio.run(_measure(found.disk / kind, kind)) for kind in ("tus", "s3")]
    row = rows[0] | rows[1]
    bars = {}
    for kind in ("tus", "s3"):
        bars[f"{kind}_agent_mb"] = Bar(row[f"{kind}_agent_mb"], 150, most=True)
        bars[f"{kind}_growth"] = Bar(row[f"{kind}_growth"], 1.1, most=True)
    return Result("crowd", rows, bars)


async def _measure(root: Path, kind: str) -> Row:
    with ExitStack() as stack:
        await asyncio.to_thread(root.mkdir)
        shift = Shift(root, bays=AT_A_TIME, wiping=False, workers=AT_A_TIME)
        await shift.depot.start()
        try:
            shift.write_config()
            if kind == "s3":
                store = stack.enter_context(s3_store(root / "weed"))
                place = stack.enter_context(line(store.url, "--rate", "160mbit")).carry(store.url)
                _send_to(shift, f"s3+{place}/hub", f"{KEY_ID}\n{SECRET}\n")
                return await _busy(shift, kind, lambda: store.sizes("hub"))
            depot = shift.depot.facts["url"]
            _send_to(shift, f"tus+{stack.enter_context(line(depot, '--rate', '160mbit')).carry(depot)}")
            objects = shift.depot.directory / "objects"
            return await _busy(shift, kind, lambda: [file.stat().st_size for file in objects.iterdir()])
        finally:
            await shift.depot.stop()


def _send_to(shift: Shift, url: str, credential: str | None = None) -> None:
    """Make `url` the address of the only store."""
    text = re.sub(r'url = "[^"]*"', f'url = "{url}"', shift.config.read_text())
    if credential is not None:
        text = re.sub(r'receipt_key = "[^"]*"\n', "", text.replace('require = "signed"', 'require = "readback"'))
        (shift.root / "credential").write_text(credential)
    shift.config.write_text(text)


async def _busy(shift: Shift, kind: str, held: Callable[[], list[int]]) -> Row:
    for number in range(1, AT_A_TIME + 1):
        camera = shift.camera(f"CAM{number}", clips=1)
        folder = camera.card / "DCIM" / "100BENCH"
        folder.mkdir(parents=True, exist_ok=True)
        for clip in range(CLIPS):
            fill(folder / f"20260301_1200{clip:02}.mp4", CLIP_BYTES, number * CLIPS + clip)
        camera.dock(shift.bay(number))
    wanted = AT_A_TIME * CLIPS * CLIP_BYTES
    service, seen = Service(shift), []

    def all_there() -> bool:
        seen.append(_resident_bytes(service.pid))
        return sum(held()) >= wanted

    await service.start()
    try:
        await service.until(lambda: any(shift.root.glob("state/spool/objects/*/*")))
        await service.until(all_there, LOOK_S)
        peak = peak_bytes(service.pid)
    finally:
        await service.stop()
    middle = len(seen) // 2
    growth = statistics.mean(seen[middle:]) / statistics.mean(seen[:middle])
    return {f"{kind}_agent_mb": round(peak / 1e6, 1), f"{kind}_growth": round(growth, 3), f"{kind}_looks": len(seen)}


def _resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096
