"""A walk over a camera's medium, taken into the ledger batch by batch."""

import structlog

from agent.core.clip import SessionId, one_line
from agent.core.profile import Role, classify
from agent.ledger import clips, unlisted
from agent.ledger.clips import ListingCount
from agent.ports import Camera, Refused
from agent.services.identity import Identified, looks_like_footage, sighting_of
from agent.services.kit import Kit

log = structlog.get_logger()

HIDING = frozenset(
    {"unreadable", "changed", "loop", "other_file_system", "too_deep", "path_too_long", "too_many_directories"}
)
"""Reasons for which a walk does not see what lies below a path."""
TOLD_CAP = 20
HIDDEN_CAP = 1000
"""With more such paths the walk settles nothing."""


async def take_listing(kit: Kit, camera: Camera, identified: Identified, session: SessionId) -> ListingCount:
    """Walk the medium afresh and settle what every known clip of this camera is now.

    Returns what the walk brought; `left` counts files that no rule of the profile names. Raises CameraError:
    an incomplete walk settles nothing.
    """
    listing = await kit.ledger(lambda tx, rec: clips.start_listing(tx, rec, identified.camera, session))
    total, hidden = ListingCount(), set[bytes]()
    async for batch in camera.list():
        sightings = []
        for item in batch:
            if isinstance(item, Refused):
                if classify(identified.profile, item.path) is not Role.IGNORED:
                    _tell(sum(total.refused.values()), item)
                    total.refused[item.reason] = total.refused.get(item.reason, 0) + 1
                if item.reason in HIDING and len(hidden) <= HIDDEN_CAP:
                    hidden.add(item.path)
            elif (sighting := sighting_of(identified, item)) is not None:
                sightings.append(sighting)
            else:
                total.left += 1
                total.left_media += looks_like_footage(item)
        count = await kit.ledger(lambda tx, rec, b=tuple(sightings): clips.reconcile(tx, rec, listing, b))  # type: ignore[misc]
        total.new += count.new
        total.known += count.known
    settles = len(hidden) <= HIDDEN_CAP and "too_many_entries" not in total.refused
    after: tuple[int, int] | None = (0, 0) if settles else None
    while after is not None:
        settled = await kit.ledger(lambda tx, rec, a=after: unlisted.finish_listing(tx, rec, listing, hidden, a))  # type: ignore[misc]
        total.gone += settled.gone
        total.missing += settled.missing
        after = settled.after
    kit.ring()
    return total


def _tell(told_before: int, item: Refused) -> None:
    """Name what is left on the camera, so that a supervisor can look for it; a hostile card fills no log."""
    if told_before < TOLD_CAP:
        log.warning("camera.refused", path=one_line(item.path), reason=item.reason)
