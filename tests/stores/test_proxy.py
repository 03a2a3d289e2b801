"""Stores behind an HTTP proxy: everything goes through it, nothing past it, and its refusals say what to do."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.core.errors import ConfigError, StoreBusy, StoreError, StoreRefused, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.proxy import ProxyCredentialRefused
from agent.stores.settings import StoreSettings
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.hostile_s3 import HostileS3
from tests.fakes.hostile_store import HostileStore
from tests.fakes.proxy import FakeProxy
from tests.stores.certificates import Authority, server_context

SECRET = "pass word: of the hub"
SHORT_S = 1.0


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 5))


@pytest.fixture
def credential(tmp_path: Path) -> Path:
    (tmp_path / "proxy.credential").write_text(f"hub7:{SECRET}\n")
    return tmp_path / "proxy.credential"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "forceca")


@asynccontextmanager
async def reached(
    url: str, proxy: FakeProxy, spool: Path, *, stall_s: float = 5.0, **settings: Any
) -> AsyncIterator[EvidenceStore]:
    """The store as configured, behind the proxy."""
    more = {"insecure": True, "proxy": proxy.url, **settings}
    made = StoreSettings("central", f"tus+{url}", ReceiptKind.READBACK, connect_s=3, stall_s=stall_s, **more)
    store = open_store(made, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=spool).store
    try:
        yield store
    finally:
        await store.close()


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def bring(store: EvidenceStore, shipment: Shipment) -> None:
    """Send and read back."""
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert receipt.sha256 == shipment.sha256


async def failure(store: EvidenceStore, shipment: Shipment) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await bring(store, shipment)
    assert SECRET not in repr(caught.value) + caught.value.told() + repr(caught.value.__cause__)
    return caught.value


async def test_under_tls_everything_goes_through_the_proxy_and_names_are_looked_up_there(
    authority: Authority, shipment: Shipment, tmp_path: Path, credential: Path
) -> None:
    context = server_context(authority.issue("store", host="evidence.example"))
    async with HostileStore(tls=context) as server, FakeProxy(f"hub7:{SECRET}") as proxy:
        port = urlsplit(server.url).port or 0
        proxy.names["evidence.example"] = ("127.0.0.1", port)
        url = server.url.replace("127.0.0.1", "evidence.example")
        ways: dict[str, Any] = {"ca": authority.path, "proxy_credential": credential}
        async with reached(url, proxy, tmp_path, **ways) as store:
            await bring(store, shipment)
        assert server.stored() == [shipment.file.read_bytes()]
        assert {(passed.method, passed.target) for passed in proxy.passed} == {("CONNECT", f"evidence.example:{port}")}
        assert proxy.carried > shipment.size_bytes
        assert not [asked for asked in server.asked if "proxy-authorization" in asked.headers]
        assert not [passed for passed in proxy.passed if "authorization" in passed.headers]


async def test_in_clear_requests_name_the_whole_address_to_the_proxy(
    shipment: Shipment, tmp_path: Path, credential: Path
) -> None:
    async with HostileStore() as server, FakeProxy(f"hub7:{SECRET}") as proxy:
        async with reached(server.url, proxy, tmp_path, proxy_credential=credential) as store:
            await bring(store, shipment)
        assert server.stored() == [shipment.file.read_bytes()]
        assert {"POST", "PATCH", "GET"} <= set(proxy.methods())
        assert "CONNECT" not in proxy.methods()
        assert all(passed.target.startswith(server.url) for passed in proxy.passed)
        assert proxy.carried == shipment.size_bytes


async def test_a_body_that_takes_long_is_not_cut_by_the_clock_that_the_opening_of_the_way_began(
    authority: Authority, tmp_path: Path
) -> None:
    shipment, stall_s = make_shipment(tmp_path, make_bytes(7 * MIB)), 3.0  # with less, slow cores lose patience
    async with server_of(authority, secure=True) as server, FakeProxy(rate=MIB) as proxy:
        async with reached(server.url, proxy, tmp_path, stall_s=stall_s, ca=authority.path) as store:
            began = time.monotonic()
            await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        assert time.monotonic() - began > 2 * stall_s
        assert server.stored() == [shipment.file.read_bytes()]


SCHEMES = pytest.mark.parametrize("secure", [True, False], ids=["TLS", "clear"])


@asynccontextmanager
async def server_of(authority: Authority, *, secure: bool) -> AsyncIterator[HostileStore]:
    async with HostileStore(tls=server_context(authority.issue("store")) if secure else None) as server:
        yield server


async def many(store: EvidenceStore, folder: Path, word: str) -> list[BaseException | None]:
    """Four uploads at a time; what became of each."""
    shipments = []
    for n in range(4):
        (folder / f"{word}{n}").mkdir()
        shipments.append(make_shipment(folder / f"{word}{n}", make_bytes(MIB + n, f"{word}{n}")))
    return await asyncio.gather(*(bring(store, each) for each in shipments), return_exceptions=True)


@SCHEMES
async def test_a_proxys_new_password_costs_no_upload_however_many_lines_knew_the_old_one(
    authority: Authority, tmp_path: Path, credential: Path, *, secure: bool
) -> None:
    """Each line that was kept idle had the old one in it."""
    async with server_of(authority, secure=secure) as server, FakeProxy(f"hub7:{SECRET}") as proxy:
        ways: dict[str, Any] = {"ca": authority.path, "proxy_credential": credential}
        async with reached(server.url, proxy, tmp_path, **ways) as store:
            assert await many(store, tmp_path, "old") == [None] * 4
            proxy.pair = "hub7:new"
            proxy.down()
            await proxy.up()
            write(credential, "hub7:new")
            for word in ("new", "newer"):
                assert await many(store, tmp_path, word) == [None] * 4


@SCHEMES
async def test_a_proxy_that_wants_a_credential_says_so_and_a_new_one_is_read_without_a_restart(
    authority: Authority, shipment: Shipment, tmp_path: Path, credential: Path, *, secure: bool
) -> None:
    async with server_of(authority, secure=secure) as server, FakeProxy("hub7:another") as proxy:
        ways: dict[str, Any] = {"ca": authority.path, "proxy_credential": credential}
        async with reached(server.url, proxy, tmp_path, **ways) as store:
            error = await failure(store, shipment)
            assert type(error) is ProxyCredentialRefused
            assert f"the proxy {proxy.address} does not accept our credential (407)" in str(error)
            assert "proxy_credential" in error.hint
            assert server.asked == []
            write(credential, "hub7:another")
            await bring(store, shipment)
        async with reached(server.url, proxy, tmp_path, ca=authority.path) as store:
            error = await failure(store, shipment)
            assert "asks for a name and password (407)" in str(error)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("status 403", StoreRefused, "does not let this station through to 127.0.0.1:"),
        ("status 405", StoreRefused, "does not let this station through to 127.0.0.1:"),
        ("status 502", StoreUnreachable, "does not reach 127.0.0.1:"),
        ("status 504", StoreUnreachable, "does not reach 127.0.0.1:"),
        ("status 503", StoreBusy, "asks for patience (503)"),
        ("silence", StoreUnreachable, ""),
        ("reset", StoreUnreachable, ""),
        ("hang up", StoreUnreachable, ""),
    ],
)
async def test_what_a_proxy_does_instead_of_opening_a_way_is_said_and_the_upload_follows_once_it_opens(
    authority: Authority, shipment: Shipment, tmp_path: Path, fault: str, kind: type[StoreError], words: str
) -> None:
    async with (
        server_of(authority, secure=True) as server,
        FakeProxy(fault=fault) as proxy,
        reached(server.url, proxy, tmp_path, stall_s=SHORT_S, ca=authority.path) as store,
    ):
        began = time.monotonic()
        error = await failure(store, shipment)
        assert time.monotonic() - began < 10
        assert type(error) is kind
        assert words in str(error)
        assert error.hint
        assert "certificate" not in error.told()
        assert server.asked == []
        proxy.fault = ""
        await bring(store, shipment)


@SCHEMES
async def test_a_proxy_that_is_away_is_named_and_nothing_goes_past_it(
    authority: Authority, shipment: Shipment, tmp_path: Path, *, secure: bool
) -> None:
    async with server_of(authority, secure=secure) as server, FakeProxy() as proxy:
        proxy.down()
        async with reached(server.url, proxy, tmp_path, ca=authority.path) as store:
            error = await failure(store, shipment)
            assert type(error) is StoreUnreachable
            assert f"no connection to the proxy {proxy.address}" in str(error)
            assert "nothing goes past it" in error.hint
            assert server.asked == []
            await proxy.up()
            await bring(store, shipment)


async def test_an_upload_that_the_proxy_cuts_goes_on_where_it_stood(
    authority: Authority, shipment: Shipment, tmp_path: Path
) -> None:
    async with server_of(authority, secure=True) as server, FakeProxy() as proxy:
        server.faults["PATCH"] = "reset mid-body"
        async with reached(server.url, proxy, tmp_path, ca=authority.path) as store:
            hints = Hints(Transfer())
            with pytest.raises(StoreUnreachable):
                await store.send(shipment, None, Transfer(), hints.keep)
            server.faults.clear()
            sent_bytes = proxy.carried
            await store.send(shipment, hints.last, Transfer(), hints.keep)
            assert proxy.carried - sent_bytes < 0.7 * shipment.size_bytes
        assert server.stored() == [shipment.file.read_bytes()]


async def test_an_s3_store_is_reached_through_a_proxy_as_well(
    shipment: Shipment, tmp_path: Path, credential: Path
) -> None:
    keys = tmp_path / "s3.credential"
    write(keys, "KEYID\nthe-secret-key\n")
    async with HostileS3() as server, FakeProxy(f"hub7:{SECRET}") as proxy:
        settings = StoreSettings(
            "central",
            f"s3+{server.url}",
            ReceiptKind.READBACK,
            credential=keys,
            insecure=True,
            proxy=proxy.url,
            proxy_credential=credential,
        )
        store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path).store
        await bring(store, shipment)
        await store.close()
        assert list(server.objects.values()) == [shipment.file.read_bytes()]
        assert len(proxy.passed) == len(server.requests)
        assert not [asked for asked in server.requests if "proxy-authorization" in asked.headers]


async def test_a_box_that_opens_tls_behind_the_proxy_is_named(
    authority: Authority, shipment: Shipment, tmp_path: Path
) -> None:
    box = Authority(tmp_path, "Inspecting Box CA")
    async with HostileStore(tls=server_context(box.issue("forged"))) as server, FakeProxy() as proxy:
        async with reached(server.url, proxy, tmp_path, ca=authority.path) as store:
            error = await failure(store, shipment)
        assert 'it was issued by "Inspecting Box CA"' in str(error)
        assert "Somebody inspects TLS on the way, or the store's CA is missing" in error.hint
        assert server.asked == []


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy.example:3128",
        "https://proxy.example:3128",
        "http://proxy.example",
        "http://user:secret@proxy.example:3128",
        "http://proxy.example:3128/path",
        "socks5://proxy.example:1080",
        "http://proxy.example:99999",
    ],
)
def test_an_address_that_is_no_plain_proxy_is_a_mistake_of_the_configuration(tmp_path: Path, proxy: str) -> None:
    settings = StoreSettings("central", "tus+https://evidence.example/files/", ReceiptKind.READBACK, proxy=proxy)
    with pytest.raises(ConfigError, match="proxy") as caught:
        open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)
    assert "secret" not in caught.value.told()
    assert "http://proxy.example:3128" in caught.value.hint


@pytest.mark.parametrize("text", ["", "only-a-name", "two:lines\nof text", "x" * 5000])
def test_a_file_without_name_and_password_is_a_mistake_that_does_not_show_what_it_holds(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "proxy.credential"
    file.write_text(text)
    settings = StoreSettings(
        "central",
        "tus+https://evidence.example/files/",
        ReceiptKind.READBACK,
        proxy="http://proxy.example:3128",
        proxy_credential=file,
    )
    with pytest.raises(ConfigError, match="credential file") as caught:
        open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)
    assert not text or text not in caught.value.told()


def test_clear_text_through_a_proxy_leaves_the_machine_and_needs_to_be_allowed(tmp_path: Path) -> None:
    settings = StoreSettings(
        "central", "tus+http://127.0.0.1:1/files/", ReceiptKind.READBACK, proxy="http://proxy.example:3128"
    )
    with pytest.raises(ConfigError, match="in the clear"):
        open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)
