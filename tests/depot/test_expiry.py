"""Unfinished uploads that nobody goes on with."""

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from agent.core.object import ReceiptKind
from agent.depot import depot as depot_module
from agent.depot.command import enrol
from agent.depot.depot import Depot
from agent.depot.expiry import EXPIRE, drop_expired
from agent.depot.refusal import Refusal
from agent.ports import Transfer
from agent.stores.receipts import ReceiptKeys
from tests.contracts.store_place import Place, make_shipment, opened, stopped_halfway
from tests.contracts.test_stores import tus_store, unreachable
from tests.depot.conftest import serving
from tests.depot.station import Station, digest_of, pattern
from tests.scenarios.shift import Depot as DepotProcess


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Depot]:
    made = Depot(tmp_path / "depot", clock=lambda: datetime.now(UTC))
    yield made
    made.close()


async def begun(depot: Depot, length: int, held: bytes = b"") -> Path:
    """An unfinished upload with its first bytes; its part."""
    part = depot.acceptance.part_of((await depot.create("hub7", length, {})).id)
    with part.open("ab") as file:
        file.write(held)
    return part


def untouched_for(part: Path, time: timedelta) -> None:
    """Let the last byte have come so long ago."""
    then = datetime.now(UTC).timestamp() - time.total_seconds()
    os.utime(part, (then, then))


async def test_an_upload_without_progress_for_a_week_is_dropped_and_its_neighbour_stays(depot: Depot) -> None:
    old, young = await begun(depot, 100, b"half"), await begun(depot, 100, b"half")
    untouched_for(old, EXPIRE + timedelta(minutes=1))
    untouched_for(young, EXPIRE - timedelta(minutes=1))
    assert await drop_expired(depot) == 1
    assert [path for path in (old, young) if path.exists()] == [young]
    assert [u.id for u in depot.catalogue.unfinished()] == [young.stem]


async def test_the_room_that_was_promised_to_it_is_given_to_others(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = os.statvfs(depot.directory)
    monkeypatch.setattr(depot_module, "RESERVE_BYTES", 0)
    most = space.f_bavail * space.f_frsize
    part = await begun(depot, most // 4 * 3)
    with pytest.raises(Refusal, match="no room"):
        await begun(depot, most // 2)
    untouched_for(part, EXPIRE * 2)
    await drop_expired(depot)
    await begun(depot, most // 2)


async def test_a_whole_upload_that_was_never_asked_for_again_is_finished_and_not_dropped(depot: Depot) -> None:
    data = pattern(5000)
    part = await begun(depot, len(data), data)
    untouched_for(part, EXPIRE * 2)
    assert await drop_expired(depot) == 0
    assert (depot.directory / "objects" / digest_of(data)).read_bytes() == data


async def test_an_upload_that_a_request_is_at_work_on_stays_whatever_the_clock_says(depot: Depot) -> None:
    part = await begun(depot, 100, b"half")
    untouched_for(part, EXPIRE * 2)
    async with depot.work_on("hub7", part.stem) as work, asyncio.timeout(5):
        assert await drop_expired(depot) == 0
        assert work.part is not None
    assert part.exists()


def test_each_answer_about_an_unfinished_upload_says_when_it_expires(station: Station, place: Path) -> None:
    made = station.http.post("/files/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
    path = made.headers["location"]
    (part,) = (place / "incoming").iterdir()
    begun = expiry_in(made)
    untouched_for(part, timedelta(days=3))
    assert abs(begun - expiry_in(station.head(path)) - timedelta(days=3)) < timedelta(minutes=1)
    assert expiry_in(station.patch(path, b"12345")) >= begun  # progress puts it off again
    for finished in (station.patch(path, b"67890", 5), station.head(path)):
        assert "upload-expires" not in finished.headers


def expiry_in(answer: httpx.Response) -> datetime:
    return parsedate_to_datetime(answer.headers["upload-expires"])


def test_a_running_depot_drops_what_expired_while_it_was_away(place: Path) -> None:
    with serving(place) as url, Station.with_token(url, enrol(place, "hub7")) as station:
        path, token = station.create(100), station.token
        (part,) = (place / "incoming").iterdir()
    untouched_for(part, timedelta(days=365 * 20))  # the served depot's clock is one of the tests
    with serving(place) as url, Station.with_token(url, token) as station:
        deadline = time.monotonic() + 20
        while station.head(path).status_code == 200:
            assert time.monotonic() < deadline, "the upload did not expire"
        assert not part.exists()


def wait_until_gone(part: Path) -> None:
    """Another process drops it; nothing tells us (the test's own time limit)."""
    while part.exists():
        time.sleep(0.01)


async def test_a_station_that_comes_back_after_that_begins_anew_and_loses_nothing(tmp_path: Path) -> None:
    depot = DepotProcess(tmp_path / "depot")
    await depot.start()
    token, keys = enrol(depot.directory, "hub7"), ReceiptKeys.load(Path(depot.facts["receipt_key"]))
    side = Place(
        open=lambda: tus_store(depot.facts["url"], token, keys),
        open_unreachable=unreachable,
        held=lambda: list(depot.held()),
        require=ReceiptKind.SIGNED,
    )
    shipment = make_shipment(tmp_path, pattern(5_000_000))
    hints = await stopped_halfway(side, shipment)
    await depot.stop()
    (part,) = (depot.directory / "incoming").iterdir()
    untouched_for(part, EXPIRE * 2)
    await depot.start()
    wait_until_gone(part)
    async with opened(side) as store:
        handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
        await store.prove(shipment, handle, ReceiptKind.SIGNED)
    await depot.stop()
    assert side.held() == [shipment.sha256]
    assert part.stem not in handle
