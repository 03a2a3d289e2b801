"""The probes of an S3 store, under `<prefix>/probe/<random>`.

Each of the two digests that the agent sends is made wrong by itself, for a whole object and for a part: servers differ
in which of them they look at. Everything that was created is removed by its version; unfinished uploads are aborted.
"""

import contextlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus

from agent.core.commissioning import Verdict, all_hold
from agent.core.errors import StoreError, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import Shipment
from agent.stores.answer import Answer
from agent.stores.control import Control
from agent.stores.probes.findings import Findings, of_bytes, of_wrong, refused, taken
from agent.stores.probes.s3_bucket import ask_about_bucket
from agent.stores.probes.scratch import WORD, Scratch, scratch
from agent.stores.remote import Remote
from agent.stores.s3_address import S3Address
from agent.stores.s3_answer import error_code
from agent.stores.s3_checksum import ASK, TOLD, composite, whole
from agent.stores.s3_hint import as_etag
from agent.stores.s3_metadata import s3_metadata
from agent.stores.s3_retention import Retention
from agent.stores.s3_signature import S3Signature
from agent.stores.s3_uploads import NEW_ONLY, ObjectThere, S3Uploads, SentPart

PART_BYTES = 5 << 20
"""The least that the S3 API allows for a part that is not the last."""
_WRONG_PART = 3
_CODE = re.compile(r"[A-Za-z0-9]{1,48}")
_PROVES_CHECKSUMS = ("write", "checksum_put", "checksum_part", "checksum_told", "checksum_composite")


class S3Probe:
    """One run. `run` may be called once; `clean` belongs after it, whatever happened."""

    def __init__(self, remote: Remote, control: Control, address: S3Address, signature: S3Signature) -> None:
        """Nothing is asked yet."""
        endpoint = address.endpoint
        self._bucket = f"{endpoint.origin}/{endpoint.path.strip('/').partition('/')[0]}"
        place = S3Address(replace(endpoint, path=f"{endpoint.path}{WORD}/{secrets.token_hex(8)}/"))
        self._scratch = place.endpoint.base
        self._remote, self._control, self._signature = remote, control, signature
        self._uploads = S3Uploads(remote, control, place, signature, Retention())
        self._doing = f"store {remote.name}: probing"
        self._made: list[str] = []
        self._open: list[tuple[Shipment, str]] = []
        self.findings = Findings()

    async def run(self) -> frozenset[ReceiptKind]:
        """Ask everything; the kinds of receipts that the store can give. Raises StoreError kinds."""
        first = await self._write()
        await self._read_back(first)
        await self._write_again(first)
        await self._wrong_put("checksum_put", "x-amz-checksum-sha256")
        await self._wrong_put("signed_digest_put", "x-amz-content-sha256")
        await self._told(first)
        await self._try_parts()
        await ask_about_bucket(self.findings, self._bucket, self._ask)
        kinds = set()
        if all_hold(self.findings.probes, ("write", "read_back")):
            kinds.add(ReceiptKind.READBACK)
        if all_hold(self.findings.probes, _PROVES_CHECKSUMS):
            kinds.add(ReceiptKind.CHECKSUM)
        return frozenset(kinds)

    async def clean(self) -> None:
        """Remove what was created, as far as the store lets it."""
        for shipment, upload in self._open:
            try:
                await self._uploads.abort(shipment, upload)
            except StoreError:
                self.findings.left.append(f"{self._named(self._uploads.object_url(shipment))} (unfinished upload)")
        for url in self._made:
            if not await self._removed(url):
                self.findings.left.append(self._named(url))

    async def _removed(self, url: str) -> bool:
        if not url.startswith(self._scratch):
            return False  # never anything that was not created here
        with contextlib.suppress(StoreError):
            await self._ask("DELETE", url)
            return (await self._ask("HEAD", url)).status == HTTPStatus.NOT_FOUND
        return False

    def _named(self, url: str) -> str:
        return url.removeprefix(f"{self._remote.endpoint.origin}/")

    async def _write(self) -> Scratch:
        made = scratch(self._remote.station)
        answer = await self._put(made, made.data, made.data)
        if not taken(answer):
            raise self._uploads.refused(answer, self._doing)
        self._made.append(self._uploads.handle(made.shipment, answer))
        self.findings.add("write", "an object with right digests", said(answer), Verdict.HOLDS)
        return made

    async def _read_back(self, first: Scratch) -> None:
        answer = await self._ask("GET", self._made[0], elsewhere=True)
        of_bytes(self.findings, answer, first.data, said(answer))

    async def _write_again(self, first: Scratch) -> None:
        other = Scratch(secrets.token_bytes(len(first.data)), first.shipment)
        answer = await self._put(other, other.data, other.data)
        if taken(answer):
            self._made.append(self._uploads.handle(first.shipment, answer))
        verdict = Verdict.HOLDS if answer.status == HTTPStatus.PRECONDITION_FAILED else of_wrong(answer)
        self.findings.add("no_overwrite", "other bytes for the same name, If-None-Match: *", said(answer), verdict)

    async def _wrong_put(self, name: str, header: str) -> None:
        made, wrong = scratch(self._remote.station), secrets.token_bytes(16)
        by_checksum = header == TOLD
        try:
            answer = await self._put(made, made.data if by_checksum else wrong, wrong if by_checksum else None)
            held = await self._uploads.look(made.shipment)
        except StoreUnreachable as error:
            self._made.append(self._uploads.object_url(made.shipment))  # perhaps
            self._broken(name, f"an object with a wrong {header}", error)
            return
        if held is not None:
            self._made.append(self._uploads.handle(made.shipment, held))
        stored_after_all = held is not None and refused(answer)
        told = said(answer) + (", and stored it all the same" if stored_after_all else "")
        verdict = Verdict.IGNORED if stored_after_all else of_wrong(answer)
        self.findings.add(name, f"an object with a wrong {header}", told, verdict)

    async def _told(self, first: Scratch) -> None:
        answer = await self._ask("HEAD", self._made[0], headers=ASK)
        self._compare("checksum_told", "a question for the object's checksum", answer, whole(_digest(first.data)))

    async def _try_parts(self) -> None:
        try:
            await self._in_parts()
        except StoreUnreachable:
            raise
        except StoreError as error:  # a store without parts cannot take most clips
            self._broken("in_parts", "an object in parts with right digests", error)

    async def _in_parts(self) -> None:
        """An object of two parts, and beside them parts with one wrong digest each, which are not made part of it."""
        made = scratch(self._remote.station, PART_BYTES + 1000)
        halves = made.data[:PART_BYTES], made.data[PART_BYTES:]
        upload = await self._uploads.create(made.shipment)
        self._open.append((made.shipment, upload))
        await self._wrong_part("checksum_part", TOLD, made.shipment, upload)
        await self._wrong_part("signed_digest_part", "x-amz-content-sha256", made.shipment, upload)
        sent = []
        for number, data in enumerate(halves, 1):
            answer = await self._part(made.shipment, upload, number, data, data, data)
            etag = as_etag(answer.headers.get("etag", ""))
            if not taken(answer) or etag is None:
                raise self._uploads.refused(answer, self._doing)
            sent.append(SentPart(number, etag, whole(_digest(data))))
        handle = await self._uploads.complete(made.shipment, upload, sent)
        self._open.clear()
        self._made.append(handle)
        answer = await self._ask("HEAD", handle, headers=ASK)
        expected = composite([_digest(data) for data in halves])
        self._compare("checksum_composite", "the same question about an object of two parts", answer, expected)
        await self._complete_again(made.shipment)

    async def _complete_again(self, shipment: Shipment) -> None:
        sent = "a second upload in parts for the same name, If-None-Match: *"
        upload = await self._uploads.create(shipment)
        self._open.append((shipment, upload))
        data = secrets.token_bytes(1000)
        answer = await self._part(shipment, upload, 1, data, data, data)
        part = SentPart(1, as_etag(answer.headers.get("etag", "")) or "", whole(_digest(data)))
        try:
            handle = await self._uploads.complete(shipment, upload, [part])
        except ObjectThere:
            self.findings.add("no_overwrite_parts", sent, "412", Verdict.HOLDS)
        except StoreError as error:
            self.findings.add("no_overwrite_parts", sent, str(error).rpartition(": ")[2], Verdict.FAILED)
        else:
            self._made.append(handle)
            self._open.clear()
            self.findings.add("no_overwrite_parts", sent, "200", Verdict.IGNORED)

    async def _wrong_part(self, name: str, header: str, shipment: Shipment, upload: str) -> None:
        data, wrong = secrets.token_bytes(1000), secrets.token_bytes(16)
        by_checksum = header == TOLD
        try:
            signed, checked = (data, wrong) if by_checksum else (wrong, None)
            answer = await self._part(shipment, upload, _WRONG_PART, data, signed, checked)
            listed = await self._uploads.listed(shipment, upload)
        except StoreUnreachable as error:
            self._broken(name, f"a part with a wrong {header}", error)
            return
        kept = _WRONG_PART in listed and refused(answer) and name == "checksum_part"
        told = said(answer) + (", and kept it all the same" if kept else "")
        self.findings.add(name, f"a part with a wrong {header}", told, Verdict.IGNORED if kept else of_wrong(answer))

    def _broken(self, name: str, sent: str, error: StoreError) -> None:
        self.findings.add(name, sent, str(error).rpartition(": ")[2], Verdict.FAILED)

    def _compare(self, name: str, sent: str, answer: Answer, expected: str) -> None:
        told = answer.headers.get(TOLD)
        if not taken(answer):
            self.findings.add(name, sent, said(answer), Verdict.FAILED)
        elif told is None:
            self.findings.add(name, sent, f"{said(answer)}, none named", Verdict.ABSENT)
        else:
            same = told == expected
            words = "the right one" if same else "another one"
            self.findings.add(name, sent, f"{said(answer)}, {words}", Verdict.HOLDS if same else Verdict.IGNORED)

    async def _put(self, made: Scratch, signed: bytes, checked: bytes | None) -> Answer:
        """Send an object as the agent does, with the digests of `signed` and `checked`; None: without that one."""
        headers = {**s3_metadata(made.shipment), **NEW_ONLY}
        if checked is not None:
            headers[TOLD] = whole(_digest(checked))
        return await self._ask("PUT", self._uploads.object_url(made.shipment), made.data, headers, signed)

    async def _part(
        self, shipment: Shipment, upload: str, number: int, data: bytes, signed: bytes, checked: bytes | None
    ) -> Answer:
        headers = {} if checked is None else {TOLD: whole(_digest(checked))}
        return await self._ask("PUT", self._uploads.part_url(shipment, upload, number), data, headers, signed)

    async def _ask(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: bytes | None = None,
        *,
        elsewhere: bool = False,
    ) -> Answer:
        named = sha256(body if signed is None else signed).hexdigest()
        known = self._signature.headers(method, url, headers, named)
        return await self._control.ask(method, url, self._doing, known, content=body, elsewhere=elsewhere)


def said(answer: Answer) -> str:
    """An answer in a few words: its status, and its error code where that is a plain word."""
    code = error_code(answer.body)
    return f"{answer.status} {code}" if _CODE.fullmatch(code) else str(answer.status)


def _digest(data: bytes) -> bytes:
    return sha256(data).digest()
