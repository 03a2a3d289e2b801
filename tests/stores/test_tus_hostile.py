"""A store that lies, stalls, floods and misleads: each time the exact error, nothing proved, nothing leaked."""

import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import (
    AgentError,
    ObjectRefused,
    ReceiptInvalid,
    SpoolCorrupt,
    StoreBusy,
    StoreError,
    StoreLied,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from agent.stores.uploads import UploadSpoiled
from tests.contracts.store_contract import MIB, Hints, make_bytes, make_shipment, stopped_halfway
from tests.contracts.store_contract import Place as Other
from tests.fakes.hostile_store import HostileStore

TOKEN = "hub7.secret-token-of-this-station"
LIMITS = TusLimits(connect_s=2.0, stall_s=2.0, answer_s=1.0, control_s=1.5, patch_bytes=MIB)
SOON_S = 8.0


@pytest.fixture
async def hostile() -> AsyncIterator[HostileStore]:
    async with HostileStore() as server:
        yield server


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 5))


def adapter(server: HostileStore, *, signed: bool = False) -> TusStore:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    endpoint = Endpoint.of(server.url)
    remote = Remote("central", endpoint, "hub7", lambda: datetime.now(UTC), tls, Credential(TOKEN))
    return TusStore(remote, server.keys if signed else None, LIMITS)


class Try:
    """One station's view: a store adapter and the hint that it keeps."""

    def __init__(self, server: HostileStore, shipment: Shipment, *, signed: bool = False) -> None:
        self.store = adapter(server, signed=signed)
        self.shipment = shipment
        self.hints = Hints(Transfer())

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


@pytest.fixture
async def attempt(hostile: HostileStore, shipment: Shipment) -> AsyncIterator[Try]:
    tried = Try(hostile, shipment)
    yield tried
    await tried.store.close()


@pytest.fixture
async def signed(hostile: HostileStore, shipment: Shipment) -> AsyncIterator[Try]:
    tried = Try(hostile, shipment, signed=True)
    yield tried
    await tried.store.close()


def half(server: HostileStore) -> Other:
    def open_() -> TusStore:
        return adapter(server)

    return Other(open=open_, open_unreachable=open_, held=list, require=ReceiptKind.READBACK)


@pytest.mark.parametrize("fault", ["offset 3000000", "offset 99999999", "offset -1", "offset many", "offset 0x10"])
async def test_an_impossible_offset_gives_the_upload_up_and_the_next_try_sends_everything_anew(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = fault
    await attempt.fail(UploadSpoiled)
    del hostile.faults["HEAD"]
    handle = await attempt.send()
    assert handle.endswith("/u1")
    assert hostile.uploads["u1"].data == attempt.shipment.file.read_bytes()


async def test_another_length_gives_the_upload_up(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = "length 17"
    await attempt.fail(UploadSpoiled)
    assert json.loads(attempt.hints.last or "") == {}


async def test_an_offset_behind_ours_is_followed(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = "behind"
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_a_store_that_keeps_less_than_it_accepts_is_sent_the_rest(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "keep less"
    await attempt.fail(StoreLied)
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_a_store_that_accepts_and_keeps_nothing_is_caught(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "keep nothing"
    await attempt.fail(StoreLied)
    assert hostile.methods().count("PATCH") == 1


async def test_a_store_that_claims_more_than_it_was_sent_is_caught(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "claim more"
    await attempt.fail(UploadSpoiled)


@pytest.mark.parametrize("fault", ["lie less", "alter"])
async def test_bytes_that_were_lost_or_altered_are_not_proved_and_are_sent_anew(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    data = attempt.shipment.file.read_bytes()[:MIB]
    small = make_shipment(attempt.shipment.file.parent, data)
    attempt.shipment = small
    hostile.faults["PATCH"] = fault
    handle = await attempt.send()
    with pytest.raises(ReceiptInvalid):
        await attempt.store.prove(small, handle, ReceiptKind.READBACK)
    hostile.faults.clear()
    again = await attempt.send()
    assert again != handle
    assert (await attempt.store.prove(small, again, ReceiptKind.READBACK)).sha256 == small.sha256


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH"])
async def test_a_redirect_is_never_followed(hostile: HostileStore, attempt: Try, method: str) -> None:
    if method == "HEAD":
        attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults[method] = f"status 307 Location={hostile.elsewhere}"
    error = await attempt.fail(StoreRefused)
    assert "127.0.0.1" in str(error)
    assert hostile.strangers == 0


@pytest.mark.parametrize(
    "place", ["elsewhere", "//127.0.0.1:1/files/u0", "https://127.0.0.1/files/u0", "/files/", "\x7f"]
)
async def test_an_upload_address_that_is_not_the_stores_own_is_a_lie(
    hostile: HostileStore, attempt: Try, place: str
) -> None:
    hostile.faults["POST"] = "location " + (hostile.elsewhere if place == "elsewhere" else place)
    await attempt.fail(StoreLied)
    assert hostile.strangers == 0
    assert hostile.methods() == ["POST"]


@pytest.mark.parametrize("place", ["u0", "/files/u0", "//HOST/files/u0", "http://HOST/files/u0"])
async def test_every_way_of_naming_an_upload_here_is_understood(
    hostile: HostileStore, attempt: Try, place: str
) -> None:
    hostile.faults["POST"] = "location " + place.replace("HOST", hostile.url.split("/")[2])
    assert await attempt.send() == hostile.url + "u0"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("silence", StoreUnreachable),
        ("drip", StoreUnreachable),
        ("endless 1xx", StoreUnreachable),
        ("reset", StoreUnreachable),
        ("endless headers", StoreError),
        ("huge header", StoreError),
        ("not http", StoreError),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_answer_that_never_ends_is_cut(
    hostile: HostileStore, attempt: Try, method: str, fault: str, kind: type[AgentError]
) -> None:
    hostile.faults[method] = fault
    await attempt.fail(kind)


@pytest.mark.parametrize("fault", ["silence after body", "drip after body"])
async def test_a_lost_last_answer_is_no_loss_when_the_store_has_all(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(1000))
    hostile.faults["PATCH"] = fault
    handle = await attempt.send()
    assert hostile.methods() == ["POST", "PATCH", "HEAD"]
    assert (await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)).size_bytes == 1000


async def test_a_line_that_is_reset_after_the_last_byte_is_no_loss(hostile: HostileStore, attempt: Try) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(1000))
    hostile.faults["PATCH"] = "reset after body"
    await attempt.send()
    assert hostile.stored() == [make_bytes(1000)]


async def test_a_reset_amid_the_body_is_resumed_where_the_store_stands(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "reset mid-body"
    await attempt.fail(StoreUnreachable)
    kept = len(hostile.uploads["u0"].data)
    assert 0 < kept <= json.loads(attempt.hints.last or "")["sent"] <= MIB
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]
    assert hostile.methods().count("POST") == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("status 401", StoreRefused, "credential"),
        ("status 403", StoreRefused, "credential"),
        ("status 400", ObjectRefused, "400"),
        ("status 412", StoreRefused, "412"),
        ("status 413", ObjectRefused, "larger"),
        ("status 423", StoreBusy, "locked"),
        ("status 429 Retry-After=17", StoreBusy, "patience"),
        ("status 503", StoreBusy, "patience"),
        ("status 500", StoreError, "500"),
        ("status 507", StoreRefused, "store disk full"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_each_refusal_says_what_it_is(
    hostile: HostileStore, attempt: Try, method: str, fault: str, kind: type[AgentError], words: str
) -> None:
    hostile.faults[method] = fault
    assert words in str(await attempt.fail(kind))


async def test_a_creation_that_was_not_confirmed_as_one_is_no_creation(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["POST"] = "status 204"
    assert "204" in str(await attempt.fail(StoreError))


@pytest.mark.parametrize("fault", ["status 423", "status 500", "status 503", "status 429", "status 401"])
async def test_a_refusal_to_say_where_an_upload_stands_never_begins_a_new_one(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = fault
    with pytest.raises(StoreError):
        await attempt.send()
    hostile.faults.clear()
    await attempt.send()
    assert hostile.methods().count("POST") == 1
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize("code", [403, 404, 410])
async def test_an_upload_that_is_gone_is_created_anew(hostile: HostileStore, attempt: Try, code: int) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = f"status {code}"
    assert (await attempt.send()).endswith("/u1")


async def test_a_conflict_asks_the_store_again_and_goes_on(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    real = len(hostile.uploads["u0"].data)
    hostile.faults["HEAD"] = f"offset {real - 5}"  # a wrong offset at first, then the 409 makes us ask again
    hostile.faults["PATCH"] = "status 409"
    await attempt.fail(StoreLied)
    assert hostile.methods().count("PATCH") > 2
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_bytes_altered_on_the_line_are_sent_anew(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "status 460"
    await attempt.fail(UploadSpoiled)
    hostile.faults.clear()
    assert hostile.uploads == {}
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_an_absurd_wait_is_passed_on_as_it_is(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["POST"] = "status 429 Retry-After=315360000"
    assert (await attempt.fail(StoreBusy)).retry_after_s == 315360000.0


async def test_something_that_is_no_tus_server_does_not_cost_the_upload(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    before = attempt.hints.last
    hostile.faults["HEAD"] = "not http"
    await attempt.fail(StoreError)
    assert attempt.hints.last == before


async def test_a_corrupt_copy_ends_the_upload_at_the_store(hostile: HostileStore, attempt: Try) -> None:
    data = bytearray(attempt.shipment.file.read_bytes())
    data[5] ^= 1
    attempt.shipment.file.write_bytes(data)
    await attempt.fail(SpoolCorrupt)
    assert hostile.methods()[-2:] == ["HEAD", "DELETE"]
    assert hostile.uploads == {}


async def test_what_the_store_calls_finished_is_never_deleted(hostile: HostileStore, attempt: Try) -> None:
    handle = await attempt.send()
    assert attempt.store.abandon is not None
    await attempt.store.abandon(handle)
    await attempt.store.abandon(attempt.hints.last or "")
    assert "DELETE" not in hostile.methods()


async def test_a_true_receipt_proves(hostile: HostileStore, signed: Try) -> None:
    receipt = await signed.store.prove(signed.shipment, await signed.send(), ReceiptKind.SIGNED)
    assert receipt.kind is ReceiptKind.SIGNED
    assert {"statement", "signature", "key"} == set(json.loads(receipt.proof))
    assert hostile.asked[-1].path.startswith("/receipts/u0?nonce=")


@pytest.mark.parametrize(
    "fault",
    [
        "other clip",
        "other size",
        "other station",
        "other upload",
        "other nonce",
        "other key",
        "forged",
        "edited",
        "future",
        "past",
        "no json",
        "status 404",
        "status 409",
        "status 410",
    ],
)
async def test_a_receipt_that_is_not_exactly_right_proves_nothing(
    hostile: HostileStore, signed: Try, fault: str
) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(ReceiptInvalid) as caught:
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    if fault in ("future", "past"):
        assert "clock" in str(caught.value)


async def test_a_replayed_receipt_proves_nothing(hostile: HostileStore, signed: Try) -> None:
    handle = await signed.send()
    await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    hostile.faults["RECEIPT"] = "replayed"
    with pytest.raises(ReceiptInvalid, match="nonce"):
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)


@pytest.mark.parametrize("fault", ["forged", "other key", "other clip"])
async def test_a_false_receipt_is_not_made_good_by_reading_back(hostile: HostileStore, signed: Try, fault: str) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(ReceiptInvalid):
        await signed.store.prove(signed.shipment, handle, ReceiptKind.READBACK)


async def test_a_store_without_receipts_is_read_back_if_that_is_enough(hostile: HostileStore, signed: Try) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = "status 404"
    receipt = await signed.store.prove(signed.shipment, handle, ReceiptKind.READBACK)
    assert receipt.kind is ReceiptKind.READBACK


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("bomb", StoreError),
        ("endless body", StoreError),
        ("endless headers", StoreError),
        ("drip", StoreUnreachable),
        ("status 302 Location=http://evil.example/", StoreRefused),
        ("status 401", StoreRefused),
        ("status 500", StoreError),
    ],
)
async def test_no_answer_to_the_question_for_a_receipt_does_harm(
    hostile: HostileStore, signed: Try, fault: str, kind: type[AgentError]
) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(AgentError) as caught:
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("bomb", StoreError),
        ("endless body", ReceiptInvalid),
        ("reset", StoreUnreachable),
        ("silence", StoreUnreachable),
        ("status 404", ObjectRefused),
        ("status 405", StoreRefused),
        ("status 302 Location=http://evil.example/", StoreRefused),
    ],
)
async def test_a_read_back_that_goes_wrong_proves_nothing(
    hostile: HostileStore, attempt: Try, fault: str, kind: type[AgentError]
) -> None:
    handle = await attempt.send()
    hostile.faults["GET"] = fault
    with pytest.raises(kind) as caught:
        await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)
    assert isinstance(caught.value, ObjectRefused) is (kind is ObjectRefused)


async def test_a_readback_is_never_given_where_a_signature_is_demanded(hostile: HostileStore, attempt: Try) -> None:
    handle = await attempt.send()
    with pytest.raises(ReceiptInvalid):
        await attempt.store.prove(attempt.shipment, handle, ReceiptKind.SIGNED)
    assert "GET" not in hostile.methods()


async def test_a_handle_of_another_store_is_refused(hostile: HostileStore, attempt: Try) -> None:
    with pytest.raises(StoreLied):
        await attempt.store.prove(attempt.shipment, hostile.elsewhere, ReceiptKind.READBACK)
    assert hostile.strangers == 0


async def test_nothing_but_the_credential_header_carries_the_token(hostile: HostileStore, attempt: Try) -> None:
    await attempt.send()
    assert {asked.headers.pop("authorization") for asked in hostile.asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in repr([(asked.method, asked.path, asked.headers) for asked in hostile.asked])
