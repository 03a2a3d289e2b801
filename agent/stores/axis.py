"""The content destination of the Axis body worn interface: a subset of Swift, with a recording for each clip.

Rules: no answer to an upload proves that the bytes arrived; `prove` fetches the object and hashes it, and only then the
recording is called complete. Of an encrypted clip, what is compared are the encrypted bytes as they left, and the key
object: that the destination can open it, nobody but the destination can know.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from threading import Event

from agent.core.announcement import Announcement
from agent.core.errors import ReceiptInvalid, StoreError
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.axis_answer import reading_refusal
from agent.stores.axis_body import Seal
from agent.stores.axis_delivery import AxisDelivery
from agent.stores.axis_door import Visit
from agent.stores.axis_filing import Filing
from agent.stores.axis_marks import AxisMarks, Mark
from agent.stores.axis_names import key_of
from agent.stores.axis_recordings import AxisRecordings
from agent.stores.axis_register import AxisRegister
from agent.stores.axis_session import AxisSession
from agent.stores.delivery import KeepHint
from agent.stores.read_back import ReadBack, readback_receipt, still_read_back
from agent.stores.receipts import ObjectNotHeld

_OTHER_HINT = (
    "Look at the object at the content destination: its name holds the SHA-256 of the clip. It is never overwritten;"
    " once somebody has moved it away, the upload starts anew."
)


class AxisStore:
    """An EvidenceStore behind a content destination."""

    find: Callable[[Shipment], Awaitable[str | None]] | None
    still_holds: Callable[[Receipt], Awaitable[bool]] | None
    # The interface knows no announcement.
    announce: Callable[[Announcement], Awaitable[bool]] | None = None

    def __init__(self, name: str, place: str, session: AxisSession, register: AxisRegister, marks: AxisMarks) -> None:
        """`place` is the store's URL as it was configured. Raises ConfigError for a public key that is none."""
        self.name = name
        self.place = place
        connection = session.connection
        public_key = connection.encryption_key()
        self._session = session
        self._register = register
        self._marks = marks
        self._recordings = AxisRecordings(name)
        self._seal = None if public_key is None else Seal(public_key, connection.public_key_id)
        # What an encrypted copy would have to look like, nobody knows any more once it was made.
        self.find = None if self._seal else self._find
        self.still_holds = self._still_holds

    def __repr__(self) -> str:
        """Name the store, nothing else."""
        return f"AxisStore({self.name!r})"

    async def send(self, shipment: Shipment, hint: str | None, transfer: Transfer, keep_hint: KeepHint) -> str:
        """See EvidenceStore.send; the handle says where the object lies. Cancellation: the destination has nothing."""
        kept = [hint]

        async def keep(text: str) -> None:
            kept.append(text)
            await keep_hint(text)

        async def bring(visit: Visit) -> Filing:
            await self._arrive(visit)
            known = Filing.parse(kept[-1])
            if known is not None and not known.is_of(shipment.sha256):
                known = None
            delivery = AxisDelivery(visit, self._recordings, shipment, transfer, keep)
            filing = await delivery.bring(known, self._register, self._seal)
            await self._recordings.mark(visit, shipment, filing)
            return filing

        filing = await self._session.admitted(bring)
        transfer.sent_bytes = shipment.size_bytes
        transfer.on_progress(shipment.size_bytes)
        return filing.text()

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        """See EvidenceStore.prove: what lies there is fetched and hashed, whatever weaker proof would be enough."""
        if at_least > ReceiptKind.READBACK:
            raise ReceiptInvalid(f"store {self.name}: a content destination cannot sign receipts")
        filing = Filing.parse(handle)
        if filing is None or not filing.is_of(shipment.sha256) or (filing.encrypted and filing.sealed is None):
            raise ObjectNotHeld(f"store {self.name}: what was kept does not say where a finished object lies")
        return await self._session.admitted(lambda visit: self._proved(visit, shipment, filing))

    def still_proves(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_proves: our own record of having read this very object back."""
        filing = Filing.parse(receipt.handle)
        ours = receipt.store == self.name and receipt.kind is ReceiptKind.READBACK
        return ours and filing is not None and filing.is_of(receipt.sha256) and still_read_back(receipt)

    async def close(self) -> None:
        """Release connections and threads; idempotent."""
        await self._session.close()

    async def _find(self, shipment: Shipment) -> str | None:
        async def look(visit: Visit) -> str | None:
            await self._arrive(visit)
            filing = await self._recordings.find(visit, shipment)
            return None if filing is None else filing.text()

        return await self._session.admitted(look)

    async def _still_holds(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_holds: the destination to which the station is bound shows it with its size."""
        filing = Filing.parse(receipt.handle)
        if filing is None or not filing.is_of(receipt.sha256) or (filing.encrypted and filing.sealed is None):
            raise StoreError(f"store {self.name}: the receipt does not say where {receipt.sha256} lies")

        async def look(visit: Visit) -> bool:
            await self._arrive(visit)
            return await self._recordings.still_has(visit, receipt, filing)

        return await self._session.admitted(look)

    async def _arrive(self, visit: Visit) -> None:
        """Make sure that this is the right destination, and remember what may not be taken back."""
        await self._register.bind(visit)
        await visit.door.lines.run(self._remember, halt=Event())

    def _remember(self) -> None:
        connection = self._session.connection
        for mark, holds in (
            (Mark.ENCRYPTION, connection.want_encryption),
            (Mark.FULL_SUPPORT, connection.full_support),
        ):
            if holds:
                self._marks.set(mark)

    async def _proved(self, visit: Visit, shipment: Shipment, filing: Filing) -> Receipt:
        await self._arrive(visit)
        door = visit.door
        there = await self._recordings.held(visit, shipment, filing)
        expected = shipment
        if filing.sealed is not None:
            expected = replace(shipment, sha256=filing.sealed.sha256, size_bytes=filing.sealed.size_bytes)
        if there is None or there.size_bytes not in (None, expected.size_bytes):
            what = "does not have" if there is None else "has another size of"
            raise ObjectNotHeld(f"store {self.name}: the destination {what} {shipment.sha256}", hint=_OTHER_HINT)
        await self._key_is_there(visit, shipment, filing)
        halt = Event()
        url = visit.entry.url(filing.container, filing.name)
        reading = ReadBack(self.name, expected, url, door.remote.clock, door.lines.limits.stall_s, halt.is_set)
        reading.headers, reading.judge = visit.entry.headers, reading_refusal
        try:
            await door.lines.lend(reading.receipt, halt=halt, pulse=lambda: reading.taken)
        except ObjectNotHeld as error:
            raise ObjectNotHeld(str(error), hint=_OTHER_HINT) from error
        await self._recordings.complete(visit, shipment, filing)
        return readback_receipt(self.name, shipment, filing.text(), door.remote.clock)

    async def _key_is_there(self, visit: Visit, shipment: Shipment, filing: Filing) -> None:
        """Read the key object of an encrypted clip back."""
        if filing.sealed is None:
            return
        doing = self._recordings.doing("reading back the key of", shipment)
        answer = await visit.ask("GET", doing, filing.container, key_of(filing.name))
        if answer.status != HTTPStatus.OK:
            raise reading_refusal(answer, doing, visit.door.remote.clock())
        if sha256(answer.body).hexdigest() != filing.sealed.key_sha256:
            raise ObjectNotHeld(f"{doing}: the destination has another one", hint=_OTHER_HINT)
