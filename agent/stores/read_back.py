"""A proof of our own: fetch what the store holds and hash it."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from agent.core.errors import ObjectRefused, StoreError, StoreRefused
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Clock, Shipment, UploadStopped
from agent.stores.answer import Answer, refusal
from agent.stores.line import Line
from agent.stores.passage import SLOWEST_BYTES_PER_S
from agent.stores.receipts import ObjectNotHeld

_NOT_THIS_ONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NONE_AT_ALL = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


def readback_receipt(store: str, shipment: Shipment, handle: str, clock: Clock) -> Receipt:
    """Write down that exactly the shipment's bytes lay under `handle` when they were read just now."""
    at = clock()
    facts = {"sha256": shipment.sha256, "size": shipment.size_bytes, "at": at.isoformat()}
    proof = json.dumps({"kind": "readback", "place": handle, **facts})
    return Receipt(store, ReceiptKind.READBACK, shipment.sha256, shipment.size_bytes, handle, at, proof)


def still_read_back(receipt: Receipt) -> bool:
    """Tell whether a kept proof is our own record of having read exactly this object back. Never raises."""
    try:
        facts = json.loads(receipt.proof)
    except (ValueError, RecursionError):
        return False
    if not isinstance(facts, dict) or type(facts.get("size")) is not int:
        return False
    return (facts.get("kind"), facts.get("place"), facts.get("sha256"), facts["size"]) == (
        ReceiptKind.READBACK.word,
        receipt.handle,
        receipt.sha256,
        receipt.size_bytes,
    )


@dataclass(slots=True)
class ReadBack:
    """One object on its way back. `taken` counts its bytes; `headers` makes what the request carries.

    `judge` says what a refusal means where a protocol has its own words for that.
    """

    store: str
    shipment: Shipment
    url: str
    clock: Clock
    stall_s: float
    stopped: Callable[[], bool]
    taken: int = 0
    headers: Callable[[], Mapping[str, str]] = dict
    judge: Callable[[Answer, str, datetime], StoreError] | None = None

    def receipt(self, line: Line, loop: asyncio.AbstractEventLoop) -> Receipt:
        """Fetch and hash. Blocks. Raises ReceiptInvalid, StoreError kinds."""
        doing = f"store {self.store}: reading back {self.shipment.sha256}"
        line.allow(loop, 2 * self.stall_s + self.shipment.size_bytes / SLOWEST_BYTES_PER_S)
        with line.exchange("GET", self.url, doing, self.headers()) as response:
            line.refuse_here(response)
            answer = Answer(response.status_code, dict(response.headers))
            self._accept(answer, doing)
            digest = hashlib.sha256()
            for piece in response.iter_raw():  # as they come: to join them would hold a block for each read-back
                if self.stopped():
                    raise UploadStopped
                digest.update(piece)
                self.taken += len(piece)
                if self.taken > self.shipment.size_bytes:
                    break
        if (digest.hexdigest(), self.taken) != (self.shipment.sha256, self.shipment.size_bytes):
            if answer.is_web_page:
                raise refusal(answer, doing, self.clock())
            raise ObjectNotHeld(f"{doing}: the store handed out other bytes than were sent")
        return readback_receipt(self.store, self.shipment, self.url, self.clock)

    def _accept(self, answer: Answer, doing: str) -> None:
        if answer.status != HTTPStatus.OK and self.judge is not None:
            raise self.judge(answer, doing, self.clock())
        if answer.status in _NOT_THIS_ONE | _NONE_AT_ALL:
            hint = 'Allow downloads at the store, or use require = "signed" with a store that gives receipts.'
            kind = ObjectRefused if answer.status in _NOT_THIS_ONE else StoreRefused
            raise kind(f"{doing}: the store does not hand the object out ({answer.status})", hint=hint)
        if answer.status != HTTPStatus.OK:
            raise refusal(answer, doing, self.clock())
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise StoreError(f"{doing}: the store sent compressed bytes, which were not asked for")
