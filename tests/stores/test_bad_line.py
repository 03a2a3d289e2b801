"""The real adapter and real stores over a line that breaks, stands still, is slow or swallows."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import Shipment
from tests.badwan.fault import Ending, Fault, Kind
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Shape, Way
from tests.contracts.store_place import make_bytes, make_shipment
from tests.stores.peers import LIMITS, Peer, depot_peer, sending, tus_peer

MB = 10**6
HEADERS = 1.05
"""Requests and answers may cost a twentieth of the object on top of it."""
IN_HAND_BYTES = 128 << 10
"""What Node may have read from a line and not handed on yet when that ends: the cut loses it."""
SOON_S = 2 * LIMITS.stall_s + LIMITS.answer_s + 2.0


@pytest.fixture(scope="module", params=["depot", "tus server"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    directory = tmp_path_factory.mktemp("peer")
    with depot_peer(directory) if request.param == "depot" else tus_peer(directory) as running:
        yield running


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(8 * MB + 77, str(tmp_path)))


@pytest.mark.parametrize("ending", list(Ending))
async def test_a_line_that_is_cut_again_and_again_costs_no_byte_that_arrived(
    peer: Peer, shipment: Shipment, ending: Ending
) -> None:
    line = Badwan(peer.address, faults=[Fault(Kind.CUT, 700_000, every=True, ending=ending)])
    async with sending(peer, line, shipment) as sender:
        receipt = await sender.bring_at_last(40)
        assert sender.is_right(receipt, peer)
        assert {type(error) for error in sender.errors} == {StoreUnreachable}
        cuts = line.tally.struck[Kind.CUT]
        lost_bytes = cuts * IN_HAND_BYTES if peer.require is ReceiptKind.READBACK else 0  # the depot keeps all
        assert cuts >= shipment.size_bytes // 700_000
        assert shipment.size_bytes < line.tally.delivered[Way.UP] <= HEADERS * shipment.size_bytes + lost_bytes


async def test_an_upload_in_a_black_hole_ends_by_the_stall_time_and_goes_on_over_a_fresh_connection(
    peer: Peer, shipment: Shipment
) -> None:
    line = Badwan(peer.address, faults=[Fault(Kind.BLACK_HOLE, 3 * MB)])
    async with sending(peer, line, shipment) as sender:
        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            await sender.bring()
        assert LIMITS.stall_s * 0.9 < time.monotonic() - began < SOON_S
        receipt = await sender.bring_at_last(3)
        assert sender.is_right(receipt, peer)
        assert line.tally.delivered[Way.UP] <= HEADERS * shipment.size_bytes


async def test_large_packets_that_vanish_end_the_upload_by_the_stall_time(peer: Peer, shipment: Shipment) -> None:
    line = Badwan(peer.address, up=Shape(small_only_bytes=4096))
    async with sending(peer, line, shipment) as sender:
        began = time.monotonic()
        with pytest.raises(StoreUnreachable) as caught:
            await sender.bring()
        assert LIMITS.stall_s * 0.9 < time.monotonic() - began < SOON_S
        assert "sending" in str(caught.value)  # the short requests got through
        line.shape(Way.UP).small_only_bytes = None
        assert sender.is_right(await sender.bring_at_last(3), peer)


async def test_a_line_that_stands_still_for_less_than_the_stall_time_is_waited_for(
    peer: Peer, shipment: Shipment
) -> None:
    line = Badwan(peer.address, faults=[Fault(Kind.STALL, at, for_s=0.6) for at in (MB, 3 * MB, 5 * MB)])
    async with sending(peer, line, shipment) as sender:
        assert sender.is_right(await sender.bring(), peer)
        assert line.tally.struck[Kind.STALL] == 3


async def test_latency_costs_round_trips_and_not_speed(peer: Peer, shipment: Shipment) -> None:
    line = Badwan(peer.address, up=Shape(0.05), down=Shape(0.05))
    async with sending(peer, line, shipment) as sender:
        began = time.monotonic()
        assert sender.is_right(await sender.bring(), peer)
        assert 0.3 < time.monotonic() - began < 4.0  # creating, sending, proving; each at least one round trip


async def test_a_slow_line_is_no_line_that_stands_still(peer: Peer, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(3 * MB, "slow" + str(tmp_path)))
    line = Badwan(peer.address, up=Shape(0.1, rate_bit_s=4e6))
    async with sending(peer, line, shipment, replace(LIMITS, stall_s=3.0)) as sender:
        began = time.monotonic()
        assert sender.is_right(await sender.bring(), peer)
        assert time.monotonic() - began > 5.5  # longer than it may stand still
