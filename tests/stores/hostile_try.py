"""A station's view of a hostile store."""

import ssl
import time
from datetime import UTC, datetime

import pytest

from agent.core.errors import AgentError
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.contracts.store_place import MIB, Hints
from tests.contracts.store_place import Place as Other
from tests.fakes.hostile_store import HostileStore

TOKEN = "hub7.secret-token-of-this-station"
LIMITS = TusLimits(connect_s=2.0, stall_s=2.0, answer_s=1.0, control_s=1.5, patch_bytes=MIB)
SOON_S = 8.0


def adapter(
    server: HostileStore,
    limits: TusLimits = LIMITS,
    *,
    signed: bool = False,
    credential: Credential | None = None,
    name: str = "central",
) -> TusStore:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    endpoint = Endpoint.of(server.url)
    remote = Remote(name, endpoint, "hub7", lambda: datetime.now(UTC), tls, credential or Credential(TOKEN))
    return TusStore(remote, server.keys if signed else None, limits)


class Try:
    """One station's view: a store adapter and the hint that it keeps."""

    def __init__(self, server: HostileStore, shipment: Shipment, *, signed: bool = False) -> None:
        self.store = adapter(server, signed=signed)
        self.shipment = shipment
        self.hints = Hints(Transfer())

    async def use(self, store: TusStore) -> None:
        """Go on with another adapter, as after a restart."""
        await self.store.close()
        self.store = store

    async def send(self) -> str:
        return await self.store.send(self.shipment, self.hints.last, Transfer(), self.hints.keep)

    async def fail(self, kind: type[AgentError]) -> AgentError:
        """Send, expecting exactly this error; the credential is nowhere in what is told or kept."""
        began = time.monotonic()
        with pytest.raises(AgentError) as caught:
            await self.send()
        assert type(caught.value) is kind
        assert time.monotonic() - began < SOON_S
        assert TOKEN not in repr(caught.value) + caught.value.hint + repr(self.hints.texts) + repr(self.store)
        return caught.value


def half(server: HostileStore) -> Other:
    def open_() -> TusStore:
        return adapter(server)

    return Other(open=open_, open_unreachable=open_, held=list, require=ReceiptKind.READBACK)
