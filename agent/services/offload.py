"""Camera to spool: each clip is read once, hashed and written in the same pass, and only then recorded."""

import structlog

from agent.core.clip import Clip, Custody
from agent.core.errors import ClipChanged, ClipUnreadable
from agent.ledger import clips, objects
from agent.ledger.clips import Move
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.spool import SpoolPart, Stored
from agent.ports import Camera
from agent.services.kit import Kit
from agent.services.progress import Progress

log = structlog.get_logger()

TRIES = 3
"""Readings of a file that changes under our hands before a person is asked to look."""


class _Counted:
    """A sink that counts for the progress what the spool took."""

    def __init__(self, part: SpoolPart, progress: Progress) -> None:
        self._part, self._progress = part, progress

    def __call__(self, block: memoryview) -> None:
        self._part(block)
        self._progress.add(len(block))


async def offload(kit: Kit, camera: Camera, clip: Clip, bay: str, progress: Progress) -> None:
    """Bring one listed clip into the spool, or again a confirmed one that a store has lost.

    Raises CameraError (session over) and SpoolError (no room, disk trouble); a clip that cannot be read is
    quarantined here, so that the others go on. Cancellation: nothing is recorded, the part vanishes.
    """
    before = progress.done_bytes
    for attempt in range(1, TRIES + 1):
        progress.back_to(before)
        try:
            await _copy(kit, camera, clip, bay, progress)
        except ClipChanged as error:
            if attempt == TRIES:
                await _quarantine(kit, clip, error)
        except ClipUnreadable as error:
            await _quarantine(kit, clip, error)
            break
        else:
            break
    kit.ring()


async def _copy(kit: Kit, camera: Camera, clip: Clip, bay: str, progress: Progress) -> None:
    begun: list[SpoolPart] = []
    try:
        await kit.on_disk(lambda: begun.append(kit.spool.begin(clip.entry.size_bytes)))
        await camera.read(clip.entry, _Counted(begun[0], progress))
        async with kit.purging.passing():  # bytes that were here before must not vanish between the two
            stored = await kit.on_disk(begun[0].finish)
            await kit.ledger(lambda tx, recorder: _record(tx, recorder, clip, stored, bay))
    finally:
        for part in begun:  # also when the cancellation came while it was being made
            await kit.on_disk(part.drop)  # to unlink gigabytes takes the disk a while


def _record(tx: Tx, recorder: Recorder, clip: Clip, stored: Stored, bay: str) -> None:
    if clip.sha256 is not None and clip.sha256 != stored.sha256:
        clip = clips.replace_sighting(tx, recorder, clip, stored.sha256)
    if clip.custody is Custody.CONFIRMED:
        objects.brought_back(tx, recorder, clip, stored.size_bytes, bay)
        return
    objects.spooled(tx, recorder, clip, stored.sha256, stored.size_bytes, bay)


async def _quarantine(kit: Kit, clip: Clip, error: ClipUnreadable) -> None:
    if clip.custody is Custody.CONFIRMED:
        log.warning("clip.not_brought_back", clip=clip.id, problem=str(error))
        return  # what was confirmed stays so; its next docking tries again
    move = Move("clip.quarantined", custody=Custody.QUARANTINED, problem=error.told())
    await kit.ledger(lambda tx, recorder: clips.move(tx, recorder, clip, move))
