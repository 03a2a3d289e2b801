"""Expiry: unfinished uploads that nobody goes on with give their room back.

Rules: what counts is the time since the last byte, as the part's own time on disk says, so that a restart forgets
nothing. Nobody was ever told that an unfinished upload is safe, and a station whose upload has gone begins a new one:
nothing is lost but the time of sending. An upload that a request is at work on stays. Source: tus 1.0.0, expiration.
"""

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from agent.depot.depot import Depot
from agent.depot.refusal import Refusal
from agent.depot.upload import Upload

log = logging.getLogger(__name__)

EXPIRE = timedelta(days=7)
"""An upload that got no byte for so long is dropped."""
EVERY_S = timedelta(minutes=10).total_seconds()


def expires_at(part: Path) -> datetime:
    """When an upload expires unless more bytes come. Raises FileNotFoundError, OSError."""
    return datetime.fromtimestamp(int(part.stat().st_mtime), UTC) + EXPIRE


def expires_header(part: Path) -> dict[str, str]:
    """What an answer about an upload says of its end: nothing when it is finished, for then there is no part."""
    try:
        return {"Upload-Expires": format_datetime(expires_at(part), usegmt=True)}
    except FileNotFoundError:
        return {}


async def expire_now_and_then(depot: Depot) -> None:
    """Drop what has expired, at once and every ten minutes, until cancelled."""
    while True:
        try:
            await drop_expired(depot)
        except (OSError, sqlite3.Error):
            log.exception("request.failed", extra={"method": "expiry"})
        await asyncio.sleep(EVERY_S)


async def drop_expired(depot: Depot) -> int:
    """Drop every unfinished upload whose time is over; returns how many. Raises sqlite3.Error.

    One that the disk does not let go stays for the next round, and keeps none of the others.
    """
    dropped = 0
    for upload in await depot.workers.run(depot.catalogue.unfinished):
        part = depot.acceptance.part_of(upload.id)
        try:
            if await depot.workers.run(_is_over, part, depot.clock()) and not depot.turns.is_taken(upload.id):
                dropped += await _drop(depot, upload)
        except OSError as error:
            log.warning("upload.not_expired", extra={"upload": upload.id, "reason": str(error)})
    return dropped


def _is_over(part: Path, now: datetime) -> bool:
    try:
        return expires_at(part) <= now
    except FileNotFoundError:
        return False  # finished or terminated meanwhile, or to be put right when its station asks


async def _drop(depot: Depot, upload: Upload) -> bool:
    try:
        # This finishes an upload that is whole and was only never asked for again.
        async with depot.work_on(upload.station, upload.id) as work:
            if work.part is None or not await depot.workers.run(_is_over, work.part.path, depot.clock()):
                return False  # whole, or some bytes came just now
            await depot.workers.run(depot.acceptance.drop, work.upload)
    except Refusal:
        return False  # gone meanwhile, or in other hands
    log.info("upload.expired", extra={"upload": upload.id, "station": upload.station})
    return True
