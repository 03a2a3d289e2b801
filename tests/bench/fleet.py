"""Many stations at the end of a shift against one store, and what happens after the store was away.

Real rows: so many stations, each with a store adapter of its own and two clips, bring them to one depot in a process
of its own, on this machine, and check its signed receipts. In one round the depot is there, in the others it comes
back after a while in which all stations kept trying by the agent's own policy, with jitter and without.
Reckoned rows: ten thousand stations that lose one store in the same second, by the same policy in virtual time.
"""

import asyncio
import heapq
import random
import ssl
import statistics
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agent.core.errors import StoreError, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.core.retry_policy import decide
from agent.depot.catalogue import FILE as CATALOGUE
from agent.depot.command import enrol
from agent.ports import Shipment
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import send, stock
from tests.lab.depot import LabDepot

STATIONS, CLIPS, CLIP_BYTES = 100, 2, 1 << 20
AWAY_S = 20.0
MANY, MANY_AWAY_S, MANY_SEEN_S = 10_000, 3600.0, 900.0
Jitter = Callable[[], float]


def measure() -> Result:
    """Run the benchmark."""
    chance = random.Random(1)  # noqa: S311 - spreads load, guards nothing
    with places() as found:
        shipments = {
            f"hub{n}": [stock(found.disk / f"{n}.{m}", CLIP_BYTES, seed=CLIPS * n + m) for m in range(CLIPS)]
            for n in range(STATIONS)
        }
        rounds = ((0.0, chance.random), (AWAY_S, chance.random), (AWAY_S, _never))
        rows = [
            _with_depot(found.disk / f"depot{number}", shipments, away_s, jitter)
            for number, (away_s, jitter) in enumerate(rounds)
        ]
    spread, herd = _reckon(chance.random), _reckon(_never)
    rows.append({"stations": MANY, "away_s": MANY_AWAY_S, "busiest_second": spread, "without_jitter": herd})
    calm = rows[0]
    return Result(
        name="fleet",
        rows=rows,
        bars={
            # One station waits for another's clips, never for all that another has.
            "slowest_over_median": Bar(round(calm["slowest_s"] / calm["median_s"], 2), 2.5, most=True),
            "busiest_second_over_herd": Bar(round(spread / herd, 4), 0.05, most=True),
        },
    )


def _never() -> float:
    return 0.0


def _with_depot(directory: Path, shipments: dict[str, list[Shipment]], away_s: float, jitter: Jitter) -> Row:
    """A round with a depot of its own, which holds nothing yet."""
    tokens = {station: enrol(directory, station, new=not n) for n, station in enumerate(shipments)}
    depot = LabDepot(directory)
    try:
        return asyncio.run(_round(depot, shipments, tokens, away_s, jitter))
    finally:
        depot.stop()


async def _round(
    depot: LabDepot, shipments: dict[str, list[Shipment]], tokens: dict[str, str], away_s: float, jitter: Jitter
) -> Row:
    """All stations at once; times count from the moment at which the store is there."""
    await asyncio.to_thread(depot.start)  # whose port stays the same from now on
    keys = ReceiptKeys.load(depot.receipt_key)
    tried: list[float] = []
    if away_s:
        depot.stop()
    async with asyncio.TaskGroup() as group:
        there = time.monotonic() + away_s
        tasks = [
            group.create_task(_station(_store(depot, station, tokens[station], keys), clips, tried, jitter))
            for station, clips in shipments.items()
        ]
        if away_s:
            await asyncio.sleep(away_s)
            await asyncio.to_thread(depot.start)
            there = time.monotonic()
    ended = sorted(task.result() - there for task in tasks)
    seconds = Counter(int(moment - there) for moment in tried if moment >= there)
    return {
        "stations": len(ended),
        "away_s": away_s,
        "jitter": float(jitter is not _never),
        "median_s": round(statistics.median(ended), 2),
        "p99_s": round(ended[int(0.99 * (len(ended) - 1))], 2),
        "slowest_s": round(ended[-1], 2),
        "tries": len(tried),
        "busiest_second": max(seconds.values()),
        "catalogue_bytes_per_clip": sum(f.stat().st_size for f in depot.directory.glob(f"{CATALOGUE}*"))
        // (CLIPS * STATIONS),
    }


def _store(depot: LabDepot, station: str, token: str, keys: ReceiptKeys) -> TusStore:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used: there is no TLS
    endpoint = Endpoint.of(f"http://127.0.0.1:{depot.port}/files/")
    return TusStore(Remote("fleet", endpoint, station, lambda: datetime.now(UTC), tls, Credential(token)), keys)


async def _station(store: TusStore, shipments: list[Shipment], tried: list[float], jitter: Jitter) -> float:
    """Bring all clips, trying again as the agent does; the moment at which the last one was proved."""
    try:
        for shipment in shipments:
            failures = 0
            while (error := await _arrives(store, shipment, tried)) is not None:
                failures += 1
                decision = decide(error, failures, jitter())
                await asyncio.sleep(decision.delay_s)
        return time.monotonic()
    finally:
        await store.close()


async def _arrives(store: TusStore, shipment: Shipment, tried: list[float]) -> StoreError | None:
    tried.append(time.monotonic())
    try:
        await store.prove(shipment, await send(store, shipment), ReceiptKind.SIGNED)
    except StoreError as error:
        return error
    return None


def _reckon(jitter: Jitter) -> int:
    """The most tries in one second once the store is back, of stations that all lost it at once."""
    error = StoreUnreachable("the store is away")
    due = [(0.0, number, 1) for number in range(MANY)]
    seconds: Counter[int] = Counter()
    while due[0][0] < MANY_AWAY_S + MANY_SEEN_S:
        now, number, attempt = heapq.heappop(due)
        if now >= MANY_AWAY_S:
            seconds[int(now)] += 1
            heapq.heappush(due, (float("inf"), number, attempt))  # this one is served
            continue
        decision = decide(error, attempt, jitter())
        heapq.heappush(due, (now + decision.delay_s, number, attempt + 1))
    return max(seconds.values())
