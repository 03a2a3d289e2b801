"""Tells people once when a certificate comes nearer to its end: one event for each step, not one for each look."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from agent.core.renewal_policy import Ending, Step, Told, risen
from agent.services.kit import Kit

log = structlog.get_logger()

LOOK_S = 900.0
"""The last step is a day long: a quarter of an hour is soon enough."""


async def follow_endings(kit: Kit, look: Callable[[], Sequence[Ending]], *, every_s: float = LOOK_S) -> None:
    """Look until cancelled; `look` blocks on small files. A restart tells each step that holds then once more."""
    known: Told = {}
    unread = False
    while True:
        endings: Sequence[Ending] = ()
        try:
            endings, unread = await kit.on_disk(look), False
        except (OSError, ValueError, TypeError, LookupError) as error:  # a certificate is somebody else's text
            if not unread:
                log.warning("store.certificates_unread", problem=type(error).__name__)
            unread = True
        known, fresh = risen(known, endings)
        for each in fresh:
            _tell(each)
        if fresh:
            kit.ring()
        await asyncio.sleep(every_s)


def _tell(ending: Ending) -> None:
    facts = {
        "store": ending.store,
        "subject": ending.subject.value,
        "step": ending.step.word,
        "ends": ending.ends.isoformat(),
    }
    match ending.step:
        case Step.LAST_DAY | Step.ENDED:
            log.error("store.certificate_ending", **facts)
        case Step.PRESSING:
            log.warning("store.certificate_ending", **facts)
        case _:
            log.info("store.certificate_ending", **facts)
