"""How fast footage comes off one camera: reader, pipe, hash, spool, fsync; against hashlib and against cp + openssl.

The camera is a directory on tmpfs, so that it is never the bottleneck; the spool lies on the checkout's own disk. All
runs alternate in one go, and ratios are taken pair by pair, because machines are noisy.
"""

import asyncio
import hashlib
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agent.core.clip import BayName, Entry
from agent.devices.reader.camera import open_camera
from agent.ledger.spool import Spool
from agent.ports import Camera, Docked
from tests.bench.result import Bar, Result

SIZE_BYTES = 512 << 20
ROUNDS = 5
BLOCK_BYTES = 1 << 20


def measure() -> Result:
    """Run the benchmark."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory, tempfile.TemporaryDirectory(dir=".") as disk:
        card, root = Path(memory) / "card", Path(disk)
        card.mkdir()
        _fill(card / "clip.mp4")
        facts = (card / "clip.mp4").stat()
        rows = asyncio.run(_rounds(card, root, Entry(b"clip.mp4", facts.st_size, facts.st_mtime_ns)))
    hashing = [r["hashlib_s"] / r["offload_s"] for r in rows]
    copying = [r["cp_openssl_s"] / r["offload_s"] for r in rows]
    return Result(
        name="offload",
        rows=rows,
        bars={
            "share_of_hashlib": Bar(round(statistics.median(hashing), 3), 0.65),
            "times_cp_and_openssl": Bar(round(statistics.median(copying), 3), 1.1),
        },
    )


def _fill(file: Path) -> None:
    block = hashlib.shake_256(b"bench").digest(BLOCK_BYTES)
    with file.open("wb") as out:
        for number in range(SIZE_BYTES // BLOCK_BYTES):
            out.write(number.to_bytes(8, "big") + block[8:])


async def _rounds(card: Path, root: Path, entry: Entry) -> list[dict[str, float]]:
    camera = await open_camera(Docked(BayName("bench"), "folder", str(card), "bench"), stall_s=60)
    spool = Spool.open(root / "spool", allow_unsafe=True)
    rows = []
    try:
        for number in range(ROUNDS + 1):
            row = {
                "hashlib_s": _timed(lambda: _hash(card / "clip.mp4")),
                "offload_s": await _offload(camera, spool, entry),
                "cp_openssl_s": _timed(lambda: _copy_and_hash(card / "clip.mp4", root / "copy")),
            }
            if number:  # the first round warms up
                rows.append({name: round(value, 4) for name, value in row.items()})
    finally:
        await camera.close()
    return rows


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _hash(file: Path) -> None:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])


async def _offload(camera: Camera, spool: Spool, entry: Entry) -> float:
    start = time.perf_counter()
    with spool.begin(entry.size_bytes) as part:
        await camera.read(entry, part)
        stored = part.finish()
    taken = time.perf_counter() - start
    spool.purge(stored.sha256)
    return taken


def _copy_and_hash(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    command = 'cp "$1" "$2" && sync -f "$2" && openssl dgst -sha256 "$2"'
    subprocess.run(["/bin/sh", "-c", command, "sh", source, target], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    target.unlink()
