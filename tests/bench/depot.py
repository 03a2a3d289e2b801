"""How fast the depot takes an object in, hashed and synced, against the official tus server, which does neither.

The same client sends the same bytes to both in turn, in the clear, to the same disk: one object, and four at a time.
With the depot the time ends when its signed receipt was checked, with the other when it has answered the last PATCH.
After each turn what was stored is removed and the disk comes to rest.
"""

import asyncio
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.core.object import ReceiptKind
from agent.depot.command import enrol
from agent.ports import Shipment
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.bench.places import places
from tests.bench.processor import cpu_s_of
from tests.bench.result import Bar, Result, Row, median_ratio
from tests.bench.shipments import send, stock
from tests.depot.process import depot_process

SIZE_BYTES = 1 << 30
AT_A_TIME = 4
ROUNDS = 5
_PEERS = Path(__file__).resolve().parents[1] / "peers"


@dataclass(frozen=True, slots=True)
class _Server:
    """A running server, where it stores, and how its word is checked."""

    url: str
    pid: int
    stored: Path
    token: str | None = None
    keys: ReceiptKeys | None = None

    async def take(self, shipments: list[Shipment]) -> None:
        """Bring objects to the server, all at once."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used: there is no TLS
        endpoint = Endpoint.of(self.url)
        remote = Remote("bench", endpoint, "hub7", lambda: datetime.now(UTC), tls, Credential(self.token))
        store = TusStore(remote, self.keys)
        await asyncio.gather(*(self._take(store, shipment) for shipment in shipments))
        await store.close()

    async def _take(self, store: TusStore, shipment: Shipment) -> None:
        handle = await send(store, shipment)
        if self.keys is not None:
            await store.prove(shipment, handle, ReceiptKind.SIGNED)

    def clear(self) -> None:
        """Remove what was stored, so that no turn pays for the one before it."""
        for file in self.stored.iterdir():
            file.unlink()
        os.sync()


def measure() -> Result:
    """Run the benchmark."""
    with places() as found:
        root = found.disk
        one = [stock(root / "one", SIZE_BYTES)]
        several = [stock(root / str(n), SIZE_BYTES // AT_A_TIME, seed=n) for n in range(1, AT_A_TIME + 1)]
        with _depot(root / "depot") as depot, _tus_server(root / "tus") as tus_server:
            servers = {"depot": depot, "tus_server": tus_server}
            rows = [_round(servers, one, several) for _ in range(ROUNDS + 1)][1:]  # the first one warms up
    return Result(
        name="depot",
        rows=rows,
        bars={
            "share_of_tus_server": Bar(median_ratio(rows, "tus_server_s", "depot_s"), 0.6),
            "share_of_tus_server_several": Bar(median_ratio(rows, "tus_server_several_s", "depot_several_s"), 0.6),
        },
        tools=_versions(),
    )


def _round(servers: dict[str, _Server], one: list[Shipment], several: list[Shipment]) -> Row:
    row: Row = {}
    for kind, shipments in (("", one), ("several_", several)):
        for name, server in servers.items():
            start, cpu = time.perf_counter(), cpu_s_of(server.pid)
            asyncio.run(server.take(shipments))
            row[f"{name}_{kind}s"] = round(time.perf_counter() - start, 3)
            row[f"{name}_{kind}cpu_s"] = round(cpu_s_of(server.pid) - cpu, 3)
            server.clear()
    return row


@contextmanager
def _depot(place: Path) -> Iterator[_Server]:
    with depot_process(place) as depot:
        keys = ReceiptKeys.load(Path(depot.said["receipt_key"]))
        yield _Server(depot.url, depot.process.pid, place / "objects", enrol(place, "hub7"), keys)


@contextmanager
def _tus_server(place: Path) -> Iterator[_Server]:
    place.mkdir()
    command = [_PEERS / "node_modules" / ".bin" / "node", _PEERS / "tus_server.mjs", place]
    with subprocess.Popen(command, cwd=_PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        try:
            yield _Server(url, process.pid, place)
        finally:
            process.terminate()


def _versions() -> dict[str, str]:
    wanted = json.loads((_PEERS / "package.json").read_text())["dependencies"]
    node = subprocess.run(  # noqa: S603
        [_PEERS / "node_modules" / ".bin" / "node", "--version"], capture_output=True, text=True, check=True
    )
    return {"node": node.stdout.strip(), "@tus/server": wanted["@tus/server"]}
