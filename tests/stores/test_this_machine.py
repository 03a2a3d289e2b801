"""A store on this very machine, whatever it is called: a second copy there would be lost together with the first."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.core.errors import StoreLied
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores import endpoint as endpoint_module
from agent.stores.client import open_store
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.settings import StoreSettings
from agent.stores.this_machine import is_this_machine, leads_here
from agent.stores.tls import client_context
from agent.stores.tus import TusStore
from tests.contracts.store_place import Hints, make_shipment
from tests.fakes.hostile_store import HostileStore
from tests.stores.certificates import Authority, server_context

HOSTS = """
127.0.1.1       Hub7.police.example hub7   # as Debian writes it
192.0.2.7       central.police.example central
::1             six
not-an-address  nonsense
127.0.0.1
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text(HOSTS)
    return tmp_path / "hosts"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "localhost.localdomain",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "store.localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",  # noqa: S104 - connecting there ends here
        socket.gethostname(),
        socket.gethostname() + ".",
        socket.gethostname().upper(),
        "hub7",
        "hub7.police.example",
        "HUB7.police.example.",
        "six",
    ],
)
def test_every_name_of_this_machine_is_known(hosts: Path, host: str) -> None:
    assert is_this_machine(host, hosts)


@pytest.mark.parametrize("host", ["central.police.example", "central", "192.0.2.7", "nonsense", "hub7.elsewhere", ""])
def test_other_machines_are_not_taken_for_this_one(hosts: Path, host: str) -> None:
    assert not is_this_machine(host, hosts)


def test_without_a_hosts_file_the_fixed_names_are_known(tmp_path: Path) -> None:
    assert is_this_machine("localhost.", tmp_path / "none")
    assert not is_this_machine("hub7", tmp_path / "none")


@pytest.mark.parametrize("host", ["ip6-localhost", "localhost.localdomain", "localhost."])
async def test_a_store_under_such_a_name_is_opened_as_one_of_this_machine(tmp_path: Path, host: str) -> None:
    found = StoreSettings("central", f"tus+https://{host}/files/", ReceiptKind.READBACK)
    opened = open_store(found, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)
    assert opened.same_machine
    await opened.store.close()


@pytest.mark.parametrize("host", ["ip6-localhost", "localhost.localdomain", "hub7", "store.localhost"])
def test_clear_text_is_still_allowed_to_no_name_but_localhost(host: str) -> None:
    assert not Endpoint.of(f"http://{host}/files/").is_loopback


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, b"footage")


@pytest.fixture
def unrecognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the store had a name that only DNS knows to be this machine's."""
    monkeypatch.setattr(endpoint_module, "is_this_machine", lambda _host: False)


@asynccontextmanager
async def connected(server: HostileStore, *, signed: bool = False, ca: Path | None = None) -> AsyncIterator[TusStore]:
    tls = client_context(ca, None, None)
    remote = Remote("central", Endpoint.of(server.url), "hub7", lambda: datetime.now(UTC), tls)
    store = TusStore(remote, server.keys if signed else None, TusLimits(connect_s=3, stall_s=3))
    try:
        yield store
    finally:
        await store.close()


async def sent(store: EvidenceStore, shipment: Shipment) -> str:
    return await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)


@pytest.mark.usefixtures("unrecognised")
@pytest.mark.parametrize("signed", [True, False])
async def test_a_proof_from_a_name_that_leads_here_is_refused(shipment: Shipment, *, signed: bool) -> None:
    async with HostileStore() as server, connected(server, signed=signed) as store:
        handle = await sent(store, shipment)
        with pytest.raises(StoreLied, match="leads to this machine") as caught:
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert "127.0.0.1" in caught.value.hint


@pytest.mark.usefixtures("unrecognised")
@pytest.mark.parametrize("signed", [True, False])
async def test_tls_does_not_hide_that_a_name_leads_here(shipment: Shipment, tmp_path: Path, *, signed: bool) -> None:
    authority = Authority(tmp_path, "forceca")
    tls = server_context(authority.issue("good"))
    async with HostileStore(tls=tls) as server, connected(server, signed=signed, ca=authority.path) as store:
        handle = await sent(store, shipment)
        with pytest.raises(StoreLied, match="leads to this machine"):
            await store.prove(shipment, handle, ReceiptKind.READBACK)


@pytest.mark.parametrize("signed", [True, False])
async def test_a_store_that_was_opened_as_one_of_this_machine_may_prove(shipment: Shipment, *, signed: bool) -> None:
    async with HostileStore() as server, connected(server, signed=signed) as store:
        receipt = await store.prove(shipment, await sent(store, shipment), ReceiptKind.READBACK)
    assert receipt.sha256 == shipment.sha256


class Stream:
    """The ends of a connection as the HTTP library shows them."""

    def __init__(self, there: object, here: object) -> None:
        self._ends = {"server_addr": there, "client_addr": here}

    def get_extra_info(self, name: str) -> object:
        return self._ends.get(name)


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 5000), True),
        (("::1", 80, 0, 0), ("::1", 5000, 0, 0), True),
        (("::ffff:127.0.0.1", 80, 0, 0), ("::ffff:127.0.0.1", 5000, 0, 0), True),
        (("192.0.2.7", 80), ("192.0.2.7", 5000), True),
        (("::ffff:192.0.2.7", 80, 0, 0), ("192.0.2.7", 5000), True),
        (("192.0.2.7", 80), ("192.0.2.8", 5000), False),
        (("2001:db8::1", 80, 0, 0), ("2001:db8::2", 5000, 0, 0), False),
        ("/run/store.sock", "", False),
        (None, None, False),
    ],
)
def test_both_ends_of_a_connection_tell_where_it_leads(there: object, here: object, *, expected: bool) -> None:
    assert leads_here(httpx.Response(200, extensions={"network_stream": Stream(there, here)})) is expected


def test_a_library_that_does_not_show_the_connection_stops_nothing() -> None:
    assert not leads_here(httpx.Response(200))
