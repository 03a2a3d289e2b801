"""Limits of bandwidth with real sockets: what arrives, how soon a stop is noticed, what counts as sent."""

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from agent.core import piece_policy
from agent.core.errors import StoreUnreachable
from agent.core.piece_policy import LARGE_BYTES, SMALL_BYTES
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.throttle import Bucket, Throttle
from agent.stores.tus import TusStore
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.deaf_store import deaf_store
from tests.fakes.hostile_store import HostileStore
from tests.stores.certificates import Authority, server_context
from tests.stores.hostile_try import LIMITS

SLOWEST = 8_000
SOON_BYTES = SLOWEST // 2
"""Half a second's worth: counted in bytes that still leave, a stop is as soon on a machine that has no time for us."""
SOON_S = 5.0
"""A block of a body takes two minutes at the slowest limit."""
SHORT = TusLimits(connect_s=0.2, stall_s=0.2, answer_s=0.4, control_s=2.0, patch_bytes=MIB)


@dataclass
class Limit:
    """One that a test changes while bytes leave."""

    rate: int | None

    def throttle(self) -> Throttle:
        return Throttle(Bucket(lambda: self.rate), Bucket(lambda: None))


def limited(url: str, limit: Limit, limits: TusLimits = LIMITS, ca: Path | None = None) -> TusStore:
    tls = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    remote = Remote("central", Endpoint.of(url), "hub7", lambda: datetime.now(UTC), tls)
    return TusStore(remote, None, limits, throttle=limit.throttle())


@asynccontextmanager
async def sending(store: TusStore, shipment: Shipment, transfer: Transfer) -> AsyncIterator[asyncio.Task[bool]]:
    """An upload under way, whose first piece has left; the task tells whether it came to its end."""
    loop, moving = asyncio.get_running_loop(), asyncio.Event()

    def moved(_sent: int) -> None:
        loop.call_soon_threadsafe(moving.set)

    async def send() -> bool:
        try:
            await store.send(shipment, None, transfer, Hints(transfer).keep)
        except UploadStopped:
            return False
        return True

    transfer.on_progress = moved
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(send())
        try:
            await moving.wait()
            yield task
        finally:
            task.cancel()


async def stopped_soon(task: asyncio.Task[bool], transfer: Transfer, before_bytes: int) -> None:
    """It ends as stopped, and next to nothing has left since `before_bytes` had."""
    async with asyncio.timeout(SOON_S):
        assert not await task
    assert transfer.sent_bytes - before_bytes <= SOON_BYTES


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "TLS"])
async def test_every_byte_arrives_under_a_limit_and_not_sooner_than_it_may(tmp_path: Path, *, secure: bool) -> None:
    authority = Authority(tmp_path, "ca")
    data = make_bytes(3 * MIB + 5)
    async with HostileStore(tls=server_context(authority.issue("store")) if secure else None) as server:
        store = limited(server.url, Limit(6 * MIB), ca=authority.path if secure else None)
        shipment, began = make_shipment(tmp_path, data), time.monotonic()
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        assert time.monotonic() - began >= 0.4
        assert [sha256(kept).hexdigest() for kept in server.stored()] == [shipment.sha256]
        await store.close()


async def test_a_stop_is_noticed_soon_at_the_slowest_limit(hostile: HostileStore, shipment: Shipment) -> None:
    store, transfer = limited(hostile.url, Limit(SLOWEST)), Transfer()
    async with sending(store, shipment, transfer) as task:
        before_bytes = transfer.sent_bytes
        transfer.stop.set()
        await stopped_soon(task, transfer, before_bytes)
    await store.close()


async def test_a_pause_ends_an_upload_soon_and_begins_none(hostile: HostileStore, shipment: Shipment) -> None:
    limit, transfer = Limit(SLOWEST), Transfer()
    store = limited(hostile.url, limit)
    async with sending(store, shipment, transfer) as task:
        before_bytes, limit.rate = transfer.sent_bytes, 0
        await stopped_soon(task, transfer, before_bytes)
    hostile.asked.clear()
    with pytest.raises(UploadStopped):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    assert hostile.asked == []
    await store.close()


async def test_a_limit_that_ends_sets_the_running_upload_free(hostile: HostileStore, shipment: Shipment) -> None:
    limit, transfer = Limit(SLOWEST), Transfer()
    store = limited(hostile.url, limit)
    async with sending(store, shipment, transfer) as task:
        limit.rate = None
        async with asyncio.timeout(5):
            assert await task
    assert [sha256(kept).hexdigest() for kept in hostile.stored()] == [shipment.sha256]
    await store.close()


async def test_nobody_loses_patience_with_a_wait_of_our_own(hostile: HostileStore, tmp_path: Path) -> None:
    data = make_bytes(4_000)
    shipment = make_shipment(tmp_path, data)
    store = limited(hostile.url, Limit(1_600), replace(SHORT, stall_s=0.1))  # without the limit: 1.1 s at the most
    began = time.monotonic()
    await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    assert time.monotonic() - began > 2.0
    assert hostile.stored() == [data]
    await store.close()


async def test_a_store_that_stops_reading_is_noticed_under_a_limit_as_well(tmp_path: Path) -> None:
    async with deaf_store() as url:
        store = limited(url, Limit(2_000_000), SHORT)
        with pytest.raises(StoreUnreachable):
            async with asyncio.timeout(10):
                await store.send(make_shipment(tmp_path, make_bytes(8 * MIB)), None, Transfer(), Hints(Transfer()).keep)
        await store.close()


@pytest.mark.parametrize(("fast_bytes_s", "largest"), [(1e-9, LARGE_BYTES), (float("inf"), SMALL_BYTES)])
async def test_how_much_goes_to_the_socket_at_once_is_what_the_line_has_shown(
    tmp_path: Path, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch, fast_bytes_s: float, largest: int
) -> None:
    monkeypatch.setattr(piece_policy, "WINDOW_BYTES", 1)
    monkeypatch.setattr(piece_policy, "FAST_BYTES_S", fast_bytes_s)
    store, transfer, said = limited(hostile.url, Limit(None)), Transfer(), [0]
    transfer.on_progress = said.append
    await store.send(make_shipment(tmp_path, make_bytes(4 * LARGE_BYTES)), None, transfer, Hints(transfer).keep)
    await store.close()
    pieces = [after - before for before, after in itertools.pairwise(said)]
    assert (pieces[0], max(pieces), sum(pieces)) == (SMALL_BYTES, largest, 4 * LARGE_BYTES)


@pytest.mark.parametrize(
    ("rate", "most_bytes"),
    [
        (None, 700_000),  # by the kernel's own choice: megabytes that nobody has
        (400_000, 240_000),  # the limit alone would let more than 400,000 pass
    ],
)
async def test_sent_means_sent(tmp_path: Path, rate: int | None, most_bytes: int) -> None:
    async with deaf_store() as url:
        store, transfer = limited(url, Limit(rate)), Transfer()
        async with sending(store, make_shipment(tmp_path, make_bytes(16 * MIB)), transfer):
            await asyncio.sleep(1.0)
            assert 0 < transfer.sent_bytes < most_bytes
        await store.close()
