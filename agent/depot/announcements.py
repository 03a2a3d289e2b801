"""Announcements: what stations say that they will bring. Kept in the catalogue until it arrives.

Rules: a station announces in its own name only; the same again changes nothing but the priority; of one station so many
are kept, the newest. None ever ends by age: what was announced and does not come is what somebody should ask about.
"""

import asyncio
import sqlite3
from dataclasses import dataclass

from starlette.endpoints import HTTPEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from agent.core.announcement import MAX_BYTES, Announced, Announcement
from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.depot.refusal import Refusal
from agent.depot.tus import depot_of, station_of
from agent.depot.upload import to_us

MAX_OF_ONE_STATION = 200_000
BODY_S = 20.0
"""An announcement is small: whoever takes longer to send one holds a place for nothing."""
_CLOSE = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Awaited:
    """An object that a station has announced and not brought. `announced_us` is the first time, since 1970 UTC."""

    station: str
    object: Announced
    announced_us: int


class Announcements(HTTPEndpoint):
    """`/announcements`."""

    async def post(self, request: Request) -> Response:
        """Take an announcement in, durably."""
        depot, station = depot_of(request), station_of(request)
        try:
            announcement = Announcement.parse(await _body(request))
        except ValueError as error:
            raise Refusal(400, "bad_announcement", f"the announcement cannot be read: {error}", _CLOSE) from error
        if announcement.station != station:
            message = "a station announces in its own name only"
            raise Refusal(403, "other_station", message, _CLOSE)
        now_us = to_us(depot.clock())
        await depot.workers.run(depot.catalogue.change, lambda db: keep(db, announcement, now_us))
        return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Refusal(413, "too_large", f"an announcement has at most {MAX_BYTES} bytes", _CLOSE)
    except TimeoutError as error:
        raise Refusal(408, "idle", "the announcement did not arrive in time; send it again", _CLOSE) from error
    except ClientDisconnect as error:
        raise Refusal(400, "bad_announcement", "the announcement was cut off", _CLOSE) from error
    return bytes(body)


def keep(db: sqlite3.Connection, announcement: Announcement, now_us: int) -> None:
    """Record what is not here yet, and forget the oldest beyond the limit; within a transaction."""
    station = announcement.station
    db.executemany(
        "INSERT INTO announcements (station, sha256, size, camera, path, started_at, event, urgent, announced_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (station, sha256) DO UPDATE SET urgent = excluded.urgent"
        " WHERE urgent <> excluded.urgent",
        [
            (station, o.sha256, o.size_bytes, o.camera, o.path, o.started_at, int(o.event), int(o.urgent), now_us)
            for o in announcement.objects
        ],
    )
    db.execute(
        "DELETE FROM announcements WHERE station = :station AND number <="
        " (SELECT number FROM announcements WHERE station = :station ORDER BY number DESC LIMIT 1 OFFSET :most)",
        {"station": station, "most": MAX_OF_ONE_STATION},
    )


def awaited(db: sqlite3.Connection) -> list[Awaited]:
    """All that was announced and has not arrived, oldest first."""
    rows = db.execute(
        "SELECT station, announced_us, sha256, size, camera, path, started_at, event, urgent FROM announcements"
        " ORDER BY number"
    )
    return [
        Awaited(
            station,
            Announced(Digest(sha256), size, CameraId(camera), bytes(path), started_at, bool(event), bool(urgent)),
            announced_us,
        )
        for station, announced_us, sha256, size, camera, path, started_at, event, urgent in rows
    ]
