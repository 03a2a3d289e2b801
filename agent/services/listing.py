"""A walk over a camera's medium, taken into the ledger batch by batch."""

from agent.core.clip import SessionId
from agent.ledger import clips
from agent.ledger.clips import ListingCount
from agent.ports import Camera, Refused
from agent.services.identity import Identified, looks_like_footage, sighting_of
from agent.services.kit import Kit


async def take_listing(kit: Kit, camera: Camera, identified: Identified, session: SessionId) -> ListingCount:
    """Walk the medium afresh and settle what every known clip of this camera is now.

    Returns what the walk brought; `left` counts files that no rule of the profile names. Raises CameraError:
    an incomplete walk settles nothing.
    """
    listing = await kit.ledger(lambda tx, rec: clips.start_listing(tx, rec, identified.camera, session))
    total = ListingCount()
    async for batch in camera.list():
        sightings = []
        for item in batch:
            if isinstance(item, Refused):
                total.refused[item.reason] = total.refused.get(item.reason, 0) + 1
            elif (sighting := sighting_of(identified, item)) is not None:
                sightings.append(sighting)
            else:
                total.left += 1
                total.left_media += looks_like_footage(item)
        count = await kit.ledger(lambda tx, rec, b=tuple(sightings): clips.reconcile(tx, rec, listing, b))  # type: ignore[misc]
        total.new += count.new
        total.known += count.known
    unlisted = await kit.ledger(lambda tx, rec: clips.finish_listing(tx, rec, listing))
    total.gone, total.missing = unlisted.gone, unlisted.missing
    kit.ring()
    return total
