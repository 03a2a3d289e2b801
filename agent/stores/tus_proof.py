"""Proofs from a tus store: its signed receipt, or its bytes fetched again and hashed.

The signed receipt is the interface of docs/receipt.md: `GET receipts/<upload id>?nonce=...` beside the uploads,
and `GET receipts/by-digest/<sha256>?nonce=...` for objects the store has from elsewhere. The handle of the latter
is that address itself; it can be proved by signature only, and no upload stands behind it.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from agent.core.errors import ReceiptInvalid, StoreError
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Shipment
from agent.stores.answer import Answer, NotTheStore, refusal
from agent.stores.control import Control
from agent.stores.endpoint import upload_id
from agent.stores.metadata import upload_metadata
from agent.stores.read_back import ReadBack
from agent.stores.receipts import Expected, ObjectNotHeld, ReceiptKeys, SignedReceipt, check_receipt, still_signed
from agent.stores.remote import Remote
from agent.stores.uploads import TUS, Uploads

TOLD_WITHIN_S = 5.0
"""So long may a receipt wait for what the store is told beside it."""
_BY_DIGEST = "by-digest/"
_NO_RECEIPTS = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)
_LOST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_FOUND = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


class TusProof:
    """How one tus store proves what it holds. Methods raise ReceiptInvalid and StoreError kinds."""

    def __init__(self, remote: Remote, control: Control, uploads: Uploads, keys: ReceiptKeys | None) -> None:
        """`keys` None: no signed receipt can be had."""
        self._name = remote.name
        self._endpoint = remote.endpoint
        self._control = control
        self._uploads = uploads
        self._station = remote.station
        self._clock = remote.clock
        self._keys = keys

    async def find(self, shipment: Shipment) -> str | None:
        """Ask for a receipt by digest; the handle to prove it again, or None when the store does not hold it."""
        if self._keys is None:
            return None
        url = self._endpoint.receipts + _BY_DIGEST + shipment.sha256
        answer, nonce = await self._ask(url)
        if answer.status in _NO_RECEIPTS:
            return None
        self._checked(answer, shipment, None, nonce, self._keys)
        return url

    async def signed(self, shipment: Shipment, url: str, at_least: ReceiptKind) -> Receipt | None:
        """Obtain the store's statement; None when it gives none and `at_least` is content with less."""
        if self._keys is None:
            if at_least is ReceiptKind.SIGNED:
                raise ReceiptInvalid(f"store {self._name}: no receipt key is configured, nothing can be checked")
            return None
        by_digest = self.is_by_digest(url)
        upload = None if by_digest else upload_id(url)
        answer, nonce = await self._ask(url if by_digest else self._endpoint.receipts + upload_id(url))
        if answer.status in _NO_RECEIPTS:
            if at_least is ReceiptKind.SIGNED or by_digest:
                raise ObjectNotHeld(f"store {self._name}: the store has no receipt for the upload ({answer.status})")
            return None
        receipt = self._checked(answer, shipment, upload, nonce, self._keys)
        return Receipt(
            store=self._name,
            kind=ReceiptKind.SIGNED,
            sha256=shipment.sha256,
            size_bytes=shipment.size_bytes,
            handle=url,
            issued_at=receipt.statement.issued_at,
            proof=receipt.proof,
        )

    async def tell_others(self, shipment: Shipment) -> None:
        """Tell the store of further clips with the same bytes, so that it can list them. Raises nothing.

        No proof depends on it, so no trouble with it holds one up. A store that does not take it is left in peace.
        """
        doing = f"store {self._name}: telling of further clips with the bytes of {shipment.sha256}"
        url = self._endpoint.sightings + shipment.sha256
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                for label in shipment.others:
                    headers = {"Upload-Metadata": upload_metadata(replace(shipment, label=label))}
                    answer = await self._control.ask("POST", url, doing, headers)
                    if answer.status in _NO_RECEIPTS:
                        return

    def still_signed(self, receipt: Receipt) -> bool:
        """Check a kept signed receipt with the keys pinned now. Never raises."""
        if self._keys is None:
            return False
        try:
            upload = None if self.is_by_digest(receipt.handle) else upload_id(receipt.handle)
        except ValueError:
            return False  # the kept address cannot even be read
        return still_signed(receipt, self._keys, self._station, upload)

    async def still_there(self, receipt: Receipt) -> bool:
        """Ask whether the store still has what the receipt is about; only an answer of tus itself is its word.

        For an upload of ours that costs the store a look; for bytes that it had from elsewhere it reads them again.
        """
        doing = f"store {self._name}: asking whether it still has {receipt.sha256}"
        if self._keys is not None and self.is_by_digest(receipt.handle):
            answer, nonce = await self._ask(receipt.handle)
        else:
            answer, nonce = await self._control.ask_again("HEAD", receipt.handle, doing, TUS, elsewhere=True), None
        if "tus-resumable" not in answer.headers and answer.status != HTTPStatus.OK:
            raise NotTheStore(f"{doing}: something answered that is no tus server ({answer.status})")
        if answer.status in _LOST:
            return False
        if answer.status not in _FOUND or answer.is_web_page:
            raise refusal(answer, doing, self._clock())
        if nonce is None or self._keys is None:
            if "upload-offset" not in answer.headers:
                raise NotTheStore(f"{doing}: something answered that is no tus server ({answer.status})")
            return answer.number("upload-offset") == receipt.size_bytes
        expected = Expected(self._station, receipt.sha256, receipt.size_bytes, None, nonce)
        check_receipt(answer.body, self._keys, expected, self._clock())
        return True

    async def finished(self, shipment: Shipment, url: str) -> None:
        """Make sure that the store itself calls the upload finished. Raises ReceiptInvalid."""
        offset = await self._uploads.offset(url, shipment.size_bytes, None)
        if offset is None:
            raise ObjectNotHeld(f"store {self._name}: the store no longer knows the upload of {shipment.sha256}")
        if offset != shipment.size_bytes:
            raise ObjectNotHeld(f"store {self._name}: the upload of {shipment.sha256} is not finished")

    def reading(self, shipment: Shipment, url: str, stall_s: float, stopped: Callable[[], bool]) -> ReadBack:
        """Prepare to fetch the object again."""
        return ReadBack(self._name, shipment, url, self._clock, stall_s, stopped)

    def is_by_digest(self, url: str) -> bool:
        """Tell whether a handle came from `find`: no upload of ours stands behind it."""
        return url.startswith(self._endpoint.receipts + _BY_DIGEST)

    async def _ask(self, url: str) -> tuple[Answer, str]:
        """A nonce is made for each question and used for nothing else, so an old receipt cannot answer it."""
        nonce = secrets.token_hex(16)
        doing = f"store {self._name}: asking for a receipt"
        return await self._control.ask_again("GET", f"{url}?nonce={nonce}", doing, elsewhere=True), nonce

    def _checked(
        self, answer: Answer, shipment: Shipment, upload: str | None, nonce: str, keys: ReceiptKeys
    ) -> SignedReceipt:
        if answer.status == HTTPStatus.CONFLICT:
            raise ReceiptInvalid(f"store {self._name}: the store says that the upload is not finished")
        if answer.status != HTTPStatus.OK or answer.is_web_page:
            raise refusal(answer, f"store {self._name}: asking for a receipt", self._clock())
        expected = Expected(self._station, shipment.sha256, shipment.size_bytes, upload, nonce)
        return check_receipt(answer.body, keys, expected, self._clock())
