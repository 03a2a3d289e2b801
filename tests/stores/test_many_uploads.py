"""Uploads beside each other at one store."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agent.config.model import UploadTable
from agent.ports import Transfer
from agent.stores.endpoint import Endpoint
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.deaf_store import deaf_store

LIMIT_S = 20.0
(MOST,) = (bound.le for bound in UploadTable.model_fields["workers"].metadata if hasattr(bound, "le"))


async def test_an_urgent_upload_begins_beside_as_many_as_may_be_configured(tmp_path: Path) -> None:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    begun: set[int] = set()

    def note(number: int) -> Callable[[int], None]:
        def moved(_sent: int) -> None:
            begun.add(number)
            loop.call_soon_threadsafe(changed.set)

        return moved

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used: there is no TLS
    async with deaf_store() as url:
        store = TusStore(Remote("central", Endpoint.of(url), "hub7", lambda: datetime.now(UTC), tls))
        sending = []
        for number in range(MOST + 1):
            transfer, shipment = (
                Transfer(on_progress=note(number)),
                make_shipment(tmp_path, make_bytes(MIB, str(number))),
            )
            sending.append(asyncio.create_task(store.send(shipment, None, transfer, Hints(transfer).keep)))
        async with asyncio.timeout(LIMIT_S):
            while len(begun) <= MOST:
                changed.clear()
                await changed.wait()
        for task in sending:
            task.cancel()
        assert len(await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), LIMIT_S)) == MOST + 1
        await store.close()
