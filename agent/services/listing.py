"""A walk over a camera's medium, taken into the ledger batch by batch."""

from typing import TYPE_CHECKING

import structlog

from agent.core.clip import SessionId, one_line
from agent.core.footage import looks_like_footage
from agent.core.profile import Role, classify
from agent.ledger import clips, unlisted
from agent.ledger.clips import ListingCount
from agent.ports import Camera, Refused
from agent.services.identity import Identified, sighting_of
from agent.services.kit import Kit

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

log = structlog.get_logger()

HIDING = frozenset(
    {"unreadable", "changed", "loop", "other_file_system", "too_deep", "path_too_long", "too_many_directories"}
)
"""Reasons for which a walk does not see what lies below a path."""
NOT_IN_PROFILE = "not_in_profile"
"""Why footage is left that no rule of the profile names."""
TOLD_CAP = 20
NAMES_CAP = 5
"""So many of what was not copied, and of other files, are named to people; of the former the log has more."""
NAME_BYTES = 200
"""A longer path is told by its end."""
HIDDEN_CAP = 1000
"""With more such paths the walk settles nothing."""


async def take_listing(kit: Kit, camera: Camera, identified: Identified, session: SessionId) -> ListingCount:
    """Walk the medium afresh and settle what every known clip of this camera is now.

    Returns what the walk brought, with what stays on the camera uncopied. Raises CameraError: an incomplete walk
    settles nothing.
    """
    listing = await kit.ledger(lambda tx, rec: clips.start_listing(tx, rec, identified.camera, session))
    total, hidden, named = ListingCount(), set[bytes](), identified.profile.own_files
    async for batch in camera.list():
        sightings = []
        for item in batch:
            if isinstance(item, Refused):
                if classify(identified.profile, item.path) is not Role.IGNORED:
                    _tell(total, item.path, item.reason)
                    total.refused[item.reason] = total.refused.get(item.reason, 0) + 1
                if item.reason in HIDING and len(hidden) <= HIDDEN_CAP:
                    hidden.add(item.path)
            elif (sighting := sighting_of(identified, item)) is not None:
                sightings.append(sighting)
            elif looks_like_footage(item.path, item.size_bytes):  # known clutter, too: no list can hide evidence
                _tell(total, item.path, NOT_IN_PROFILE)
                total.left_media += 1
            elif item.path not in named and classify(identified.profile, item.path) is Role.OTHER:
                _name(total.left_names, item.path)
                total.left += 1
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
    if total.uncopied or total.left:
        await _record_left(kit, identified, session, total)
    kit.ring()
    return total


def _tell(before: ListingCount, path: bytes, reason: str) -> None:
    """Name what is left on the camera, so that a supervisor can look for it; a hostile card fills no log."""
    if before.uncopied < TOLD_CAP:
        log.warning("camera.refused", path=one_line(path), reason=reason)
    _name(before.names, path)


def _name(names: list[str], path: bytes) -> None:
    if len(names) < NAMES_CAP:
        names.append(one_line(path[-NAME_BYTES:]))


async def _record_left(kit: Kit, identified: Identified, session: SessionId, total: ListingCount) -> None:
    """Keep what this walk leaves on the camera: later only this shows that it was there, and was seen."""
    facts: dict[str, JsonValue] = {
        "session": session,
        "uncopied": total.uncopied,
        "uncopied_names": [*total.names],
        "other": total.left,
        "other_names": [*total.left_names],
    }
    await kit.ledger(lambda tx, rec: rec.record(tx, "files.left", facts, camera=identified.camera))
    if total.left:
        log.warning("files.left", count=total.left, names=total.left_names)
