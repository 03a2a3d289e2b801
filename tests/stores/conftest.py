"""A hostile store, and stations that try to use it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.ports import Shipment
from tests.contracts.store_place import MIB, make_bytes, make_shipment
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import Try


@pytest.fixture
async def hostile() -> AsyncIterator[HostileStore]:
    async with HostileStore() as server:
        yield server


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 5))


@pytest.fixture
async def attempt(hostile: HostileStore, shipment: Shipment) -> AsyncIterator[Try]:
    tried = Try(hostile, shipment)
    yield tried
    await tried.store.close()


@pytest.fixture
async def signed(hostile: HostileStore, shipment: Shipment) -> AsyncIterator[Try]:
    tried = Try(hostile, shipment, signed=True)
    yield tried
    await tried.store.close()
