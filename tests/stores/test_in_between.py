"""Somebody between station and store: a log-in page, a box that opens TLS. Nothing is confirmed by them, no upload is
given up because of them, and people are told what it is."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.clip import Custody
from agent.core.errors import StoreError, StoreRefused, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.answer import NotTheStore
from agent.stores.client import open_store
from agent.stores.settings import StoreSettings
from tests.badwan.fault import Fault, Kind
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Way
from tests.contracts.store_place import Hints, make_bytes, make_shipment
from tests.fakes.hostile_store import HostileStore
from tests.fakes.portal import Portal
from tests.stores.certificates import Authority, server_context
from tests.stores.peers import Peer, depot_peer, sending, tus_peer
from tests.stores.two_stores import two_stores

MB = 10**6
PORTALS = {200: (NotTheStore, "web page"), 302: (StoreRefused, "portal.example"), 511: (NotTheStore, "log-in")}


@pytest.fixture(scope="module", params=["depot", "tus server"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    directory = tmp_path_factory.mktemp("peer")
    with depot_peer(directory) if request.param == "depot" else tus_peer(directory) as running:
        yield running


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MB + 5, str(tmp_path)))


@pytest.mark.parametrize("status", PORTALS)
async def test_a_log_in_page_is_no_store_and_is_said(peer: Peer, shipment: Shipment, status: int) -> None:
    kind, words = PORTALS[status]
    line = Badwan(peer.address)
    async with Portal(status) as portal, sending(peer, line, shipment) as sender:
        line.lead_to(portal.address)
        with pytest.raises(StoreError) as caught:
            await sender.bring()
        errors = [caught.value]
        if sender.store.find is not None:
            with pytest.raises(StoreError) as caught:
                await sender.store.find(shipment)
            errors.append(caught.value)
        for error in errors:
            assert type(error) is kind
            assert words in str(error)
            assert "log-in page" in error.hint
        assert portal.asked == len(errors)
        line.lead_to(peer.address)
        line.cut()
        assert sender.is_right(await sender.bring_at_last(2), peer)


@pytest.mark.parametrize("status", PORTALS)
async def test_a_log_in_page_in_mid_upload_costs_no_byte(peer: Peer, shipment: Shipment, status: int) -> None:
    line = Badwan(peer.address, faults=[Fault(Kind.CUT, MB)])
    async with Portal(status) as portal, sending(peer, line, shipment) as sender:
        with pytest.raises(StoreUnreachable):
            await sender.bring()
        line.lead_to(portal.address)
        line.cut()
        with pytest.raises(StoreError) as caught:
            await sender.bring()
        assert isinstance(caught.value, NotTheStore | StoreRefused)
        line.lead_to(peer.address)
        assert sender.is_right(await sender.bring_at_last(2), peer)
        assert line.tally.delivered[Way.UP] < 1.05 * shipment.size_bytes


@pytest.mark.parametrize("status", PORTALS)
async def test_a_log_in_page_proves_nothing_and_disproves_nothing(peer: Peer, shipment: Shipment, status: int) -> None:
    line = Badwan(peer.address)
    async with Portal(status) as portal, sending(peer, line, shipment) as sender:
        handle = await sender.store.send(shipment, None, Transfer(), sender.hints.keep)
        line.lead_to(portal.address)
        line.cut()
        with pytest.raises(StoreError) as caught:
            await sender.store.prove(shipment, handle, peer.require)
        assert type(caught.value) is PORTALS[status][0] or "no tus server" in str(caught.value)
        line.lead_to(peer.address)
        sent_bytes = line.tally.delivered[Way.UP]
        assert sender.is_right(await sender.bring_at_last(2), peer)
        assert line.tally.delivered[Way.UP] - sent_bytes < 10_000  # nothing was sent anew


async def test_a_page_that_comes_instead_of_the_bytes_does_not_cost_the_upload(tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(MB))
    async with HostileStore() as store:
        peer = Peer(store.url, list, ReceiptKind.READBACK)
        async with sending(peer, Badwan(peer.address), shipment) as sender:
            store.faults["GET"] = "status 200 Content-Type=text/html"
            with pytest.raises(NotTheStore):
                await sender.bring()
            store.faults.clear()
            await sender.bring()
            assert store.methods().count("POST") == 1


async def test_while_a_log_in_page_stands_in_the_way_no_object_gets_strikes(tmp_path: Path) -> None:
    first, second = make_bytes(250_000, "first"), make_bytes(250_000, "second")
    async with HostileStore() as store, HostileStore() as honest, Portal() as portal:
        real = Peer(store.url, list, ReceiptKind.SIGNED).address
        async with Badwan(portal.address) as line:
            store.url = line.carry(store.url)
            async with two_stores(tmp_path, store, honest) as station:
                objects = [station.put(first), station.put(second)]
                await station.until_told("a web page answered in the store's place (200)")
                await station.until(lambda: {first, second} <= set(honest.stored()), "the honest store has both")
                assert [station.custody(digest) for digest in objects] == [{Custody.SPOOLED}] * 2
                for digest in objects:
                    assert (await station.upload_of(digest))["attempts"] == 0
                line.lead_to(real)
                await station.retry()
                await station.until(lambda: station.confirmed(*objects), "both are confirmed")
                assert await station.problem() == ""


def tls_store(url: str, ca: Path, spool: Path) -> EvidenceStore:
    settings = StoreSettings("central", f"tus+{url}", ReceiptKind.READBACK, ca=ca, connect_s=3, stall_s=3)
    return open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=spool).store


async def test_a_box_that_opens_tls_gets_no_request_in_mid_upload_either(tmp_path: Path, shipment: Shipment) -> None:
    authority, inspecting = Authority(tmp_path, "forceca"), Authority(tmp_path, "boxca")
    good, forged = server_context(authority.issue("store")), server_context(inspecting.issue("box"))
    async with HostileStore(tls=good) as real, HostileStore(tls=forged) as box:
        to = Peer(real.url, list, ReceiptKind.READBACK).address
        async with Badwan(to, faults=[Fault(Kind.CUT, MB)]) as line:
            store = tls_store(line.carry(real.url), authority.path, tmp_path)
            hints = Hints(Transfer())
            with pytest.raises(StoreUnreachable):
                await store.send(shipment, None, Transfer(), hints.keep)
            line.lead_to(Peer(box.url, list, ReceiptKind.READBACK).address)
            line.cut()
            with pytest.raises(StoreRefused, match="certificate was not accepted") as caught:
                await store.send(shipment, hints.last, Transfer(), hints.keep)
            assert 'it was issued by "boxca"' in str(caught.value)
            assert "Somebody inspects TLS on the way" in caught.value.hint
            assert "Nothing was sent." in caught.value.hint
            assert (box.asked, box.stored()) == ([], [])
            line.lead_to(to)
            handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
            assert (await store.prove(shipment, handle, ReceiptKind.READBACK)).sha256 == shipment.sha256
            assert real.stored() == [shipment.file.read_bytes()]
            await store.close()


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_under_tls_an_altered_byte_is_a_broken_line_and_nothing_altered_arrives(
    tmp_path: Path, shipment: Shipment, way: Way, version: ssl.TLSVersion
) -> None:
    authority = Authority(tmp_path, "forceca")
    context = server_context(authority.issue("store"))
    context.maximum_version = version
    async with HostileStore(tls=context) as real:
        to = Peer(real.url, list, ReceiptKind.READBACK).address
        async with Badwan(to, faults=[Fault(Kind.CORRUPT, MB, way)]) as line:
            store = tls_store(line.carry(real.url), authority.path, tmp_path)
            hints = Hints(Transfer())

            async def bring() -> None:
                handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
                await store.prove(shipment, handle, ReceiptKind.READBACK)

            with pytest.raises(StoreUnreachable):
                await bring()
            assert line.tally.struck[Kind.CORRUPT] == 1
            await bring()
            assert real.stored() == [shipment.file.read_bytes()]
            await store.close()
