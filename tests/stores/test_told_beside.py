"""What a store is told beside a receipt holds no receipt up."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.clip import ClipId
from agent.core.object import ReceiptKind
from agent.ports import Transfer
from agent.stores import tus_proof
from tests.contracts.store_place import Hints, make_bytes, make_shipment
from tests.fakes.bad_answers import reply
from tests.fakes.hostile_store import Asked, HostileStore
from tests.stores.hostile_try import adapter

CLIPS = 100
EACH_S = 0.3
ENOUGH_S = 15.0
"""Half of what all of them would take."""


class Ponderous(HostileStore):
    """Takes its time over each further clip that it is told of."""

    async def _answer(
        self, what: str, asked: Asked, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if asked.path.startswith("/sightings/"):
            await asyncio.sleep(EACH_S)
            writer.write(reply(204))
        else:
            await super()._answer(what, asked, fault, reader, writer)


async def test_a_store_that_is_slow_to_be_told_of_further_clips_holds_no_receipt_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tus_proof, "TOLD_WITHIN_S", 3 * EACH_S)
    shipment = make_shipment(tmp_path, make_bytes(1000))
    others = tuple(replace(shipment.label, clip=ClipId(f"c{number}")) for number in range(CLIPS))
    async with Ponderous() as server:
        store = adapter(server, signed=True)
        try:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            async with asyncio.timeout(ENOUGH_S):
                receipt = await store.prove(replace(shipment, others=others), handle, ReceiptKind.SIGNED)
        finally:
            await store.close()
        assert store.still_proves(receipt)
        assert 1 <= [asked.path.startswith("/sightings/") for asked in server.asked].count(True) < CLIPS
