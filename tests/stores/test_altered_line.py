"""A line that alters bytes: what was altered is never confirmed, and the next try goes well."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import StoreLied
from agent.ports import Shipment
from tests.badwan.fault import Fault, Kind
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Way
from tests.contracts.store_place import make_bytes, make_shipment
from tests.stores.peers import LIMITS, Peer, depot_peer, sending, tus_peer

MB = 10**6
CONVERSATION_BYTES = {Way.UP: 2200, Way.DOWN: 1600}
"""About what one connection carries when the object is small; faults beyond never strike."""
SAMPLES = 16
HASTY = replace(LIMITS, stall_s=1.0, answer_s=1.0, control_s=4.0)


@pytest.fixture(scope="module", params=["depot", "tus server"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    directory = tmp_path_factory.mktemp("peer")
    with depot_peer(directory) if request.param == "depot" else tus_peer(directory) as running:
        yield running


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(2 * MB + 3, str(tmp_path)))


@pytest.mark.parametrize("at", [10_000, MB, 2 * MB])
async def test_a_byte_that_was_altered_on_its_way_is_noticed_and_everything_is_sent_anew(
    peer: Peer, shipment: Shipment, at: int
) -> None:
    line = Badwan(peer.address, faults=[Fault(Kind.CORRUPT, at)])
    async with sending(peer, line, shipment) as sender:
        with pytest.raises(StoreLied):
            await sender.bring()
        assert line.tally.struck[Kind.CORRUPT] == 1
        assert shipment.sha256 not in peer.held()
        assert sender.is_right(await sender.bring_at_last(2), peer)


async def test_a_byte_that_was_altered_on_its_way_back_confirms_nothing(peer: Peer, shipment: Shipment) -> None:
    line = Badwan(peer.address)
    async with sending(peer, line, shipment) as sender:
        handle = await sender.store.send(shipment, None, sender.hints.transfer, sender.hints.keep)
        at = 400 if peer.keys else MB  # within the signed statement, within the bytes that are read back
        line.faults.append(Fault(Kind.CORRUPT, at, Way.DOWN))
        line.cut()
        with pytest.raises(StoreLied):
            await sender.store.prove(shipment, handle, peer.require)
        assert line.tally.struck[Kind.CORRUPT] == 1
        assert sender.is_right(await sender.bring_at_last(2), peer)


@pytest.mark.parametrize("way", list(Way))
async def test_wherever_one_byte_is_altered_a_receipt_is_for_what_the_store_holds_and_a_later_try_gets_one(
    peer: Peer, tmp_path: Path, way: Way
) -> None:
    chance, struck, failed = random.Random(7), 0, 0  # noqa: S311 - the same positions in every run
    for number in range(SAMPLES):
        small = make_shipment(tmp_path, make_bytes(700, f"{tmp_path}{way}{number}"))
        fault = Fault(Kind.CORRUPT, chance.randrange(CONVERSATION_BYTES[way]), way)
        line = Badwan(peer.address, faults=[fault])
        async with sending(peer, line, small, HASTY) as sender:
            # A header that lost its meaning may leave an upload locked or unknown for a moment.
            receipt = await sender.bring_at_last(5)
            assert sender.is_right(receipt, peer), fault
            struck += line.tally.struck[Kind.CORRUPT]
            # A store that compares digests is sent the bytes again at once, and nothing fails.
            failed += bool(sender.errors) or sender.store._pace.altered
    assert struck > SAMPLES // 4
    assert failed
