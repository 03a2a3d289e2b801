"""A store is asked whether it still has something, or is told what is to come, and answers badly: never a loss."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from agent.core.announcement import Announced, Announcement
from agent.core.errors import AgentError, ObjectRefused, StoreBusy, StoreError, StoreRefused, StoreUnreachable
from agent.core.object import EMPTY_DIGEST, Receipt, ReceiptKind
from agent.ports import Shipment
from agent.stores.answer import CredentialRefused, NotTheStore
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import Try

OFFERED = "status 204 Dock-Announcements=1"


async def proved(attempt: Try) -> Receipt:
    handle = await attempt.send()
    return await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)


async def still(attempt: Try, receipt: Receipt) -> bool:
    assert attempt.store.still_holds is not None
    return await attempt.store.still_holds(receipt)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status 401", CredentialRefused),
        ("status 403", CredentialRefused),
        ("status 405", StoreRefused),
        ("status 429", StoreBusy),
        ("status 500", StoreError),
        ("status 302 Location=http://elsewhere/", StoreRefused),
        ("status 200 Content-Type=text/html Upload-Offset=1", NotTheStore),
        ("status 200 Content-Type=application/json", NotTheStore),
        ("silence", StoreUnreachable),
        ("reset", StoreUnreachable),
        ("not http", StoreError),
        ("endless headers", StoreError),
    ],
)
async def test_whatever_is_no_plain_answer_is_no_loss(
    hostile: HostileStore, attempt: Try, fault: str, kind: type[AgentError]
) -> None:
    receipt = await proved(attempt)
    hostile.faults["HEAD"] = fault
    with pytest.raises(StoreError) as caught:
        await still(attempt, receipt)
    assert isinstance(caught.value, kind)


@pytest.mark.parametrize(
    ("fault", "held"),
    [("", True), ("status 404", False), ("status 410", False), ("offset 7", False), ("offset x", False)],
)
async def test_its_own_word_is_believed(hostile: HostileStore, attempt: Try, fault: str, *, held: bool) -> None:
    receipt = await proved(attempt)
    hostile.faults["HEAD"] = fault
    assert await still(attempt, receipt) is held


@pytest.mark.parametrize(
    ("fault", "held"), [("", True), ("status 404", False), ("other clip", None), ("forged", None), ("status 405", None)]
)
async def test_bytes_that_it_had_from_elsewhere_are_asked_about_by_digest(
    hostile: HostileStore, signed: Try, fault: str, *, held: bool | None
) -> None:
    await signed.send()
    assert signed.store.find is not None
    handle = await signed.store.find(signed.shipment)
    assert handle is not None
    receipt = await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    hostile.faults["RECEIPT"] = fault
    if held is not None:
        assert await still(signed, receipt) is held
        return
    with pytest.raises(StoreError):
        await still(signed, receipt)


@asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[TusStore]:
    """A store behind something that answers every request with the same text."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/files/"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store = TusStore(Remote("central", Endpoint.of(url), "hub7", lambda: datetime.now(UTC), tls), None, TusLimits())
    try:
        yield store
    finally:
        await store.close()
        server.close()


@pytest.mark.parametrize("status", [b"404 Not Found", b"410 Gone"])
async def test_a_404_of_something_that_speaks_no_tus_is_no_loss(status: bytes) -> None:
    async with answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as store:
        url = store.place.removeprefix("tus+") + "u0"
        receipt = Receipt("central", ReceiptKind.READBACK, EMPTY_DIGEST, 0, url, datetime.now(UTC), "proof")
        assert store.still_holds is not None
        with pytest.raises(NotTheStore):
            await store.still_holds(receipt)


def announcement(shipment: Shipment) -> Announcement:
    told = Announced(shipment.sha256, 1, shipment.label.camera, b"a", None, event=False, urgent=False)
    return Announcement.of("hub7", [told])


async def tell(attempt: Try) -> bool:
    assert attempt.store.announce is not None
    return await attempt.store.announce(announcement(attempt.shipment))


@pytest.mark.parametrize("answer", ["status 404", "status 405", "status 204", "status 200 Dock-Announcements=2"])
async def test_a_store_that_does_not_offer_it_is_sent_nothing(hostile: HostileStore, attempt: Try, answer: str) -> None:
    hostile.faults["OPTIONS"] = answer
    assert not await tell(attempt)
    assert (hostile.times_asked("OPTIONS"), hostile.methods()) == (1, [])


@pytest.mark.parametrize(
    ("options", "post", "kind"),
    [
        ("status 401", "", CredentialRefused),
        ("status 500", "", StoreError),
        ("silence", "", StoreUnreachable),
        ("status 200 Content-Type=text/html", "", NotTheStore),
        (OFFERED, "status 400", ObjectRefused),
        (OFFERED, "status 413", ObjectRefused),
        (OFFERED, "status 503 Retry-After=7", StoreBusy),
        (OFFERED, "status 302 Location=http://elsewhere/", StoreRefused),
        (OFFERED, "status 200 Content-Type=text/html", NotTheStore),
        (OFFERED, "silence", StoreUnreachable),
        (OFFERED, "bomb", StoreError),
    ],
)
async def test_an_announcement_that_was_not_taken_is_an_error(
    hostile: HostileStore, attempt: Try, options: str, post: str, kind: type[AgentError]
) -> None:
    hostile.faults |= {"OPTIONS": options, "POST": post}
    if post == "bomb":
        assert await tell(attempt), "what a taken announcement is answered with is not read"
        return
    with pytest.raises(StoreError) as caught:
        await tell(attempt)
    assert isinstance(caught.value, kind)


async def test_a_store_that_no_longer_takes_them_is_asked_again(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults |= {"OPTIONS": OFFERED, "POST": "status 204"}
    assert await tell(attempt)
    assert await tell(attempt)
    assert hostile.times_asked("OPTIONS") == 1
    hostile.faults["POST"] = "status 404"
    assert not await tell(attempt)
    hostile.faults["OPTIONS"] = "status 204"
    assert not await tell(attempt)
