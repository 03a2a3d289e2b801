"""An S3 store that lies, refuses, loses answers or sends hostile documents: the exact error, and nothing lost."""

import base64
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from agent.core.errors import (
    AgentError,
    ObjectRefused,
    SpoolCorrupt,
    StoreBusy,
    StoreError,
    StoreLied,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.answer import AnswerTooLarge, BytesAltered, CredentialRefused, NotTheStore
from agent.stores.lines import TusLimits
from agent.stores.receipts import ObjectNotHeld
from agent.stores.remote import Remote
from agent.stores.s3 import S3Store
from agent.stores.s3_address import S3Address
from agent.stores.s3_answer import PartsDoubted
from agent.stores.s3_credential import S3Credential
from agent.stores.s3_hint import S3Hint
from agent.stores.s3_part import PART_BYTES, PartSizes
from agent.stores.s3_retention import LockMode, NotLocked, Retention
from agent.stores.s3_signature import S3Signature
from agent.stores.s3_uploads import UploadGone
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment, stop_after
from tests.fakes.bad_answers import reply
from tests.fakes.hostile_s3 import UPLOAD, HostileS3, error, tag, xml

SECRET = "the-secret-of-this-station"
LIMITS = TusLimits(connect_s=2.0, stall_s=2.0, answer_s=1.0, control_s=1.5)
SOON_S = 8.0
SIZE = 5 * MIB + 77
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    "<InitiateMultipartUploadResult><UploadId>&c;</UploadId></InitiateMultipartUploadResult>"
)
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    "<InitiateMultipartUploadResult><UploadId>&f;</UploadId></InitiateMultipartUploadResult>"
)


class Try:
    """One station's view of the store."""

    def __init__(
        self,
        server: HostileS3,
        shipment: Shipment,
        retention: Retention | None = None,
        sizes: PartSizes | None = None,
    ) -> None:
        self.server = server
        self.sizes = sizes or PartSizes(MIB)
        self.shipment = shipment
        self.hints = Hints(Transfer())
        self.now_off = timedelta()
        address = S3Address.of(server.url)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        remote = Remote("central", address.endpoint, "hub7", lambda: datetime.now(UTC) + self.now_off, tls)
        signature = S3Signature(S3Credential("hub7-key", SECRET), "us-east-1")
        self.store = S3Store(remote, address, signature, LIMITS, sizes=self.sizes, retention=retention)

    async def send(self, transfer: Transfer | None = None) -> str:
        return await self.store.send(self.shipment, self.hints.last, transfer or Transfer(), self.hints.keep)

    async def fail(self, kind: type[AgentError]) -> AgentError:
        """Send, expecting exactly this error; neither the secret nor the store's own words are told."""
        began = time.monotonic()
        with pytest.raises(AgentError) as caught:
            await self.send()
        assert type(caught.value) is kind
        assert time.monotonic() - began < SOON_S
        told = repr(caught.value) + caught.value.hint + repr(self.hints.texts) + repr(self.store)
        assert SECRET not in told
        assert "secret words" not in told
        return caught.value

    def stored(self) -> list[bytes]:
        return list(self.server.objects.values())


@pytest.fixture
async def server() -> AsyncIterator[HostileS3]:
    async with HostileS3() as hostile:
        yield hostile


@pytest.fixture
async def attempt(server: HostileS3, tmp_path: Path) -> AsyncIterator[Try]:
    tried = Try(server, make_shipment(tmp_path, make_bytes(SIZE)))
    yield tried
    await tried.store.close()


@pytest.fixture
def small(attempt: Try, tmp_path: Path) -> Try:
    attempt.shipment = make_shipment(tmp_path, make_bytes(1000))
    return attempt


async def stopped(attempt: Try) -> S3Hint:
    """An upload that was stopped in its third part or later."""
    transfer = Transfer()
    stop_after(transfer, 2 * MIB + 1)
    with pytest.raises(UploadStopped):
        await attempt.send(transfer)
    hint = S3Hint.parse(attempt.hints.last)
    assert hint is not None
    return hint


def acknowledged(hint: S3Hint) -> int:
    """How many parts; the second of two that were under way may have arrived before the first."""
    return len([etag for etag in hint.etags if etag is not None])


@pytest.mark.parametrize("what", ["CREATE", "PART", "COMPLETE"])
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(403, "InvalidAccessKeyId"), CredentialRefused, "access key"),
        (error(403, "SignatureDoesNotMatch"), CredentialRefused, "access key"),
        (error(403, "RequestTimeTooSkewed"), StoreRefused, "clock"),
        (error(400, "AuthorizationHeaderMalformed"), StoreRefused, "region"),
        (error(404, "NoSuchBucket"), StoreRefused, "no such bucket"),
        (error(404, "NoSuchUpload"), UploadGone, "no longer knows"),
        (error(503, "SlowDown", "Retry-After: 17"), StoreBusy, "patience"),
        (error(400, "RequestTimeout"), StoreBusy, "patience"),
        (error(409, "ConditionalRequestConflict"), StoreBusy, "patience"),
        (error(400, "EntityTooLarge"), ObjectRefused, "larger"),
        (error(507, "InsufficientCapacity"), StoreRefused, "no room"),
        (error(400, "WhoKnows"), ObjectRefused, "400"),
        (reply(503), StoreBusy, "patience"),
        (reply(500), StoreError, "500"),
        (reply(301, "Location: http://127.0.0.1:1/bucket"), StoreRefused, "never followed"),
        (b"220 welcome to the mail server\r\n\r\n", StoreError, "not proper HTTP"),
    ],
)
async def test_each_refusal_says_what_it_is(
    attempt: Try, what: str, answer: bytes, kind: type[AgentError], words: str
) -> None:
    attempt.server.faults[what] = answer
    caught = await attempt.fail(kind)
    assert words in str(caught)
    assert caught.retry_after_s == (17.0 if b"Retry-After" in answer else None)
    assert attempt.stored() == []


@pytest.mark.parametrize("fault", ["silence", "drip", "reset", "endless 1xx"])
@pytest.mark.parametrize("what", ["CREATE", "PART", "COMPLETE"])
async def test_an_answer_that_never_ends_is_cut(attempt: Try, what: str, fault: str) -> None:
    attempt.server.faults[what] = fault
    await attempt.fail(StoreUnreachable)


@pytest.mark.parametrize("what", ["CREATE", "COMPLETE"])
@pytest.mark.parametrize(
    "body", [BOMB, OUTSIDE, "<html>", "<Other/>", "", "x" * (70 << 10), "<a>" * 9000, "\x00", "<a xmlns:b='c'/>"]
)
async def test_a_document_that_is_none_or_would_unfold_is_no_answer(attempt: Try, what: str, body: str) -> None:
    attempt.server.faults[what] = xml(body)
    await attempt.fail(StoreError)
    assert attempt.stored() == []


@pytest.mark.parametrize(("fault", "kind"), [("bomb", StoreError), ("endless body", AnswerTooLarge)])
async def test_an_answer_without_measure_is_not_taken(attempt: Try, fault: str, kind: type[StoreError]) -> None:
    await stopped(attempt)
    attempt.server.faults["LIST"] = fault
    await attempt.fail(kind)


async def test_an_error_behind_a_status_of_success_is_an_error(attempt: Try) -> None:
    attempt.server.faults["COMPLETE"] = error(200, "SlowDown")
    await attempt.fail(StoreBusy)


@pytest.mark.parametrize("upload", ["", "two words", "x" * 513, "caf\u00e9"])
async def test_an_upload_without_a_usable_name_is_none(attempt: Try, upload: str) -> None:
    document = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
    attempt.server.faults["CREATE"] = xml(document)
    await attempt.fail(StoreError)
    assert attempt.hints.texts == []


@pytest.mark.parametrize("etag", ['ETag: "<Part>"', "X-No: tag", f"ETag: {'a' * 129}"])
async def test_a_part_without_a_usable_tag_was_not_taken(attempt: Try, etag: str) -> None:
    attempt.server.faults["PART"] = reply(200, etag)
    await attempt.fail(StoreLied)


async def test_a_digest_that_is_not_ours_is_noticed_and_no_part_is_sent_more_than_three_times(attempt: Try) -> None:
    attempt.server.faults["PART"] = reply(200, 'ETag: "abc"', "x-amz-checksum-sha256: AAAA")
    await attempt.fail(BytesAltered)
    assert 3 <= attempt.server.asked.count("PART") <= 3 * 2  # the second one leaves before the first is answered


@pytest.mark.parametrize("off_s", [-3600, 3600])
async def test_a_clock_that_differs_is_named_even_where_the_store_may_say_nothing(attempt: Try, off_s: int) -> None:
    theirs = format_datetime(datetime.now(UTC) + timedelta(seconds=off_s), usegmt=True)
    attempt.server.faults["HEAD"] = reply(403, f"Date: {theirs}")
    assert "clock" in str(await attempt.fail(StoreRefused))


async def test_a_refusal_at_the_right_time_is_no_matter_of_the_clock(attempt: Try) -> None:
    attempt.server.faults["HEAD"] = reply(403, f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}")
    await attempt.fail(CredentialRefused)


async def test_a_stopped_upload_sends_only_what_is_missing(attempt: Try) -> None:
    hint = await stopped(attempt)
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.stored() == [make_bytes(SIZE)]
    assert attempt.server.asked.count("PART") == 6 - acknowledged(hint)
    assert "CREATE" not in attempt.server.asked


@pytest.mark.parametrize("lie", ["other bytes", "shorter", "missing", "not listed as acknowledged"])
async def test_a_part_that_does_not_fit_is_sent_again(attempt: Try, lie: str) -> None:
    hint = await stopped(attempt)
    match lie:
        case "other bytes":
            attempt.server.parts[1] = bytes(MIB)
        case "shorter":
            attempt.server.parts[1] = attempt.server.parts[1][:-1]
        case "missing":
            del attempt.server.parts[1]
        case _:
            await attempt.hints.keep(S3Hint(hint.upload, hint.part_bytes, (None, *hint.etags[1:])).text())
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.stored() == [make_bytes(SIZE)]
    assert attempt.server.asked.count("PART") == 6 - acknowledged(hint) + 1


@pytest.mark.parametrize(
    "listed", ["<Size>1048575</Size>", "<Size>1048576</Size><ChecksumSHA256>AAAA</ChecksumSHA256>"]
)
async def test_a_part_with_the_right_tag_but_another_size_or_digest_is_sent_again(attempt: Try, listed: str) -> None:
    hint = await stopped(attempt)
    part = f"<Part><PartNumber>1</PartNumber><ETag>&quot;{hint.etag(1)}&quot;</ETag>{listed}</Part>"
    attempt.server.faults["LIST"] = xml(f"<ListPartsResult>{part}</ListPartsResult>")
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.server.asked.count("PART") == 6


async def test_a_part_whose_digest_the_store_tells_need_not_have_been_acknowledged(attempt: Try) -> None:
    hint = await stopped(attempt)
    digest = base64.b64encode(hashlib.sha256(make_bytes(SIZE)[:MIB]).digest()).decode()
    part = f"<PartNumber>1</PartNumber><ETag>{hint.etag(1)}</ETag><ChecksumSHA256>{digest}</ChecksumSHA256>"
    attempt.server.faults["LIST"] = xml(f"<ListPartsResult><Part>{part}<Size>{MIB}</Size></Part></ListPartsResult>")
    await attempt.hints.keep(S3Hint(hint.upload, hint.part_bytes).text())
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.server.asked.count("PART") == 5
    assert attempt.stored() == [make_bytes(SIZE)]


@pytest.mark.parametrize(
    ("listing", "kind"),
    [
        ("<ListPartsResult><Part><PartNumber>-1</PartNumber></Part></ListPartsResult>", StoreError),
        ("<ListPartsResult><Part><PartNumber>1</PartNumber><Size>1e9</Size></Part></ListPartsResult>", StoreError),
        (
            (
                "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>"
                "</ListPartsResult>"
            ),
            StoreLied,
        ),
    ],
)
async def test_a_list_that_cannot_be_read_or_does_not_end_is_refused(
    attempt: Try, listing: str, kind: type[AgentError]
) -> None:
    await stopped(attempt)
    attempt.server.faults["LIST"] = xml(listing)
    await attempt.fail(kind)


async def test_parts_that_arrive_in_another_order_are_completed_in_their_own(attempt: Try) -> None:
    attempt.server.late_part = 3
    await attempt.send()
    numbers = [kept.etags for kept in map(S3Hint.parse, attempt.hints.texts) if kept is not None]
    assert any(len(etags) > 3 and etags[2] is None for etags in numbers)
    assert attempt.stored() == [make_bytes(SIZE)]
    assert attempt.server.asked.count("PART") == 6


async def test_a_stop_costs_at_most_the_two_parts_under_way(attempt: Try) -> None:
    attempt.server.late_part = 3
    moved = Transfer()
    stop_after(moved, 5 * MIB)
    with pytest.raises(UploadStopped):
        await attempt.send(moved)
    hint = S3Hint.parse(attempt.hints.last)
    assert hint is not None
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.server.asked.count("PART") == 6 - acknowledged(hint) <= 2
    assert attempt.stored() == [make_bytes(SIZE)]


@pytest.mark.parametrize("size_bytes", [1000, SIZE])
@pytest.mark.parametrize("retention", [Retention(LockMode.GOVERNANCE, 31), Retention(legal_hold=True)])
async def test_a_store_that_takes_the_headers_of_a_lock_and_locks_nothing_is_noticed(
    server: HostileS3, tmp_path: Path, size_bytes: int, retention: Retention
) -> None:
    tried = Try(server, make_shipment(tmp_path, make_bytes(size_bytes)), retention)
    assert tried.store.find is not None
    for handle in (await tried.send(), await tried.store.find(tried.shipment)):  # also once it is there
        assert handle is not None
        with pytest.raises(NotLocked):
            await tried.store.prove(tried.shipment, handle, ReceiptKind.READBACK)
    # What does not know of locks takes a request about one for a request about the object.
    assert tried.stored() == [make_bytes(size_bytes)]
    asked = {name for request in server.requests for name in request.headers if name.startswith("x-amz-object-lock")}
    assert asked
    await tried.store.close()


async def test_parts_that_nobody_sent_are_never_completed(attempt: Try) -> None:
    await stopped(attempt)
    attempt.server.parts[99] = b"from elsewhere"
    await attempt.send()
    assert attempt.stored() == [make_bytes(SIZE)]


async def test_a_store_that_disowns_its_parts_loses_the_upload_and_the_next_one_is_new(attempt: Try) -> None:
    attempt.server.faults["COMPLETE"] = error(400, "InvalidPart")
    await attempt.fail(PartsDoubted)
    assert attempt.hints.last == "{}"
    assert attempt.server.asked[-1] == "ABORT"
    attempt.server.faults.clear()
    await attempt.send()
    assert attempt.stored() == [make_bytes(SIZE)]


async def test_a_lost_answer_to_the_completion_is_no_loss(attempt: Try) -> None:
    attempt.server.lose_answer_to = "COMPLETE"
    handle = await attempt.send()
    await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)
    assert attempt.server.asked.count("PART") == 6


async def test_a_lost_answer_to_a_small_object_is_no_loss(small: Try) -> None:
    small.server.lose_answer_to = "PUT"
    handle = await small.send()
    await small.store.prove(small.shipment, handle, ReceiptKind.READBACK)
    assert small.server.asked.count("PUT") == 1


async def test_a_completion_that_was_only_learnt_of_later_is_found(attempt: Try) -> None:
    attempt.server.lose_answer_to = "COMPLETE"
    attempt.server.faults["HEAD"] = reply(500)
    await stopped_at_head(attempt)
    attempt.server.faults.clear()
    attempt.server.asked.clear()
    handle = await attempt.send()
    await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)
    assert attempt.server.asked == ["LIST", "HEAD", "HEAD", "GET"]


async def stopped_at_head(attempt: Try) -> None:
    """The first look, before the upload, is answered; none after it."""
    fault = attempt.server.faults.pop("HEAD")

    def moved(_sent: int) -> None:
        attempt.server.faults["HEAD"] = fault

    with pytest.raises(StoreUnreachable):
        await attempt.send(Transfer(on_progress=moved))


async def test_a_store_that_keeps_other_bytes_than_it_was_sent_proves_nothing(small: Try) -> None:
    handle = await small.send()
    for key, body in small.server.objects.items():
        small.server.objects[key] = bytes([body[0] ^ 1]) + body[1:]
    with pytest.raises(ObjectNotHeld, match="other bytes"):
        await small.store.prove(small.shipment, handle, ReceiptKind.READBACK)


@pytest.mark.parametrize("data", [b"", b"short", bytes(2000)])
async def test_an_object_of_another_size_proves_nothing(small: Try, data: bytes) -> None:
    handle = await small.send()
    small.server.objects = dict.fromkeys(small.server.objects, data)
    with pytest.raises(ObjectNotHeld, match="another size"):
        await small.store.prove(small.shipment, handle, ReceiptKind.READBACK)


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_an_answer_without_a_size_is_no_word_that_the_object_is_still_there(small: Try, kind: str) -> None:
    receipt = await small.store.prove(small.shipment, await small.send(), ReceiptKind.READBACK)
    small.server.faults["HEAD"] = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()
    assert small.store.still_holds is not None
    with pytest.raises(NotTheStore):
        await small.store.still_holds(receipt)


async def test_an_object_that_is_gone_proves_nothing(small: Try) -> None:
    handle = await small.send()
    small.server.objects.clear()
    with pytest.raises(ObjectNotHeld, match="no longer"):
        await small.store.prove(small.shipment, handle, ReceiptKind.READBACK)


@pytest.mark.parametrize("handle", ["", "{}", "http://127.0.0.1:1/bucket/objects/x", "file:///etc/passwd"])
async def test_an_address_that_is_not_the_objects_is_never_asked(small: Try, handle: str) -> None:
    with pytest.raises(ObjectNotHeld):
        await small.store.prove(small.shipment, handle, ReceiptKind.READBACK)
    assert small.server.asked == []


async def test_a_store_that_has_it_and_has_it_not_is_a_liar(small: Try) -> None:
    small.server.faults["PUT"] = error(412, "PreconditionFailed")
    await small.fail(StoreLied)


async def test_a_bad_copy_never_leaves_whole_and_its_upload_is_given_up(attempt: Try) -> None:
    data = bytearray(attempt.shipment.file.read_bytes())
    data[0] ^= 1
    attempt.shipment.file.write_bytes(data)
    await attempt.fail(SpoolCorrupt)
    assert 4 <= attempt.server.asked.count("PART") <= 5  # the fifth may have been on its way; the sixth makes it whole
    assert "COMPLETE" not in attempt.server.asked
    assert (attempt.server.asked[-1], attempt.hints.last) == ("ABORT", "{}")


async def test_other_parts_than_those_of_before_mean_a_new_upload(attempt: Try) -> None:
    await stopped(attempt)
    await attempt.hints.keep(S3Hint(UPLOAD, 2 * MIB, (tag(b"x"),)).text())
    attempt.server.asked.clear()
    await attempt.send()
    assert attempt.server.asked[:3] == ["ABORT", "HEAD", "CREATE"]
    assert attempt.stored() == [make_bytes(SIZE)]


async def test_each_body_carries_its_digest_twice_and_asks_not_to_overwrite(attempt: Try) -> None:
    await attempt.send()
    for asked, what in zip(attempt.server.requests, attempt.server.asked, strict=True):
        assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=hub7-key/")
        if what == "PART":
            assert len(asked.headers["x-amz-content-sha256"]) == 64
            assert asked.headers["x-amz-checksum-sha256"]
        if what == "COMPLETE":
            assert asked.headers["if-none-match"] == "*"


async def test_a_small_object_is_not_written_over_another_and_carries_its_digest_twice(small: Try) -> None:
    await small.send()
    (asked,) = small.server.requests
    digest = hashlib.sha256(asked.body)
    assert (asked.method, asked.headers["if-none-match"]) == ("PUT", "*")
    assert asked.headers["x-amz-content-sha256"] == digest.hexdigest() == small.shipment.sha256
    assert asked.headers["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize(("size_bytes", "refusals"), [(20 * MIB, 1), (40 * MIB, 2)])
async def test_bodies_that_are_too_large_for_a_proxy_become_smaller_at_the_next_try(
    server: HostileS3, tmp_path: Path, size_bytes: int, refusals: int
) -> None:
    sizes = PartSizes()
    sizes.arrived(1 << 30, 1.0)  # a fast line: parts of 32 MiB
    attempt = Try(server, make_shipment(tmp_path, make_bytes(size_bytes)), sizes=sizes)
    server.most_bytes = 10 * MIB
    for _ in range(refusals):
        await attempt.fail(ObjectRefused)
    await attempt.send()
    assert attempt.stored() == [attempt.shipment.file.read_bytes()]
    assert max(len(part) for part in server.parts.values()) == PART_BYTES
    sizes.arrived(1 << 30, 0.1)
    assert sizes.of(size_bytes) == PART_BYTES
    await attempt.store.close()


async def test_what_the_line_carries_is_measured_by_what_arrives(attempt: Try) -> None:
    def rate_bytes_s() -> float:
        return attempt.sizes.rate_bytes_s or 0.0

    assert rate_bytes_s() == 0
    await attempt.send()
    assert rate_bytes_s() > SIZE / SOON_S
