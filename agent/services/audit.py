"""Watches over the ledger: one audit of the whole of it after each start, then its witness from time to time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import structlog

from agent.core.errors import LedgerError
from agent.ledger import doubts
from agent.ledger.audit import AuditReport, audit
from agent.services.kit import Kit

if TYPE_CHECKING:
    from collections.abc import Awaitable

log = structlog.get_logger()

WATCH_EVERY_S = 60.0
"""How old the witness may be, and when an audit that could not be made (a full disk) is tried again."""


async def watch_over(kit: Kit) -> None:
    """Audit once, then keep the witness fresh until cancelled. Until the audit ends well nothing is destroyed."""
    audited = False
    await _try(_tell_rolled_back(kit))
    while True:
        audited = audited or await _try(audit_ledger(kit))
        await _try(kit.bear_witness())
        await asyncio.sleep(WATCH_EVERY_S)


async def _tell_rolled_back(kit: Kit) -> None:
    told = (await kit.ledger(lambda tx, _: doubts.doubts(tx))).get(doubts.ROLLED_BACK)
    if told is not None:
        log.error("ledger.rolled_back", problem=told)


async def audit_ledger(kit: Kit) -> None:
    """Go through the whole ledger and record what came of it. Raises LedgerError."""
    report = await _in_own_thread(kit)
    if report.fault is None:
        await kit.ledger(lambda tx, rec: doubts.audited(tx, rec, report.events, report.head))
        log.info("ledger.audited", events=report.events)
    else:
        found = report.fault
        log.error("ledger.damaged", problem=found)
        await kit.ledger(lambda tx, rec: doubts.damaged(tx, rec, found))
    kit.audited.set()
    kit.ring()


async def _in_own_thread(kit: Kit) -> AuditReport:
    stop = Event()

    def work() -> AuditReport:
        with kit.database.standing_still() as path:
            return audit(path, stop)

    with ThreadPoolExecutor(1, thread_name_prefix="audit") as thread:
        running = asyncio.get_running_loop().run_in_executor(thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([running])
            running.exception()  # AuditStopped, or whatever came first: nobody asks for it any more
            raise


async def _try(work: "Awaitable[None]") -> bool:
    try:
        await work
    except LedgerError as error:
        log.error("ledger.watch_failed", problem=error.told())  # noqa: TRY400 - the sentence says it all
        return False
    return True
