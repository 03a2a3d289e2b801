"""How well limits of bandwidth are kept towards a real depot, and how soon a stop is noticed under the slowest one.

A share is what arrived in a second of the limit's bytes: of one upload, of two that share the station's limit, and of
two of which one also has a limit of its own. What a limit costs where there is none is the time that the pieces of one
GiB spend being asked about; the upload itself takes 0.7 s of a processor for it.
"""

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.core.piece_policy import SMALL_BYTES
from agent.depot.command import enrol
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.remote import Remote
from agent.stores.throttle import Bucket, Throttle
from agent.stores.tus import TusStore
from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import send, stock
from tests.depot.process import depot_process

MBIT_S = 125_000
LIMITS = (10 * MBIT_S, 50 * MBIT_S, 200 * MBIT_S)
SECONDS = 8
SLOWEST = 8_000
STOPS = 5


@dataclass(frozen=True, slots=True)
class _Depot:
    url: str
    token: str

    def store(self, *buckets: Bucket) -> TusStore:
        endpoint, tls = Endpoint.of(self.url), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        remote = Remote("depot", endpoint, "hub7", lambda: datetime.now(UTC), tls, Credential(self.token))
        return TusStore(remote, throttle=Throttle(*buckets))


def measure() -> Result:
    """Run the benchmark."""
    with places() as found, depot_process(found.disk / "depot") as process:
        depot = _Depot(process.url, enrol(found.disk / "depot", "hub7"))
        rows = [asyncio.run(_shares(depot, found.memory, limit)) for limit in LIMITS]
        stop_s = [asyncio.run(_stop_s(depot, found.memory / str(n))) for n in range(STOPS)]
    rows.append({"stop_s": round(max(stop_s), 3), "free_s_per_gib": round(_free_s(), 5)})
    shares = [value for row in rows for name, value in row.items() if name.startswith("share")]
    return Result(
        name="bandwidth",
        rows=rows,
        bars={
            "least_share_of_limit": Bar(min(shares), 0.9),
            "most_share_of_limit": Bar(max(shares), 1.1, most=True),
            "stop_s": Bar(rows[-1]["stop_s"], 0.5, most=True),
            "free_s_per_gib": Bar(rows[-1]["free_s_per_gib"], 0.02, most=True),
        },
    )


async def _shares(depot: _Depot, root: Path, limit: int) -> Row:
    """One upload at the limit, then two that share it, then two of which one may have a quarter of it at the most."""
    place = root / f"{limit}"
    whole, half, other, little, rest = (
        stock(place.with_name(f"{limit}-{n}"), int(limit * SECONDS * part), seed=limit + n)
        for n, part in enumerate((1.0, 0.5, 0.5, 0.125, 0.875))
    )
    station = Bucket(lambda: limit)
    free, slow = depot.store(station), depot.store(station, Bucket(lambda: limit // 4))
    one_s = await _sent((free, whole))
    two_s = await _sent((free, half), (free, other))
    both_s = await _sent((slow, little), (free, rest))
    await free.close()
    await slow.close()
    shares = {
        "share_one": whole.size_bytes / limit / one_s,
        "share_two": (half.size_bytes + other.size_bytes) / limit / two_s,
        "share_two_stores": (little.size_bytes + rest.size_bytes) / limit / both_s,
    }
    return {"limit_mbit_s": limit / MBIT_S} | {name: round(share, 3) for name, share in shares.items()}


async def _sent(*uploads: tuple[TusStore, Shipment]) -> float:
    """Seconds until all have arrived."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for store, shipment in uploads:
            group.create_task(send(store, shipment))
    return time.perf_counter() - start


async def _stop_s(depot: _Depot, place: Path) -> float:
    """Seconds from a stop to the end of an upload that crawls."""
    store, transfer = depot.store(Bucket(lambda: SLOWEST)), Transfer()
    shipment = stock(place, 1 << 20, seed=int(place.name) + 1000)
    loop, moving = asyncio.get_running_loop(), asyncio.Event()

    def moved(_sent: int) -> None:
        loop.call_soon_threadsafe(moving.set)

    async def keep_hint(_hint: str) -> None:
        pass

    async def send_until_stopped() -> None:
        with suppress(UploadStopped):
            await store.send(shipment, None, transfer, keep_hint)

    transfer.on_progress = moved
    async with asyncio.TaskGroup() as group:
        group.create_task(send_until_stopped())
        await moving.wait()
        start = time.perf_counter()
        transfer.stop.set()
    taken_s = time.perf_counter() - start
    await store.close()
    return taken_s


def _free_s() -> float:
    """Processor time for asking about each piece of one GiB in a station without limits."""
    throttle = Throttle(Bucket(lambda: None), Bucket(lambda: None))
    stop = Transfer().stop
    start = time.thread_time()
    for _ in range((1 << 30) // SMALL_BYTES):
        throttle.grant(SMALL_BYTES, stop.is_set)
    return time.thread_time() - start
