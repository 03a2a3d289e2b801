"""What is sent of an object: the spool's copy, and the labels of its sightings, the oldest first."""

from agent.core.queue_policy import Waiting
from agent.ledger import objects
from agent.ports import Shipment
from agent.services.kit import Kit


async def shipment_of(kit: Kit, waiting: Waiting) -> Shipment:
    """Read it from the ledger. Raises LedgerError."""
    first, *others = await kit.ledger(lambda tx, _: objects.labels(tx, waiting.sha256, kit.settings.station))
    return Shipment(waiting.sha256, waiting.size_bytes, kit.spool.path(waiting.sha256), first, tuple(others))
