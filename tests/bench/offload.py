"""How fast footage comes off cameras: reader, pipe, hash, spool, fsync; against hashlib and against cp + openssl.

The cards lie on tmpfs, so that they are never the bottleneck. What is compared with hashing has its spool on tmpfs as
well: the question is what the agent costs, and many a disk is slower than that. What is compared with `cp` or with a
camera's own speed has its spool on the checkout's disk, every fsync included; `disk_s` is that disk's own limit, a
plain write and fsync of the same bytes. All runs alternate in one go, and ratios are taken round by round, because
machines are noisy.
"""

import asyncio
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.ledger.spool import Spool
from tests.bench.cards import BLOCK_BYTES, Card, fill, offload_all
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row, median_ratio

CLIP_BYTES = 256 << 20
CAMERAS = 4
ROUNDS = 5
SLOW_BYTES_S, SLOW_CLIP_BYTES = 35_000_000, 100 << 20
FAST_BYTES_S, FAST_CLIP_BYTES = 400_000_000, 400 << 20


def measure() -> Result:
    """Run the benchmark."""
    with places() as found:
        rows = asyncio.run(_measure(found.memory, found.disk))
    bars = {
        "one_camera_share_of_hashlib": Bar(median_ratio(rows, "hashlib_s", "one_camera_s"), 0.65),
        "one_camera_times_cp_and_openssl": Bar(median_ratio(rows, "cp_openssl_s", "one_camera_on_disk_s"), 1.1),
        "two_cameras_share_of_one_hashlib_thread": Bar(2 * median_ratio(rows, "hashlib_s", "two_cameras_s"), 1.0),
        "four_cameras_share_of_one_hashlib_thread": Bar(4 * median_ratio(rows, "hashlib_s", "four_cameras_s"), 1.0),
        "share_of_source_at_35_MB_s": Bar(median_ratio(rows, "slow_source_s", "slow_camera_s"), 0.97),
        "share_of_source_at_400_MB_s": Bar(median_ratio(rows, "fast_source_s", "fast_camera_s"), 0.95),
    }
    return Result(name="offload", rows=rows, bars=bars)


@dataclass(frozen=True, slots=True)
class _Cards:
    """What is docked: cameras at full speed, and two that are slowed down."""

    full: list[Card]
    slow: Card
    fast: Card


async def _measure(memory: Path, disk: Path) -> list[Row]:
    async with AsyncExitStack() as stack:
        full = []
        for number in range(CAMERAS):
            fill(memory / f"{number}.mp4", CLIP_BYTES, number)
            full.append(await Card.insert(memory, number, memory / f"{number}.mp4", stack))
        fill(memory / "slow.mp4", SLOW_CLIP_BYTES, 8)
        fill(memory / "fast.mp4", FAST_CLIP_BYTES, 9)
        slow = await Card.insert(memory, 8, memory / "slow.mp4", stack, SLOW_BYTES_S)
        fast = await Card.insert(memory, 9, memory / "fast.mp4", stack, FAST_BYTES_S)
        cards = _Cards(full, slow, fast)
        in_memory = Spool.open(memory / "spool", allow_unsafe=True)
        on_disk = Spool.open(disk / "spool", allow_unsafe=True)
        rows = [await _round(cards, in_memory, on_disk) for _ in range(ROUNDS + 1)]
    return rows[1:]  # the first round warms up


async def _round(cards: _Cards, in_memory: Spool, on_disk: Spool) -> Row:
    first, copy = cards.full[0].clip, on_disk.root / "copy"
    row = {
        "hashlib_s": _timed(lambda: _hash(first)),
        "one_camera_s": await offload_all(cards.full[:1], in_memory),
        "two_cameras_s": await offload_all(cards.full[:2], in_memory),
        "four_cameras_s": await offload_all(cards.full, in_memory),
        "disk_s": _timed(lambda: _write(first, copy)),
        "one_camera_on_disk_s": await offload_all(cards.full[:1], on_disk),
        "cp_openssl_s": _timed(lambda: _copy_and_hash(first, copy)),
        "slow_source_s": SLOW_CLIP_BYTES / SLOW_BYTES_S,
        "slow_camera_s": await offload_all([cards.slow], on_disk),
        "fast_source_s": FAST_CLIP_BYTES / FAST_BYTES_S,
        "fast_camera_s": await offload_all([cards.fast], on_disk),
    }
    return {name: round(value, 4) for name, value in row.items()}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _hash(file: Path) -> None:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])


def _write(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as stream, target.open("wb", buffering=0) as out:
        while os.sendfile(out.fileno(), stream.fileno(), None, BLOCK_BYTES):
            pass
        os.fsync(out.fileno())
    target.unlink()


def _copy_and_hash(source: Path, target: Path) -> None:
    command = 'cp "$1" "$2" && sync -f "$2" && openssl dgst -sha256 "$2"'
    subprocess.run(["/bin/sh", "-c", command, "sh", source, target], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    target.unlink()
