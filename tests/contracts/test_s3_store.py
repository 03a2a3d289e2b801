"""The store contract against a real S3 server, and what belongs to S3 alone."""

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.core.errors import ReceiptInvalid, SpoolCorrupt, StoreError, StoreRefused
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.answer import CredentialRefused
from agent.stores.client import open_store
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.s3 import S3Store
from agent.stores.s3_address import S3Address
from agent.stores.s3_credential import S3Credential
from agent.stores.s3_hint import S3Hint
from agent.stores.s3_part import PART_BYTES, PartSizes
from agent.stores.s3_signature import S3Signature
from agent.stores.settings import StoreSettings
from tests.contracts.s3_server import KEY_ID, REGION, SECRET, S3Server
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import MIB, Hints, Place, make_bytes, make_shipment, opened, stopped_halfway
from tests.contracts.test_stores import unused_port

PART = 5 * MIB
"""The least that the S3 API allows for a part that is not the last."""
LIMITS = TusLimits(connect_s=3.0, stall_s=10.0, answer_s=10.0, control_s=15.0)


def s3_store(
    origin: str, bucket: str, credential: S3Credential | None = None, part_bytes: int | None = PART
) -> S3Store:
    address = S3Address.of(f"{origin}/{bucket}")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    remote = Remote("central", address.endpoint, "hub7", lambda: datetime.now(UTC), tls)
    signature = S3Signature(credential or S3Credential(KEY_ID, SECRET), REGION)
    return S3Store(remote, address, signature, LIMITS, sizes=PartSizes(part_bytes))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    s3 = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        s3.up()
        s3.make_bucket("evidence")
        s3.make_bucket("versioned", versions=True)
        yield s3
    finally:
        s3.down()


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """A folder of its own for each test."""
    return tmp_path.name


@pytest.fixture
def place(server: S3Server, prefix: str) -> Place:
    return Place(
        open=lambda: s3_store(server.origin, f"evidence/{prefix}"),
        open_unreachable=lambda: s3_store(f"http://127.0.0.1:{unused_port()}", f"evidence/{prefix}"),
        held=lambda: server.held("evidence", f"{prefix}/objects"),
        require=ReceiptKind.READBACK,
        lose=lambda digest: server.lose("evidence", f"{prefix}/objects/{digest}"),
        announced=lambda: [
            each["sha256"]
            for text in server.texts("evidence", f"{prefix}/announced/hub7")
            for each in json.loads(text)["objects"]
        ],
    )


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    """Two parts and a little more, new in each run of a test."""
    return make_shipment(tmp_path, make_bytes(2 * PART + 77, str(tmp_path)))


class TestS3(StoreContract):
    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place

    @pytest.fixture
    def shipment(self, shipment: Shipment) -> Shipment:
        return shipment


class TestSmallObjects(StoreContract):
    """Objects that go in one request; stopped halfway, nothing of them is kept."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place

    @pytest.fixture
    def shipment(self, tmp_path: Path) -> Shipment:
        return make_shipment(tmp_path, make_bytes(2 * MIB + 77, str(tmp_path)))

    async def test_a_hint_is_kept_before_the_first_byte_leaves(self, place: Place, shipment: Shipment) -> None:
        hints = Hints(Transfer())
        async with opened(place) as store:
            await store.send(shipment, None, hints.transfer, hints.keep)
        assert hints.texts == []  # there is nothing to go on with: it is found by its digest, or sent anew

    async def test_a_stopped_upload_goes_on_where_the_store_stands_even_with_a_new_adapter(
        self, place: Place, shipment: Shipment
    ) -> None:
        hints = await stopped_halfway(place, shipment)
        assert place.held().count(shipment.sha256) == 0
        async with opened(place) as store:
            handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
            await store.prove(shipment, handle, place.require)
        assert place.held().count(shipment.sha256) == 1

    async def test_an_unfinished_upload_is_not_proved(self, place: Place, shipment: Shipment) -> None:
        await stopped_halfway(place, shipment)
        async with opened(place) as store:
            with pytest.raises(ReceiptInvalid):
                await store.prove(shipment, f"http://127.0.0.1/evidence/objects/{shipment.sha256}", place.require)


async def test_an_upload_goes_on_in_the_parts_that_it_was_begun_with_however_fast_the_line_is_now(
    server: S3Server, place: Place, prefix: str, tmp_path: Path
) -> None:
    bucket = f"evidence/{prefix}"
    free = replace(place, open=lambda: s3_store(server.origin, bucket, part_bytes=None))
    shipment = make_shipment(tmp_path, make_bytes(4 * PART_BYTES + 7, str(tmp_path)))
    hints = await stopped_halfway(free, shipment)
    begun = S3Hint.parse(hints.last)
    assert begun is not None
    async with opened(free) as store:
        assert isinstance(store, S3Store)
        store._sizes.arrived(1 << 30, 1.0)
        handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
        await store.prove(shipment, handle, place.require)
    ended = S3Hint.parse(hints.last)
    assert ended is not None
    assert (ended.upload, ended.part_bytes, len(ended.etags)) == (begun.upload, PART_BYTES, 5)


async def test_a_bucket_that_is_gone_is_no_loss_of_an_object(server: S3Server, shipment: Shipment) -> None:
    """Nor is any 404 that does not come from the store: it would make a person look for the wrong thing."""
    server.make_bucket("short-lived")
    store = s3_store(server.origin, "short-lived")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert store.still_holds is not None
    assert await store.still_holds(receipt)
    assert await store.still_holds(replace(receipt, size_bytes=receipt.size_bytes + 1)) is False
    server.lose("short-lived", f"objects/{shipment.sha256}")
    assert server.ask("DELETE", f"{server.origin}/short-lived").is_success
    with pytest.raises(StoreError):
        await store.still_holds(receipt)
    await store.close()


async def test_in_a_bucket_with_versions_the_very_version_is_asked_about(server: S3Server, shipment: Shipment) -> None:
    store = s3_store(server.origin, "versioned")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert store.still_holds is not None
    assert "versionId=" in handle
    assert await store.still_holds(receipt)
    assert server.ask("DELETE", handle).is_success
    assert not await store.still_holds(receipt)
    await store.close()


async def test_every_part_has_its_digest_refused_by_the_server_when_it_is_wrong(
    server: S3Server, tmp_path: Path
) -> None:
    body = make_bytes(1000, str(tmp_path))
    wrong = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
    url = f"{server.origin}/evidence/wrong/{tmp_path.name}"
    answer = server.ask("PUT", url, body, {"x-amz-checksum-sha256": wrong})
    assert (answer.status_code, "BadDigest" in answer.text) == (400, True)


async def test_bytes_that_change_on_their_way_are_refused_and_sent_again(
    place: Place, shipment: Shipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.open()
    send = httpx.HTTPTransport.handle_request
    spoiled: list[str] = []

    def spoil(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        """The line alters one byte of the second part, once."""
        if "partNumber=2&" in str(request.url) and not spoiled:
            spoiled.append(str(request.url))
            body = bytearray(b"".join(bytes(piece) for piece in request.stream))  # type: ignore[union-attr]
            body[77] ^= 1
            request.stream = httpx.ByteStream(bytes(body))
        return send(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", spoil)
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.prove(shipment, handle, ReceiptKind.READBACK)
    await store.close()
    assert len(spoiled) == 1
    assert place.held().count(shipment.sha256) == 1


async def test_a_server_that_is_killed_amid_the_upload_is_gone_on_with_when_it_is_back(
    server: S3Server, place: Place, shipment: Shipment
) -> None:
    hints = Hints(Transfer())
    moving = asyncio.Event()

    async def keep(text: str) -> None:
        await hints.keep(text)
        kept = S3Hint.parse(text)
        if kept is not None and kept.etag(1) is not None:
            moving.set()

    async with opened(place) as store:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_failure(store.send(shipment, None, hints.transfer, keep)))
            await moving.wait()
            server.down()
        assert isinstance(sending.result(), StoreError)
    server.up()
    again: list[int] = []
    async with opened(place) as store:
        handle = await store.send(shipment, hints.last, Transfer(on_progress=again.append), hints.keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert again[0] > PART
    assert place.held().count(shipment.sha256) == 1
    assert _upload(hints.last) not in _uploads(server)


async def test_a_given_up_upload_leaves_nothing_behind(server: S3Server, place: Place, shipment: Shipment) -> None:
    hints = await stopped_halfway(place, shipment)
    assert _upload(hints.last) in _uploads(server)
    data = bytearray(shipment.file.read_bytes())
    data[-1] ^= 1
    shipment.file.write_bytes(data)
    async with opened(place) as store:
        with pytest.raises(SpoolCorrupt):
            await store.send(shipment, hints.last, Transfer(), hints.keep)
    assert hints.last == "{}"
    assert _upload(hints.texts[-2]) not in _uploads(server)


async def test_a_part_that_the_store_knows_otherwise_is_sent_again(place: Place, shipment: Shipment) -> None:
    hints = await stopped_halfway(place, shipment)
    kept = S3Hint.parse(hints.last)
    assert kept is not None
    assert kept.etags
    other = replace(kept, etags=("0" * 32, *kept.etags[1:])).text()
    seen: list[int] = []
    async with opened(place) as store:
        handle = await store.send(shipment, other, Transfer(on_progress=seen.append), hints.keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert seen[0] < PART  # the first part left again
    assert place.held().count(shipment.sha256) == 1


async def test_an_upload_that_the_store_forgot_is_created_anew(
    server: S3Server, place: Place, shipment: Shipment, prefix: str
) -> None:
    hints = await stopped_halfway(place, shipment)
    key = f"{server.origin}/evidence/{prefix}/objects/{shipment.sha256}"
    assert server.ask("DELETE", f"{key}?uploadId={_upload(hints.last)}").is_success
    async with opened(place) as store:
        handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)


@pytest.mark.parametrize("size_bytes", [1000, PART + 1000])
async def test_what_lies_under_the_key_is_never_overwritten(
    server: S3Server, place: Place, tmp_path: Path, size_bytes: int, prefix: str
) -> None:
    shipment = make_shipment(tmp_path, make_bytes(size_bytes, str(tmp_path)))
    other = make_bytes(size_bytes, "not " + str(tmp_path))
    key = f"{server.origin}/evidence/{prefix}/objects/{shipment.sha256}"
    assert server.ask("PUT", key, other).is_success
    async with opened(place) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        with pytest.raises(ReceiptInvalid) as caught:
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert "never overwritten" in caught.value.hint
    assert server.ask("GET", key).content == other


async def test_the_proof_reads_the_very_version_that_was_written(server: S3Server, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(PART + 1000, str(tmp_path)))
    store = s3_store(server.origin, "versioned")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    assert "?versionId=" in handle
    newer = server.ask("PUT", f"{server.origin}/versioned/objects/{shipment.sha256}", b"written over it by somebody")
    assert newer.is_success
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert receipt.handle == handle
    assert store.still_proves(receipt)
    await store.close()


async def test_the_label_arrives_with_the_object(server: S3Server, place: Place, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(999, str(tmp_path)), path=b"DCIM/\xff a.MP4")
    async with opened(place) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    headers = server.ask("HEAD", handle).headers
    assert headers["content-type"] == "video/mp4"
    assert headers["x-amz-meta-name"] == "DCIM/%FF%20a.MP4"
    assert headers["x-amz-meta-started-at"] == "2026-01-02T03:04:05"


async def test_a_wrong_secret_is_a_matter_of_the_credential(server: S3Server, shipment: Shipment) -> None:
    store = s3_store(server.origin, "evidence", S3Credential(KEY_ID, "another"))
    with pytest.raises(CredentialRefused):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()


async def test_a_secret_that_is_exchanged_in_its_file_is_taken_up(
    server: S3Server, shipment: Shipment, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY_ID}\nanother\n")
    store = s3_store(server.origin, "evidence", S3Credential.read(file))
    file.write_text(f"{KEY_ID}\n{SECRET}\n")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.prove(shipment, handle, ReceiptKind.READBACK)
    await store.close()


async def test_a_store_as_it_is_configured_takes_and_proves_an_object(
    server: S3Server, prefix: str, shipment: Shipment, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{KEY_ID}\n{SECRET}\n")
    url = f"s3+{server.origin}/evidence/{prefix}"
    settings = StoreSettings("central", url, ReceiptKind.READBACK, credential=tmp_path / "key")
    opened_store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path)
    store = opened_store.store
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    assert store.still_proves(await store.prove(shipment, handle, ReceiptKind.READBACK))
    assert (opened_store.same_machine, store.place) == (True, url)
    await store.close()


async def test_a_bucket_that_is_not_there_calls_the_operator(server: S3Server, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(1000, str(tmp_path)))
    store = s3_store(server.origin, "nobody-made-this")
    with pytest.raises(StoreRefused, match="no such bucket"):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()


async def _failure(sending: Awaitable[str]) -> StoreError | None:
    try:
        await sending
    except StoreError as error:
        return error
    return None


def _upload(hint: str | None) -> str:
    return str(json.loads(hint or "{}")["upload"])


def _uploads(server: S3Server) -> str:
    return server.ask("GET", f"{server.origin}/evidence?uploads=").text
