"""The tus 1.0 store: uploads that go on where they stopped, and proofs that are the store's own or a read-back.

Rules: no answer of the tus protocol proves that bytes arrived (common servers ignore checksums); `prove` does. Only
uploads that the store itself calls unfinished are ever deleted.
"""

from collections.abc import Awaitable, Callable
from threading import Event
from typing import TypeVar

from agent.core.announcement import Announcement
from agent.core.errors import StoreLied
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.control import Control
from agent.stores.delivery import Delivery, KeepHint
from agent.stores.hint import Hint
from agent.stores.lines import Lines, TusLimits
from agent.stores.pace import Pace
from agent.stores.read_back import still_read_back
from agent.stores.receipts import ObjectNotHeld, ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.throttle import Throttle
from agent.stores.tus_announcements import TusAnnouncements
from agent.stores.tus_proof import TusProof
from agent.stores.uploads import Uploads

T = TypeVar("T")

MAX_DISPROVED = 1024


class TusStore:
    """An EvidenceStore behind a tus 1.0 server."""

    find: Callable[[Shipment], Awaitable[str | None]] | None
    still_holds: Callable[[Receipt], Awaitable[bool]] | None
    announce: Callable[[Announcement], Awaitable[bool]] | None

    def __init__(
        self,
        remote: Remote,
        keys: ReceiptKeys | None = None,
        limits: TusLimits | None = None,
        *,
        place: str | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """`keys` are the pinned keys of signed receipts; without them only a read-back can prove anything.

        `throttle` limits what is sent, not what is read back. `place` is the store's URL as it was configured; without
        it, it is made from the address.
        """
        self.name = remote.name
        self.place = place if place is not None else f"tus+{remote.endpoint.base}"
        self._endpoint = remote.endpoint
        self._clock = remote.clock
        self._credential = remote.credential
        limits = limits or TusLimits()
        self._control = Control(remote, limits.connect_s, limits.control_s)
        self._uploads = Uploads(remote, self._control)
        self._lines = Lines(remote, limits, throttle)
        self._pace = Pace(limits.patch_bytes, signed=keys is not None)
        self._proof = TusProof(remote, self._control, self._uploads, keys)
        self._disproved: dict[str, None] = {}  # in the order of disproof; a restart merely asks once more
        self._announcements = TusAnnouncements(remote, self._control)
        self.find = self._find if keys else None
        self.still_holds = self._still_holds
        self.announce = self._announce

    def __repr__(self) -> str:
        """Name the store, nothing else."""
        return f"TusStore({self.name!r})"

    async def send(self, shipment: Shipment, hint: str | None, transfer: Transfer, keep_hint: KeepHint) -> str:
        """See EvidenceStore.send; the handle is the upload's address. Cancellation: the store keeps what it has."""
        known = Hint.parse(hint)
        if known is not None and (not self._endpoint.owns(known.url) or known.url in self._disproved):
            known = None  # the store has moved, or was shown not to hold what was sent there
        kept = [known]

        async def keep(text: str) -> None:
            kept.append(Hint.parse(text))
            await keep_hint(text)

        async def bring() -> str:
            delivery = Delivery(self._uploads, self._lines, self._pace, shipment, transfer, keep)
            await delivery.bring(kept[-1], self._clock)
            return delivery.url

        url = await self._admitted(bring)
        transfer.sent_bytes = shipment.size_bytes
        transfer.on_progress(shipment.size_bytes)
        return url

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        """See EvidenceStore.prove: signed where keys are pinned, else the bytes are fetched and hashed.

        There is no receipt of a mere checksum: no answer of tus can be trusted to be one. Where that would be
        enough, a stronger one is obtained.
        """
        known = Hint.parse(handle)
        if known is None or not self._endpoint.owns(known.url):
            raise StoreLied(f"store {self.name}: the kept address of the upload is not one of this store")
        try:
            return await self._admitted(lambda: self._proved(shipment, known.url, at_least))
        except ObjectNotHeld:
            self._disproved[known.url] = None
            self._pace.altered = True
            while len(self._disproved) > MAX_DISPROVED:
                del self._disproved[next(iter(self._disproved))]
            raise

    def still_proves(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_proves; a receipt that this store would never give proves nothing."""
        if receipt.store != self.name:
            return False
        if receipt.kind is ReceiptKind.SIGNED:
            return self._proof.still_signed(receipt)
        return receipt.kind is ReceiptKind.READBACK and still_read_back(receipt)

    async def _find(self, shipment: Shipment) -> str | None:
        return await self._admitted(lambda: self._proof.find(shipment))

    async def _still_holds(self, receipt: Receipt) -> bool:
        return await self._admitted(lambda: self._proof.still_there(receipt))

    async def _announce(self, announcement: Announcement) -> bool:
        return await self._admitted(lambda: self._announcements.announce(announcement))

    async def _admitted(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await self._lines.admitted(ask, self._credential.renew)

    async def _proved(self, shipment: Shipment, url: str, at_least: ReceiptKind) -> Receipt:
        signed = await self._proof.signed(shipment, url, at_least)
        if signed is not None:
            await self._proof.tell_others(shipment)
            return signed
        await self._proof.finished(shipment, url)
        halt = Event()
        reading = self._proof.reading(shipment, url, self._lines.limits.stall_s, halt.is_set)
        return await self._lines.lend(reading.receipt, halt=halt, pulse=lambda: reading.taken)

    async def close(self) -> None:
        """Release connections and threads; idempotent."""
        self._lines.close()
        await self._control.close()
