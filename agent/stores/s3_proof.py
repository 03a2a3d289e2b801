"""A proof by the checksum that an S3 store names of what it holds, compared with the spool's own.

It is worth something only where the store was seen to refuse wrong checksums; that is decided elsewhere. For an object
in parts it is a digest of digests, so the parts are hashed again from the spool, whose whole digest is checked with it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from agent.core.object import Receipt, ReceiptKind
from agent.ports import Clock, Shipment
from agent.stores.s3_checksum import composite, parts_of, whole
from agent.stores.s3_part import PartSizes
from agent.stores.spool_copy import SpoolCopy


@dataclass(slots=True)
class OwnChecksum:
    """What the checksum of an object should be. `read_bytes` only grows."""

    shipment: Shipment
    sizes: PartSizes
    read_bytes: int = 0

    def is_right(self, told: str, stopped: Callable[[], bool]) -> bool:
        """Whether this is the checksum of exactly these bytes, sent whole or in parts of one of our sizes. Blocks.

        Raises SpoolCorrupt, SpoolError, UploadStopped. Another station may have sent it in parts of another size: then
        its checksum is another one, which says nothing against the object.
        """
        if told == whole(bytes.fromhex(self.shipment.sha256)):
            return True
        count = parts_of(told)
        step = None if count is None else self.sizes.counted(self.shipment.size_bytes, count)
        return step is not None and told == composite(self._parts(step, stopped))

    def _parts(self, step: int, stopped: Callable[[], bool]) -> list[bytes]:
        size_bytes, digests = self.shipment.size_bytes, list[bytes]()
        with SpoolCopy(self.shipment, stopped) as copy:
            while copy.position < size_bytes:
                digest = hashlib.sha256()
                for block in copy.blocks(min(copy.position + step, size_bytes)):
                    digest.update(block)
                    self.read_bytes = copy.moved_bytes
                digests.append(digest.digest())
        return digests


def checksum_receipt(store: str, shipment: Shipment, handle: str, named: str, clock: Clock) -> Receipt:
    """Write down that the store named this checksum of what lies under `handle` just now, and that it is right."""
    at = clock()
    facts = {"sha256": shipment.sha256, "size": shipment.size_bytes, "at": at.isoformat(), "checksum": named}
    proof = json.dumps({"kind": ReceiptKind.CHECKSUM.word, "place": handle, **facts})
    return Receipt(store, ReceiptKind.CHECKSUM, shipment.sha256, shipment.size_bytes, handle, at, proof)


def still_named(receipt: Receipt) -> bool:
    """Tell whether a kept proof is our own record of such a comparison for exactly this object. Never raises."""
    try:
        facts = json.loads(receipt.proof)
    except (ValueError, RecursionError):
        return False
    if not isinstance(facts, dict) or type(facts.get("size")) is not int or not isinstance(facts.get("checksum"), str):
        return False
    return (facts.get("kind"), facts.get("place"), facts.get("sha256"), facts["size"]) == (
        ReceiptKind.CHECKSUM.word,
        receipt.handle,
        receipt.sha256,
        receipt.size_bytes,
    )
