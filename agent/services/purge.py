"""When the spool's copies are destroyed: after the audit, every ten minutes, and when a clip does not fit."""

import structlog

from agent.core.errors import LedgerError
from agent.services.disposal import purge_spool
from agent.services.kit import Kit
from agent.services.patrol import forget_old_answers

log = structlog.get_logger()

PURGE_EVERY_S = 600.0


async def purge_regularly(kit: Kit) -> None:
    """Purge until cancelled; what fails is tried again in the next round.

    A store that does not answer keeps copies that the spool could give up, but never a clip from being copied: while
    one waits for room, its silence delays nothing.
    """
    await kit.audited.wait()  # before, nothing may go, and the next round is ten minutes away
    served = 0
    while True:
        seen = kit.room.rings
        try:
            purged = await purge_spool(kit, room_wanted=seen != served)
        except LedgerError as error:  # recorded as purged or not at all; the next round finishes it
            log.warning("spool.purge_failed", problem=str(error))
        else:
            served = seen
            if purged:
                log.info("spool.purged", objects=purged)
                kit.ring()
        forget_old_answers(kit)
        await kit.room.wait(seen, PURGE_EVERY_S)
