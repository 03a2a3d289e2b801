"""Real stores that tests reach over a bad line: our depot, and the official tus server."""

import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import StoreError
from agent.core.object import Receipt, ReceiptKind
from agent.depot.command import enrol
from agent.ports import Shipment, Transfer
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.badwan.proxy import Address, Badwan
from tests.contracts.store_place import Hints
from tests.contracts.test_stores import PEERS, digests, finished, server

LIMITS = TusLimits(connect_s=3.0, stall_s=2.0, answer_s=4.0, control_s=8.0)


@dataclass(frozen=True, slots=True)
class Peer:
    """A running store; `held` lists the digests of its finished objects as they lie there."""

    url: str
    held: Callable[[], list[str]]
    require: ReceiptKind
    token: str | None = None
    keys: ReceiptKeys | None = None

    @property
    def address(self) -> Address:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0


@contextmanager
def depot_peer(directory: Path) -> Iterator[Peer]:
    command = (sys.executable, "-m", "agent.depot", "--dir", directory, "--listen", "127.0.0.1:0", "--json")
    with server(*command, cwd=directory) as facts:
        token, keys = enrol(directory, "hub7"), ReceiptKeys.load(Path(facts["receipt_key"]))
        yield Peer(facts["url"], lambda: digests(directory / "objects"), ReceiptKind.SIGNED, token, keys)


@contextmanager
def tus_peer(directory: Path) -> Iterator[Peer]:
    node = PEERS / "node_modules" / ".bin" / "node"
    assert node.exists(), "the test servers are not installed: run scripts/peers"
    with server(node, PEERS / "tus_server.mjs", directory, cwd=PEERS) as facts:
        yield Peer(str(facts["url"]), lambda: finished(directory), ReceiptKind.READBACK)


class Sender:
    """A station's view of a store behind a line: it keeps the hint between tries, as the ledger does."""

    def __init__(self, peer: Peer, line: Badwan, shipment: Shipment, limits: TusLimits = LIMITS) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        endpoint = Endpoint.of(line.carry(peer.url))
        remote = Remote("central", endpoint, "hub7", lambda: datetime.now(UTC), tls, Credential(peer.token))
        self.store = TusStore(remote, peer.keys, limits)
        self.shipment = shipment
        self.require = peer.require
        self.hints = Hints(Transfer())
        self.errors: list[StoreError] = []

    async def bring(self) -> Receipt:
        """One try: send the rest, and prove."""
        handle = await self.store.send(self.shipment, self.hints.last, Transfer(), self.hints.keep)
        return await self.store.prove(self.shipment, handle, self.require)

    async def bring_at_last(self, most_tries: int) -> Receipt:
        """Try again after each failure, as the uploader does; `errors` are those of the tries that failed."""
        for _ in range(most_tries):
            try:
                return await self.bring()
            except StoreError as error:
                self.errors.append(error)
        raise AssertionError(f"not brought in {most_tries} tries: {self.errors[-1]}")

    def is_right(self, receipt: Receipt, peer: Peer) -> bool:
        """Whether the receipt is for the object, and the object's very bytes lie in the store."""
        proved = (receipt.sha256, receipt.size_bytes) == (self.shipment.sha256, self.shipment.size_bytes)
        return proved and self.shipment.sha256 in peer.held()


@asynccontextmanager
async def sending(peer: Peer, line: Badwan, shipment: Shipment, limits: TusLimits = LIMITS) -> AsyncIterator[Sender]:
    """Open the line and a sender over it."""
    async with line:
        sender = Sender(peer, line, shipment, limits)
        try:
            yield sender
        finally:
            await sender.store.close()
