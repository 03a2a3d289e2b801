"""Whom a station believes to be its store, over real TLS."""

import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import ConfigError, StoreError, StoreRefused, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import Clock, Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.remote import LONG_AGO
from agent.stores.settings import StoreSettings
from tests.badwan.fault import Fault, Kind
from tests.badwan.proxy import Badwan
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.depot.certificate import make_certificate
from tests.fakes.hostile_store import HostileStore
from tests.stores.certificates import Authority, server_context


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "forceca")


@asynccontextmanager
async def serving(context: ssl.SSLContext, **faults: str) -> AsyncIterator[HostileStore]:
    async with HostileStore(tls=context, **faults) as server:
        yield server


def utc_now() -> datetime:
    return datetime.now(UTC)


async def send(
    url: str, shipment: Shipment, *, clock: Clock = utc_now, passed: datetime = LONG_AGO, **settings: Path
) -> None:
    """Open the store as configured, send, and read back."""
    found = StoreSettings("central", f"tus+{url}", ReceiptKind.READBACK, connect_s=3, stall_s=3, **settings)  # type: ignore[arg-type]
    spool_dir = shipment.file.parent
    store = open_store(found, station="hub7", clock=clock, passed=passed, spool_dir=spool_dir).store
    try:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    finally:
        await store.close()


async def test_a_certificate_of_the_configured_ca_is_accepted(authority: Authority, shipment: Shipment) -> None:
    async with serving(server_context(authority.issue("good"))) as server:
        await send(server.url, shipment, ca=authority.path)
        assert server.stored() == [shipment.file.read_bytes()]


SOMEBODY = "Somebody inspects TLS on the way, or the store's CA is missing"


@pytest.mark.parametrize(
    ("issue", "words"),
    [
        (lambda a: a.issue("elsewhere", address="127.0.0.2"), "CA in `ca`"),
        (lambda a: Authority(a.path.parent, "otherca").issue("foreign"), SOMEBODY),
        (lambda a: make_certificate(a.path.parent), SOMEBODY),
    ],
    ids=["other name", "other CA", "self-signed"],
)
async def test_a_wrong_certificate_is_refused_and_no_request_leaves(
    authority: Authority, shipment: Shipment, issue: Callable[[Authority], tuple[Path, Path]], words: str
) -> None:
    async with serving(server_context(issue(authority))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(server.url, shipment, ca=authority.path)
        assert words in caught.value.hint
        assert "Nothing was sent." in caught.value.hint or words != SOMEBODY
        assert "clock" not in caught.value.told()
        assert server.asked == []


async def test_who_signed_a_certificate_that_nobody_knows_is_named(authority: Authority, shipment: Shipment) -> None:
    box = Authority(authority.path.parent, "Web Gateway (HQ)")
    async with serving(server_context(box.issue("forged"))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(server.url, shipment, ca=authority.path)
        assert str(caught.value).endswith('; it was issued by "Web Gateway (HQ)"')
        assert server.asked == []


async def test_of_a_name_in_a_certificate_only_plain_text_is_shown(authority: Authority, shipment: Shipment) -> None:
    box = Authority(authority.path.parent, "odd \x1b[31m\u202e<b>`" + "x" * 40)
    async with serving(server_context(box.issue("forged"))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(server.url, shipment, ca=authority.path)
        told = caught.value.told()
        assert 'issued by "odd ??31m??b??xxx' in told
        assert told.isascii()
        assert told.isprintable()


async def test_a_certificate_of_a_public_authority_in_the_place_of_a_private_one_is_said(
    authority: Authority, shipment: Shipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = Authority(authority.path.parent, "Public CA")
    monkeypatch.setenv("SSL_CERT_FILE", str(public.path))  # as if it stood in the system's list
    async with serving(server_context(public.issue("moved"))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(server.url, shipment, ca=authority.path)
        assert 'issued by "Public CA"' in str(caught.value)
        assert "a public authority did" in caught.value.hint
        assert server.asked == []


NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
TIMES = {"expired": (-3, -2), "not yet valid": (2, 3)}


@pytest.mark.parametrize("what", TIMES)
async def test_a_certificate_whose_time_is_not_now_names_the_clock_and_what_it_says(
    authority: Authority, shipment: Shipment, what: str
) -> None:
    begins, ends = TIMES[what]
    async with serving(server_context(authority.issue("store", begins=begins, ends=ends))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(server.url, shipment, clock=lambda: NOW, ca=authority.path)
        assert f"{what} by this station's clock, 2026-03-04 05:06 UTC" in str(caught.value)
        assert "Check the station's clock first" in caught.value.hint
        assert "must be renewed" in caught.value.hint
        assert server.asked == []


async def test_a_clock_that_cannot_be_right_is_blamed_and_not_the_certificate(
    authority: Authority, shipment: Shipment
) -> None:
    async with serving(server_context(authority.issue("store", begins=2, ends=3))) as server:
        with pytest.raises(StoreRefused) as caught:
            await send(
                server.url, shipment, clock=lambda: NOW, passed=datetime(2026, 5, 1, tzinfo=UTC), ca=authority.path
            )
        assert "this station's clock is wrong: it says 2026-03-04 05:06 UTC" in str(caught.value)
        assert "2026-05-01 00:00 UTC" in str(caught.value)
        assert "renewed" not in caught.value.told()


async def test_without_a_ca_of_its_own_a_private_one_is_not_believed(authority: Authority, shipment: Shipment) -> None:
    async with serving(server_context(authority.issue("good"))) as server:
        with pytest.raises(StoreRefused):
            await send(server.url, shipment)
        assert server.asked == []


async def test_a_ca_from_the_environment_counts_for_nothing(
    authority: Authority, shipment: Shipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    other = Authority(authority.path.parent, "otherca")
    async with serving(server_context(authority.issue("good"))) as server:
        with pytest.raises(StoreRefused):
            await send(server.url, shipment, ca=other.path)


async def test_a_proxy_from_the_environment_is_not_used(
    authority: Authority, shipment: Shipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(server_context(authority.issue("good"))) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, server.elsewhere)
        await send(server.url, shipment, ca=authority.path)
        assert server.strangers == 0


async def test_an_old_tls_version_is_refused(authority: Authority, shipment: Shipment) -> None:
    context = server_context(authority.issue("good"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(context) as server:
        with pytest.raises(StoreError):
            await send(server.url, shipment, ca=authority.path)
        assert server.asked == []


async def test_a_client_certificate_opens_a_store_that_asks_for_one(authority: Authority, shipment: Shipment) -> None:
    certificate, key = authority.issue("hub7")
    async with serving(server_context(authority.issue("good"), authority.path)) as server:
        await send(server.url, shipment, ca=authority.path, client_cert=certificate, client_key=key)
        assert server.stored() == [shipment.file.read_bytes()]


@contextmanager
def refusing_thread(context: ssl.SSLContext, *, reads: bool = False) -> Iterator[str]:
    """A server that ends a handshake, or a read, as OpenSSL does, with an alert; asyncio's own sends none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secured:
                        with contextlib.suppress(OSError):
                            secured.do_handshake()
                            if reads:
                                secured.recv(4096)
                        # Closing with bytes unread would reset the line, and the alert could get lost.
                        socket.socket.shutdown(secured, socket.SHUT_WR)
                        while socket.socket.recv(secured, 4096):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/files/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_expired_client_certificate_asks_for_renewal(
    authority: Authority, shipment: Shipment, newest: ssl.TLSVersion
) -> None:
    certificate, key = authority.issue("hub7", begins=-3, ends=-2)
    context = server_context(authority.issue("good"), authority.path)
    context.maximum_version = newest
    with refusing_thread(context) as url:
        with pytest.raises(StoreRefused) as caught:
            await send(url, shipment, ca=authority.path, client_cert=certificate, client_key=key)
        assert "Renew" in caught.value.hint


async def test_a_byte_that_was_altered_on_the_way_is_a_broken_line_and_no_fault_of_certificates(
    authority: Authority, shipment: Shipment
) -> None:
    with refusing_thread(server_context(authority.issue("good")), reads=True) as url:
        port = int(url.split(":")[2].partition("/")[0])
        async with Badwan(("127.0.0.1", port), faults=[Fault(Kind.CORRUPT, 700)]) as line:
            with pytest.raises(StoreUnreachable):
                await send(line.carry(url), shipment, ca=authority.path)
            assert line.tally.struck[Kind.CORRUPT] == 1


async def test_an_upload_named_in_plain_http_by_a_server_behind_a_tls_proxy_is_pinned_to_tls(
    authority: Authority, shipment: Shipment
) -> None:
    async with serving(server_context(authority.issue("good"))) as server:
        server.faults["POST"] = f"location {server.url.replace('https', 'http')}u0"
        await send(server.url, shipment, ca=authority.path)
        assert server.stored() == [shipment.file.read_bytes()]


async def test_a_tls_line_that_hangs_is_cut(authority: Authority, shipment: Shipment) -> None:
    async with serving(server_context(authority.issue("good")), PATCH="endless 1xx") as server:
        with pytest.raises(StoreError, match="in time"):
            await send(server.url, shipment, ca=authority.path)


def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    settings = StoreSettings("c", "tus+https://store.example/files/", ReceiptKind.READBACK, ca=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match="CA file"):
        open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)


@asynccontextmanager
async def opened(url: str, folder: Path, **settings: Path) -> AsyncIterator[Callable[[Shipment], Awaitable[None]]]:
    """One adapter that stays open; what it hands out sends an object and reads it back."""
    found = StoreSettings("central", f"tus+{url}", ReceiptKind.READBACK, connect_s=3, stall_s=3, **settings)  # type: ignore[arg-type]
    store = open_store(found, station="hub7", clock=utc_now, spool_dir=folder).store

    async def bring(shipment: Shipment) -> None:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)

    try:
        yield bring
    finally:
        await store.close()


async def test_a_renewed_client_certificate_is_taken_up_without_a_restart(
    authority: Authority, shipment: Shipment
) -> None:
    stranger = Authority(authority.path.parent, "otherca")
    certificate, key = stranger.issue("hub7")
    files = {"ca": authority.path, "client_cert": certificate, "client_key": key}
    async with (
        serving(server_context(authority.issue("good"), authority.path)) as server,
        opened(server.url, authority.path.parent, **files) as bring,
    ):
        with pytest.raises(StoreError):
            await bring(shipment)
        authority.issue("hub7")
        await bring(shipment)
        assert server.stored() == [shipment.file.read_bytes()]


async def test_a_replaced_ca_is_believed_from_then_on_and_the_old_one_no_more(
    authority: Authority, shipment: Shipment, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "otherca")
    ca = tmp_path / "believed.pem"
    ca.write_bytes(authority.path.read_bytes())
    async with (
        serving(server_context(authority.issue("good"))) as server,
        opened(server.url, tmp_path, ca=ca) as bring,
    ):
        await bring(shipment)
        ca.write_bytes(other.path.read_bytes())
        with pytest.raises(StoreRefused, match="not accepted"):  # also where a connection is still open
            await bring(shipment)
        server.down()
        await server.up(server_context(other.issue("moved")))
        await bring(shipment)
        assert len(server.stored()) == 2


async def test_in_the_middle_of_a_renewal_the_old_certificate_goes_on(authority: Authority, shipment: Shipment) -> None:
    certificate, key = authority.issue("hub7")
    files = {"ca": authority.path, "client_cert": certificate, "client_key": key}
    async with (
        serving(server_context(authority.issue("good"), authority.path)) as server,
        opened(server.url, authority.path.parent, **files) as bring,
    ):
        whole = key.read_bytes()
        authority.issue("hub7")
        renewed = key.read_bytes()
        key.write_bytes(whole)  # the new certificate, the old key
        await bring(shipment)
        key.write_bytes(renewed)
        await bring(shipment)
        key.unlink()
        await bring(shipment)
        assert len(server.stored()) == 3
