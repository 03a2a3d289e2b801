"""`python -m tests.bench.client URL FILE...`: brings objects of a spool to one store as the agent does, no more.

FILE is a spool's copy, so its name is its SHA-256; it is hashed on its way, and again part by part for S3. What the
adapter wants kept lies in `--state`, where a later run finds it. What fails is tried again, with the agent's pauses,
which grow with each failure that brought the store nothing.
Without a file it starts, opens the store and ends: what every run spends before its first byte.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.errors import StoreError
from agent.core.object import Digest, ReceiptKind
from agent.core.retry_policy import RetryIn, decide
from agent.ports import ClipLabel, EvidenceStore, Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.settings import StoreSettings


def main() -> int:
    """Bring everything; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.client")
    parser.add_argument("url", help="as in the configuration: s3+http://host:port/bucket/prefix, tus+http://...")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--state", type=Path, required=True, help="a folder for hints")
    parser.add_argument("--credential", type=Path)
    parser.add_argument("--at-a-time", type=int, default=2, help="as [upload] workers; default: 2, as there")
    parser.add_argument("--faster", type=float, default=1, help="pauses between tries are so many times shorter")
    wanted = parser.parse_args()
    kept = StoreSettings("bench", wanted.url, ReceiptKind.READBACK, credential=wanted.credential)
    began = time.perf_counter()
    tries = asyncio.run(_bring(kept, wanted))
    print(json.dumps({"seconds": round(time.perf_counter() - began, 3), "tries": tries}))
    return 0


async def _bring(settings: StoreSettings, wanted: argparse.Namespace) -> int:
    """Bring all files; how many tries that took."""
    waiting = iter(wanted.files)
    tries = 0

    async def work(store: EvidenceStore) -> None:
        nonlocal tries
        for file in waiting:
            tries += await _until_there(store, shipment(file), wanted.state / f"{file.name}.hint", wanted.faster)

    async with _opened(settings, wanted.state) as store, asyncio.TaskGroup() as group:
        for _ in range(min(wanted.at_a_time, len(wanted.files))):
            group.create_task(work(store))
    return tries


@asynccontextmanager
async def _opened(settings: StoreSettings, state: Path) -> AsyncIterator[EvidenceStore]:
    store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=state).store
    try:
        yield store
    finally:
        await store.close()


async def _until_there(store: EvidenceStore, shipment: Shipment, hint: Path, faster: float) -> int:
    """Send until the store has it; how many tries that took."""

    async def keep_hint(text: str) -> None:
        new = hint.with_suffix(".new")  # a kill between two bytes of it must not spoil what was kept before
        new.write_text(text)
        new.replace(hint)

    failures, held_bytes = 0, 0
    for tries in range(1, sys.maxsize):
        transfer = Transfer()
        try:
            await store.send(shipment, _kept(hint), transfer, keep_hint)
        except StoreError as error:
            went_on = transfer.held_bytes > held_bytes  # as in the service: the store has more than at the last failure
            held_bytes = max(held_bytes, transfer.held_bytes)
            failures = 1 if went_on else failures + 1
            verdict = decide(error, failures, random.random())  # noqa: S311 - spreads, protects nothing
            if not isinstance(verdict, RetryIn):
                raise
            await asyncio.sleep(verdict.delay_s / faster)
        else:
            return tries
    raise AssertionError(sys.maxsize)


def _kept(hint: Path) -> str | None:
    return hint.read_text() if hint.exists() else None


def shipment(file: Path) -> Shipment:
    """What is sent of a spool's file, whose name is its SHA-256."""
    label = ClipLabel(
        clip=ClipId("bench"),
        camera=CameraId("BENCH1"),
        bay=BayName("1"),
        station="hub7",
        path=b"clip.mp4",
        role="clip",
        event=False,
        started_at=None,
        ended_at=None,
    )
    return Shipment(Digest(file.name), file.stat().st_size, file, label)


if __name__ == "__main__":
    sys.exit(main())
