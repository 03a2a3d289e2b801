"""The short S3 requests about one object: create, list, complete and abort its upload, and look whether it is there.

Source: Amazon S3 API, multipart uploads and conditional writes.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import md5, sha256
from http import HTTPStatus

from agent.core.announcement import Announcement
from agent.core.errors import StoreError, StoreLied, StoreRefused
from agent.core.object import Receipt
from agent.ports import Shipment
from agent.stores.answer import Answer, AnswerTooLarge, NotTheStore
from agent.stores.control import Control
from agent.stores.remote import Remote
from agent.stores.s3_address import S3Address, with_query
from agent.stores.s3_answer import PartsDoubted, children, document, error_code, root_of, s3_refusal, text_of
from agent.stores.s3_hint import MAX_PARTS, as_etag, as_upload
from agent.stores.s3_metadata import s3_metadata
from agent.stores.s3_retention import BUCKET_HINT, NotLocked, Retention
from agent.stores.s3_signature import NOTHING, S3Signature

PAGE_PARTS = 100
"""Parts in one answer, so that it stays below what is taken of one."""
NEW_ONLY = {"If-None-Match": "*"}
"""Nothing is ever overwritten."""
_NOT_THERE = frozenset({"NoSuchKey", "NoSuchVersion"})
_WRONG_PARTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"})

_NO_LOCK = frozenset({"InvalidRequest", "ObjectLockConfigurationNotFoundError"})
"""What stores say to a lock in a bucket without. Source: Amazon S3, MinIO (documents); SeaweedFS (tried)."""

_LOCKS = frozenset({"Retention", "LegalHold"})
_UNLOCKED = frozenset(
    {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLegalHold"}
)
"""What stores say of the lock of an object that has none. Source: Amazon S3; SeaweedFS, Ceph (tried)."""


class UploadGone(StoreError):
    """The store does not know the upload, or no longer."""


class ObjectThere(StoreError):
    """Something is stored under the object's key already, so that nothing was written."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part as the store knows it; `checksum` is the base64 of its SHA-256 where the store tells it."""

    etag: str | None
    size_bytes: int
    checksum: str | None


@dataclass(frozen=True, slots=True)
class SentPart:
    """One part as it was sent and acknowledged; `checksum` is the base64 of its SHA-256."""

    number: int
    etag: str
    checksum: str


class S3Uploads:
    """Uploads at one store, seen from the control connection. Methods raise StoreError kinds."""

    def __init__(
        self, remote: Remote, control: Control, address: S3Address, signature: S3Signature, retention: Retention
    ) -> None:
        """Ask through `control`; `retention` is what is asked of each new object."""
        self._name = remote.name
        self._control = control
        self._address = address
        self._signature = signature
        self._retention = retention
        self._clock = remote.clock

    def doing(self, what: str, shipment: Shipment) -> str:
        """How messages name a request about an object."""
        return f"store {self._name}: {what} {shipment.sha256}"

    async def create(self, shipment: Shipment) -> str:
        """Create an upload and return its id."""
        doing = self.doing("creating the upload of", shipment)
        url = with_query(self._address.key_url(shipment.sha256), uploads="")
        headers = {**self.of_object(shipment), "x-amz-checksum-algorithm": "SHA256"}
        answer = await self._control.ask("POST", url, doing, self._signature.headers("POST", url, headers))
        if answer.status != HTTPStatus.OK:
            raise self.refused(answer, doing)
        upload = as_upload(text_of(document(answer.body, "InitiateMultipartUploadResult", doing), "UploadId"))
        if upload is None:
            raise StoreError(f"{doing}: the store did not say which upload it created")
        return upload

    def of_object(self, shipment: Shipment) -> dict[str, str]:
        """The headers of a new object: its label, and what its bucket is to do with it."""
        return {**s3_metadata(shipment), **self._retention.headers(shipment.label, self._clock())}

    async def ensure_retention(self, shipment: Shipment, handle: str) -> None:
        """Look whether an object is locked, if it should be, and ask once more where it is not. Raises NotLocked.

        To be called for objects whose bytes are proved: nothing else may be locked.
        """
        if not self._retention.locks:
            return
        try:
            await self._check_retention(shipment, handle)
        except NotLocked:
            await self._lock(shipment, handle)
            await self._check_retention(shipment, handle)

    async def _check_retention(self, shipment: Shipment, handle: str) -> None:
        answer = await self.look(shipment, handle)
        doing = self.doing("looking for the lock of", shipment)
        self._retention.check({} if answer is None else answer.headers, doing)

    async def _lock(self, shipment: Shipment, handle: str) -> None:
        """Lock an object that is there. What the store says to it does not matter: it is looked at afterwards."""
        doing = self.doing("locking", shipment)
        for what, body in self._retention.documents(self._clock()).items():
            url = with_query(handle, **{what: ""})
            if not await self._knows_of_locks(url, doing):
                continue
            headers = {"Content-MD5": b64encode(md5(body, usedforsecurity=False).digest()).decode()}
            signed = self._signature.headers("PUT", url, headers, sha256(body).hexdigest())
            await self._control.ask("PUT", url, doing, signed, content=body)

    async def _knows_of_locks(self, url: str, doing: str) -> bool:
        """Tell whether a store answers about locks at all: another one would take a lock for the object itself."""
        headers = self._signature.headers("GET", url, {"Range": "bytes=0-0"})
        try:
            answer = await self._control.ask_again("GET", url, doing, headers, elsewhere=True)
        except AnswerTooLarge:
            return False
        if answer.status == HTTPStatus.OK:
            return root_of(answer.body) in _LOCKS
        return error_code(answer.body) in _UNLOCKED

    def object_url(self, shipment: Shipment) -> str:
        """Where a small object is sent."""
        return self._address.key_url(shipment.sha256)

    def part_url(self, shipment: Shipment, upload: str, number: int) -> str:
        """Where a part, counted from 1, is sent."""
        return with_query(self._address.key_url(shipment.sha256), partNumber=str(number), uploadId=upload)

    async def listed(self, shipment: Shipment, upload: str) -> dict[int, StoredPart]:
        """Ask which parts the store has, by number. Raises UploadGone."""
        doing = self.doing("asking for the parts of", shipment)
        found: dict[int, StoredPart] = {}
        marker = 0
        for _ in range(2 * MAX_PARTS // PAGE_PARTS):
            query = {"max-parts": str(PAGE_PARTS), "part-number-marker": str(marker), "uploadId": upload}
            url = with_query(self._address.key_url(shipment.sha256), **query)
            answer = await self._control.ask_again("GET", url, doing, self._signature.headers("GET", url))
            if answer.status != HTTPStatus.OK:
                raise self.refused(answer, doing)
            page = document(answer.body, "ListPartsResult", doing)
            for part in children(page, "Part"):
                found[_number(text_of(part, "PartNumber"), doing)] = StoredPart(
                    as_etag(text_of(part, "ETag")),
                    _number(text_of(part, "Size"), doing),
                    text_of(part, "ChecksumSHA256") or None,
                )
            if text_of(page, "IsTruncated").lower() != "true":
                return found
            last, marker = marker, _number(text_of(page, "NextPartNumberMarker"), doing)
            if marker <= last:
                break
        raise StoreLied(f"{doing}: the store's list of parts does not end")

    async def complete(self, shipment: Shipment, upload: str, parts: Iterable[SentPart]) -> str:
        """Make the parts one object and return its handle. Raises UploadGone, ObjectThere, PartsDoubted."""
        doing = self.doing("completing the upload of", shipment)
        url = with_query(self._address.key_url(shipment.sha256), uploadId=upload)
        body = _completion(parts)
        headers = self._signature.headers("POST", url, NEW_ONLY, sha256(body).hexdigest())
        answer = await self._control.ask("POST", url, doing, headers, content=body)
        code = error_code(answer.body)
        if code in _WRONG_PARTS:
            raise PartsDoubted(f"{doing}: the store has other parts than it acknowledged ({answer.status})")
        # An error may come behind a status of success, which was sent while the store was still at work.
        if answer.status != HTTPStatus.OK or code:
            raise self.refused(answer, doing)
        document(answer.body, "CompleteMultipartUploadResult", doing)
        return self.handle(shipment, answer)

    async def abort(self, shipment: Shipment, upload: str) -> None:
        """Give up an upload; the store drops its parts. One that it does not know is fine."""
        doing = self.doing("giving up the upload of", shipment)
        url = with_query(self._address.key_url(shipment.sha256), uploadId=upload)
        answer = await self._control.ask("DELETE", url, doing, self._signature.headers("DELETE", url))
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND):
            raise self.refused(answer, doing)

    async def look(
        self, shipment: Shipment, handle: str | None = None, more: Mapping[str, str] | None = None
    ) -> Answer | None:
        """Ask what is stored under the key, or under a handle; None when nothing is. `more` are further headers.

        The answer comes from where the store is said to be, or StoreLied is raised.
        """
        doing = self.doing("looking for", shipment)
        url = handle or self._address.key_url(shipment.sha256)
        signed = self._signature.headers("HEAD", url, more)
        answer = await self._control.ask_again("HEAD", url, doing, signed, elsewhere=True)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise self.refused(answer, doing)
        return answer

    async def find(self, shipment: Shipment) -> str | None:
        """The handle of what is stored under the object's key; whether it is the object, only a proof tells."""
        answer = await self.look(shipment)
        return None if answer is None else self.handle(shipment, answer)

    async def still_there(self, receipt: Receipt) -> bool:
        """Ask whether what a receipt is about is still there, with its size; the store itself must say that it is not.

        A 404 without a reason may also come from a proxy, or be about the bucket: then the reason is asked for.
        """
        doing, url = f"store {self._name}: asking whether it still has {receipt.sha256}", receipt.handle
        answer = await self._control.ask_again("HEAD", url, doing, self._signature.headers("HEAD", url), elsewhere=True)
        if answer.status == HTTPStatus.NOT_FOUND:
            headers = self._signature.headers("GET", url, {"Range": "bytes=0-0"})
            answer = await self._control.ask_again("GET", url, doing, headers, elsewhere=True)
            if error_code(answer.body) in _NOT_THERE:
                return False
        elif answer.status == HTTPStatus.OK:
            held_bytes = answer.number("content-length")
            if answer.is_web_page or held_bytes is None:
                raise NotTheStore(f"{doing}: something answered that is no S3 store")
            return held_bytes == receipt.size_bytes
        raise self.refused(answer, doing)

    async def announce(self, announcement: Announcement) -> None:
        """Put an announcement beside the objects; one that is there already is the same."""
        body = announcement.text()
        digest = sha256(body).hexdigest()
        doing = f"store {self._name}: announcing {len(announcement.objects)} objects"
        url = f"{self._address.endpoint.base}announced/{announcement.station}/{digest}.json"
        headers = {"Content-Type": "application/json", **NEW_ONLY}
        signed = self._signature.headers("PUT", url, headers, digest)
        answer = await self._control.ask("PUT", url, doing, signed, content=body)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.PRECONDITION_FAILED):
            raise self.refused(answer, doing)

    def handle(self, shipment: Shipment, answer: Answer) -> str:
        """The handle of the object that an answer is about."""
        return self._address.handle(shipment.sha256, answer.headers.get("x-amz-version-id"))

    def signed(self, method: str, url: str, headers: Mapping[str, str], body_sha256: str = NOTHING) -> dict[str, str]:
        """Headers for a request that goes through another connection."""
        return self._signature.headers(method, url, headers, body_sha256)

    def refused(self, answer: Answer, doing: str) -> StoreError:
        """What an answer that is no success means."""
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            return ObjectThere(f"{doing}: something is stored under its key already")
        if error_code(answer.body) == "NoSuchUpload":
            return UploadGone(f"{doing}: the store no longer knows the upload")
        if self._retention.locks and error_code(answer.body) in _NO_LOCK:
            return StoreRefused(f"{doing}: the store does not lock objects in this bucket", hint=BUCKET_HINT)
        status = answer.status if answer.status >= HTTPStatus.MULTIPLE_CHOICES else HTTPStatus.INTERNAL_SERVER_ERROR
        return s3_refusal(Answer(status, answer.headers, answer.body), doing, self._clock())


def _completion(parts: Iterable[SentPart]) -> bytes:
    # Tags and checksums hold no character that would have to be escaped: see `as_etag`.
    lines = (
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag>"
        f"<ChecksumSHA256>{part.checksum}</ChecksumSHA256></Part>"
        for part in parts
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{"".join(lines)}</CompleteMultipartUpload>'.encode()


def _number(text: str, doing: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(1 << 63)):
        raise StoreError(f"{doing}: the store's list of parts cannot be read")
    return int(text)
