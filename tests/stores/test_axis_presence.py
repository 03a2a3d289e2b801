"""Whether a content destination still holds what it proved: its own word, and nothing else that answers for it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import StoreError, StoreRefused
from agent.core.object import Receipt, ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from tests.contracts.store_place import Hints, make_bytes, make_shipment
from tests.fakes.axis_server import ACCOUNT, AxisServer
from tests.stores.axis_try import station

CAPABLE = ("StoreReadSystemID",)


@pytest.fixture
async def server() -> AsyncIterator[AxisServer]:
    async with AxisServer(capabilities=CAPABLE) as running:
        yield running
    assert running.broken == []


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(1005, str(tmp_path)))


async def proved(store: EvidenceStore, shipment: Shipment) -> Receipt:
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    return await store.prove(shipment, handle, ReceiptKind.READBACK)


async def still_holds(store: EvidenceStore, receipt: Receipt) -> bool:
    assert store.still_holds is not None
    return await store.still_holds(receipt)


async def test_a_clip_that_was_replaced_by_another_size_is_no_longer_held(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        receipt = await proved(store, shipment)
        assert await still_holds(store, receipt)
        (path,) = server.clips()
        box, name = path.split("/")
        server.containers[box].objects[name].data += b"more"
        assert not await still_holds(store, receipt)


@pytest.mark.parametrize("gone", ["the clip", "the recording"])
async def test_a_404_is_a_loss_only_where_the_destination_still_knows_the_cameras(
    server: AxisServer, shipment: Shipment, tmp_path: Path, gone: str
) -> None:
    """A proxy that has lost its way answers 404 to everything."""
    async with station(server, tmp_path) as store:
        receipt = await proved(store, shipment)
        server.faults = {"HEAD": 404}
        with pytest.raises(StoreError, match="looking again"):
            await still_holds(store, receipt)
        server.faults = {}
        (path,) = server.clips()
        box, name = path.split("/")
        if gone == "the clip":
            del server.containers[box].objects[name]
        else:
            del server.containers[box]
        assert not await still_holds(store, receipt)


async def test_a_destination_that_does_not_tell_what_is_there_has_lost_nothing(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        receipt = await proved(store, shipment)
        server.faults = {f"HEAD {ACCOUNT}/{next(iter(server.clips()))}": 405}
        with pytest.raises(StoreError, match="does not say whether") as caught:
            await still_holds(store, receipt)
        assert "HEAD" in caught.value.hint


async def test_another_destination_in_the_same_place_is_not_asked_what_it_holds(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        receipt = await proved(store, shipment)
    async with AxisServer(capabilities=CAPABLE) as other, station(other, tmp_path) as store:
        with pytest.raises(StoreRefused, match="does not know this station"):
            await still_holds(store, receipt)


@pytest.mark.parametrize("handle", ["", "objects/x", "the filing of another"])
async def test_a_receipt_that_does_not_say_where_its_clip_lies_asks_nothing(
    server: AxisServer, shipment: Shipment, tmp_path: Path, handle: str
) -> None:
    async with station(server, tmp_path) as store:
        receipt = await proved(store, shipment)
        if handle == "the filing of another":
            handle = receipt.handle.replace(shipment.sha256, "ab" * 32)
        server.asked.clear()
        with pytest.raises(StoreError, match="does not say where"):
            await still_holds(store, replace(receipt, handle=handle))
        assert server.asked == []
