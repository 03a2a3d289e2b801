"""By which interface and from which address connections leave; and never by another way when that one is gone."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import StoreError, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.settings import StoreSettings
from agent.stores.way_out import WayOut, is_there
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.hostile_store import HostileStore
from tests.fakes.proxy import FakeProxy
from tests.stores.certificates import Authority, server_context

ROOT = Path(__file__).parents[2]
NOT_OURS = "192.0.2.77"
NO_SUCH = "dockmodem9"


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(MIB + 5))


class WatchedStore(HostileStore):
    """Knows from which addresses it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.came_from: set[str] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came_from.add(writer.get_extra_info("peername")[0])
        await super()._serve(reader, writer)


@asynccontextmanager
async def reached(url: str, spool: Path, **settings: Any) -> AsyncIterator[EvidenceStore]:
    made = StoreSettings(
        "central", f"tus+{url}", ReceiptKind.READBACK, connect_s=3, stall_s=3, insecure=True, **settings
    )
    store = open_store(made, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=spool).store
    try:
        yield store
    finally:
        await store.close()


async def bring(store: EvidenceStore, shipment: Shipment) -> None:
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.prove(shipment, handle, ReceiptKind.READBACK)


async def failure(store: EvidenceStore, shipment: Shipment) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await bring(store, shipment)
    return caught.value


@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "clear"])
async def test_control_calls_and_bodies_come_from_the_configured_address(
    shipment: Shipment, tmp_path: Path, *, secure: bool
) -> None:
    authority = Authority(tmp_path, "forceca")
    async with WatchedStore(server_context(authority.issue("store")) if secure else None) as server:
        async with reached(server.url, tmp_path, source="127.0.0.2", ca=authority.path) as store:
            await bring(store, shipment)
        assert server.came_from == {"127.0.0.2"}
        assert server.stored() == [shipment.file.read_bytes()]


async def test_the_way_to_a_proxy_is_the_configured_one_as_well(shipment: Shipment, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "forceca")
    async with HostileStore(tls=server_context(authority.issue("store"))) as server, FakeProxy() as proxy:
        ways: dict[str, Any] = {"source": "127.0.0.3", "interface": "lo", "proxy": proxy.url, "ca": authority.path}
        async with reached(server.url, tmp_path, **ways) as store:
            await bring(store, shipment)
        assert proxy.came_from == {"127.0.0.3"}
        assert server.stored() == [shipment.file.read_bytes()]


async def test_connections_leave_by_the_configured_interface(shipment: Shipment, tmp_path: Path) -> None:
    async with WatchedStore() as server:
        async with reached(server.url, tmp_path, interface="lo") as store:
            await bring(store, shipment)
        assert server.stored() == [shipment.file.read_bytes()]


@pytest.mark.parametrize("ways", [{"interface": "lo"}, {"source": "127.0.0.2"}])
async def test_of_a_host_with_several_addresses_the_one_that_answers_is_found(
    shipment: Shipment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: dict[str, str]
) -> None:
    known = socket.getaddrinfo

    def resolve(host: str, port: int, *more: Any, **named: Any) -> list[Any]:
        """The system's resolver, which knows a second address of the store: nobody listens there."""
        return known("127.0.0.9", port, *more, **named) + known(host, port, *more, **named)

    async with WatchedStore() as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        async with reached(server.url, tmp_path, **ways) as store:
            await bring(store, shipment)
        assert server.stored() == [shipment.file.read_bytes()]


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ({"interface": NO_SUCH}, f"there is no network interface {NO_SUCH}"),
        ({"source": NOT_OURS}, f"this station does not have the address {NOT_OURS}"),
        ({"source": "2001:db8::77"}, "no connection to the store by address 2001:db8::77"),
    ],
)
async def test_a_way_that_is_not_there_is_said_and_nothing_leaves_by_another(
    shipment: Shipment, tmp_path: Path, ways: dict[str, str], words: str
) -> None:
    async with WatchedStore() as server:
        async with reached(server.url, tmp_path, **ways) as store:
            error = await failure(store, shipment)
        assert type(error) is StoreUnreachable
        assert words in str(error)
        assert error.hint
        assert server.came_from == set()


async def test_in_mid_upload_a_way_that_goes_costs_no_byte(shipment: Shipment, tmp_path: Path) -> None:
    async with WatchedStore() as server:
        server.faults["PATCH"] = "reset mid-body"
        hints = Hints(Transfer())
        async with reached(server.url, tmp_path, source="127.0.0.2") as store:
            with pytest.raises(StoreUnreachable):
                await store.send(shipment, None, Transfer(), hints.keep)
        kept = server.stored()
        async with reached(server.url, tmp_path, interface=NO_SUCH) as store:
            with pytest.raises(StoreUnreachable, match=NO_SUCH):
                await store.send(shipment, hints.last, Transfer(), hints.keep)
        assert server.stored() == kept
        server.faults.clear()
        async with reached(server.url, tmp_path, source="127.0.0.2") as store:
            await store.send(shipment, hints.last, Transfer(), hints.keep)
        assert server.stored() == [shipment.file.read_bytes()]
        assert server.methods().count("POST") == 1


def test_whether_an_interface_is_there_can_be_asked() -> None:
    assert is_there("lo")
    assert not is_there(NO_SUCH)


TWO_WAYS = """
import socket, subprocess, sys
from agent.stores.way_out import WayOut

def ip(words):
    return subprocess.run(["/usr/sbin/ip", *words.split()], check=True, capture_output=True, text=True).stdout

for number in "12":
    ip(f"link add near{number} type veth peer name far{number}")
    ip(f"addr add 10.9.{number}.1/24 dev near{number}")
    ip(f"link set near{number} up")
    ip(f"link set far{number} up")
    ip(f"route add default via 10.9.{number}.254 dev near{number} metric {number}")
opened = WayOut(sys.argv[1] or None).open(socket.AF_INET)
opened.settimeout(0.5)
try:
    opened.connect(("192.0.2.1", 80))
except OSError:
    pass
print(*(f"near{number}" for number in "12" if ".254" in ip(f"neigh show dev near{number}")))
"""


@pytest.mark.parametrize(("interface", "asked"), [("", "near1"), ("near1", "near1"), ("near2", "near2")])
def test_a_bound_connection_looks_for_its_next_hop_at_its_interface_only(interface: str, asked: str) -> None:
    private = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command = [*private, sys.executable, "-c", TWO_WAYS, interface]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    assert ended.stdout.split() == [asked]


@pytest.mark.parametrize(
    ("way", "family"),
    [
        (WayOut(), socket.AF_UNSPEC),
        (WayOut("eth1"), socket.AF_UNSPEC),
        (WayOut(source="10.0.0.7"), socket.AF_INET),
        (WayOut(source="2001:db8::7"), socket.AF_INET6),
    ],
)
def test_only_addresses_of_the_sources_family_are_tried(way: WayOut, family: int) -> None:
    assert way.family == family
