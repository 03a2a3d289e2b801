"""The store contract against a content destination written from the published interface, plain and encrypted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import Hints, Place, opened, stopped_halfway
from tests.contracts.test_stores import unused_port
from tests.fakes.axis_server import AxisServer, connection
from tests.stores.axis_try import digests, encryption, open_axis, write_connection


@pytest.fixture
async def server() -> AsyncIterator[AxisServer]:
    async with AxisServer(capabilities=("StoreReadSystemID", "StoreBookmarks")) as running:
        yield running
    assert running.broken == []
    assert running.strangers == 0


def place_at(server: AxisServer, folder: Path, *, sealed: bool) -> Place:
    said = encryption() if sealed else {}

    def at(origin: str) -> EvidenceStore:
        uris = {"AuthenticationTokenURI": [f"{origin}/auth/v1.0"]}
        file = write_connection(folder / "connection.json", connection(server, **said, **uris))
        return open_axis(file, marks=folder / "stores").store

    def lose(digest: str) -> None:
        path = list(server.clips())[digests(server, sealed=sealed).index(digest)]
        container, name = path.split("/")
        del server.containers[container].objects[name]

    return Place(
        open=lambda: at(server.origin),
        open_unreachable=lambda: at(f"http://127.0.0.1:{unused_port()}"),
        held=lambda: digests(server, sealed=sealed),
        require=ReceiptKind.READBACK,
        lose=lose,
        can_find=not sealed,
        may_announce=False,
    )


class AxisContract(StoreContract):
    async def test_a_stopped_upload_goes_on_where_the_store_stands_even_with_a_new_adapter(
        self, place: Place, shipment: Shipment
    ) -> None:
        """It begins again: the interface has no parts of a clip."""
        hints = await stopped_halfway(place, shipment)
        assert place.held().count(shipment.sha256) == 0
        seen: list[int] = []
        again = Hints(Transfer(on_progress=seen.append))
        async with opened(place) as store:
            handle = await store.send(shipment, hints.last, again.transfer, again.keep)
            await store.prove(shipment, handle, place.require)
        assert seen[0] < shipment.size_bytes // 4
        assert place.held() == [shipment.sha256]


class TestAxis(AxisContract):
    @pytest.fixture
    def place(self, server: AxisServer, tmp_path: Path) -> Place:
        return place_at(server, tmp_path, sealed=False)


class TestEncryptedAxis(AxisContract):
    @pytest.fixture
    def place(self, server: AxisServer, tmp_path: Path) -> Place:
        return place_at(server, tmp_path, sealed=True)
