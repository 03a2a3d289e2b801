"""The S3 store: objects under their SHA-256, sent in parts that go on where they stopped, proved by a read-back.

Rules: no answer to an upload proves that the bytes arrived (most servers do not look at the checksums that they are
sent); `prove` fetches the object, by its version where there is one, and hashes it. A checksum that the store names is
proof enough only where `require` says so and a person had the store probed: see `standing`. Nothing is ever overwritten
or deleted; only unfinished uploads of our own are given up.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from threading import Event
from typing import TypeVar

from agent.core.announcement import Announcement
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.control import Control
from agent.stores.lines import Lines, TusLimits
from agent.stores.read_back import ReadBack, still_read_back
from agent.stores.receipts import ObjectNotHeld
from agent.stores.remote import Remote
from agent.stores.s3_address import S3Address
from agent.stores.s3_checksum import ASK, TOLD
from agent.stores.s3_convoy import PARTS_AT_A_TIME
from agent.stores.s3_delivery import KeepHint, S3Delivery
from agent.stores.s3_hint import S3Hint
from agent.stores.s3_part import PartSizes
from agent.stores.s3_proof import OwnChecksum, checksum_receipt, still_named
from agent.stores.s3_retention import Retention
from agent.stores.s3_signature import S3Signature
from agent.stores.s3_uploads import S3Uploads
from agent.stores.standing import Standing
from agent.stores.throttle import Throttle

T = TypeVar("T")

_OTHER_HINT = (
    "Look at the object in the store: its name is the SHA-256 that its bytes should have. It is never overwritten;"
    " once somebody has moved it away, the upload starts anew."
)


class S3Store:
    """An EvidenceStore behind an S3 server."""

    def __init__(  # noqa: PLR0913 - as many as there is to know of a store
        self,
        remote: Remote,
        address: S3Address,
        signature: S3Signature,
        limits: TusLimits | None = None,
        *,
        sizes: PartSizes | None = None,
        place: str | None = None,
        throttle: Throttle | None = None,
        standing: Standing | None = None,
        retention: Retention | None = None,
    ) -> None:
        """`sizes`: how large parts are, and the largest object that is sent whole; None: as the line makes them.

        `throttle` limits what is sent, not what is read back. `place` is the store's URL as it was configured; without
        it, it is made from the address. `standing` None: never probed.
        """
        self.name = remote.name
        self._standing = standing
        self.place = place if place is not None else f"s3+{address.endpoint.base}"
        self._remote = remote
        self._address = address
        self._signature = signature
        self._sizes = sizes or PartSizes()
        limits = limits or TusLimits()
        self._control = Control(remote, limits.connect_s, limits.control_s, takes_bodies=True)
        threads = (PARTS_AT_A_TIME + 1) * limits.max_workers  # meanwhile the next part is hashed
        self._lines = Lines(remote, replace(limits, max_workers=threads), throttle)
        self._uploads = S3Uploads(remote, self._control, address, signature, retention or Retention())
        self.find: Callable[[Shipment], Awaitable[str | None]] | None = self._find
        self.still_holds: Callable[[Receipt], Awaitable[bool]] | None = self._still_holds
        self.announce: Callable[[Announcement], Awaitable[bool]] | None = self._announce

    def __repr__(self) -> str:
        """Name the store, nothing else."""
        return f"S3Store({self.name!r})"

    async def send(self, shipment: Shipment, hint: str | None, transfer: Transfer, keep_hint: KeepHint) -> str:
        """See EvidenceStore.send; the handle is the object's address with its version.

        Cancellation: the store keeps the parts that it acknowledged.
        """
        kept = [hint]

        async def keep(text: str) -> None:
            kept.append(text)
            await keep_hint(text)

        async def bring() -> str:
            delivery = S3Delivery(self._uploads, self._lines, self._sizes, shipment, transfer, keep)
            return await delivery.bring(S3Hint.parse(kept[-1]))

        handle = await self._admitted(bring)
        transfer.sent_bytes = shipment.size_bytes
        transfer.on_progress(shipment.size_bytes)
        return handle

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        """See EvidenceStore.prove: the bytes are fetched and hashed.

        Where a checksum is enough, and the store was seen to refuse wrong ones, the one that it names is compared with
        the spool's own; in any doubt the bytes are fetched all the same.
        """
        if not self._address.is_of(handle, shipment.sha256):
            raise ObjectNotHeld(f"store {self.name}: what was kept is not the address of a finished object")

        async def proved() -> Receipt:
            receipt = await self._proved(shipment, handle, at_least)
            # However the object came there: it may have lain there before.
            await self._uploads.ensure_retention(shipment, handle)
            return receipt

        return await self._admitted(proved)

    def still_proves(self, receipt: Receipt) -> bool:
        """See EvidenceStore.still_proves: our own record of what was done with this very object."""
        if receipt.store != self.name or not self._address.is_of(receipt.handle, receipt.sha256):
            return False
        if receipt.kind is ReceiptKind.CHECKSUM:
            return self._standing is not None and self._standing.still_gives_checksums() and still_named(receipt)
        return receipt.kind is ReceiptKind.READBACK and still_read_back(receipt)

    async def _find(self, shipment: Shipment) -> str | None:
        return await self._admitted(lambda: self._uploads.find(shipment))

    async def _still_holds(self, receipt: Receipt) -> bool:
        return await self._admitted(lambda: self._uploads.still_there(receipt))

    async def _announce(self, announcement: Announcement) -> bool:
        await self._admitted(lambda: self._uploads.announce(announcement))
        return True

    async def _admitted(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await self._lines.admitted(ask, self._signature.credential.renew)

    async def _proved(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        answer = await self._uploads.look(shipment, handle, ASK if at_least is ReceiptKind.CHECKSUM else None)
        if answer is None:
            raise ObjectNotHeld(f"store {self.name}: the store no longer has {shipment.sha256}")
        held_bytes = answer.number("content-length")
        if held_bytes is not None and held_bytes != shipment.size_bytes:
            text = f"store {self.name}: what the store has as {shipment.sha256} has another size"
            raise ObjectNotHeld(text, hint=_OTHER_HINT)
        if at_least is ReceiptKind.CHECKSUM and held_bytes is not None:
            named = await self._named(shipment, answer.headers.get(TOLD))
            if named is not None:
                return checksum_receipt(self.name, shipment, handle, named, self._remote.clock)
        return await self._read_back(shipment, handle)

    async def _named(self, shipment: Shipment, told: str | None) -> str | None:
        """The checksum that the store names, where that is a proof and the right one; None in any doubt."""
        if told is None or self._standing is None:
            return None
        halt, checking = Event(), OwnChecksum(shipment, self._sizes)
        if not await self._lines.run(self._standing.gives_checksums, halt=halt):
            return None
        right = await self._lines.run(
            lambda: checking.is_right(told, halt.is_set), halt=halt, pulse=lambda: checking.read_bytes
        )
        return told if right else None

    async def _read_back(self, shipment: Shipment, handle: str) -> Receipt:
        halt = Event()
        stall_s, clock = self._lines.limits.stall_s, self._remote.clock
        reading = ReadBack(self.name, shipment, handle, clock, stall_s, halt.is_set)
        reading.headers = lambda: self._signature.headers("GET", handle)
        try:
            return await self._lines.lend(reading.receipt, halt=halt, pulse=lambda: reading.taken)
        except ObjectNotHeld as error:
            raise ObjectNotHeld(str(error), hint=_OTHER_HINT) from error

    async def close(self) -> None:
        """Release connections and threads; idempotent."""
        self._lines.close()
        await self._control.close()
