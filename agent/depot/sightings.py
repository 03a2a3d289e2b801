"""Sightings: further clips whose bytes a station has brought before, so that each clip has its line in the list.

Rules: a station tells of its own objects only; the same again changes nothing; of one object so many are kept, the
first. They prove nothing, and no receipt depends on them.
"""

import json
import sqlite3
from dataclasses import dataclass

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from agent.core.object import as_digest
from agent.depot.metadata import Label, parse_label, raw
from agent.depot.refusal import Refusal
from agent.depot.tus import depot_of, station_of
from agent.depot.upload import Upload, UploadId, to_us

MAX_OF_ONE_OBJECT = 1000


@dataclass(frozen=True, slots=True)
class Sighted:
    """A clip with the bytes of a finished upload. `told_us` is the first time, since 1970 UTC."""

    upload: UploadId
    label: Label
    told_us: int


class Sightings(HTTPEndpoint):
    """`/sightings/<sha256>`, with the clip's label as `Upload-Metadata`."""

    async def post(self, request: Request) -> Response:
        """Keep it, durably."""
        depot = depot_of(request)
        try:
            digest = as_digest(request.path_params["sha256"])
        except ValueError:
            raise Refusal(404, "unknown_object", "a digest is 64 lower-case hex digits") from None
        label = parse_label(request.headers.get("upload-metadata", ""))
        if not raw(label, "clip"):
            raise Refusal(400, "no_clip", "say in Upload-Metadata which clip it is")
        upload = await depot.find_object(station_of(request), digest)
        now_us = to_us(depot.clock())
        await depot.workers.run(depot.catalogue.change, lambda db: keep(db, upload, label, now_us))
        return Response(status_code=204, headers={"Cache-Control": "no-store"})


def keep(db: sqlite3.Connection, upload: Upload, label: Label, now_us: int) -> None:
    """Record what is new; within a transaction. The clip that the upload itself is of has its line already."""
    if label["clip"] == upload.label.get("clip"):
        return
    db.execute(
        "INSERT INTO sightings (upload, clip, metadata, told_us) SELECT :upload, :clip, :metadata, :now"
        " WHERE (SELECT count(*) FROM sightings WHERE upload = :upload) < :most ON CONFLICT DO NOTHING",
        {
            "upload": upload.id,
            "clip": label["clip"],
            "metadata": json.dumps(dict(label)),
            "now": now_us,
            "most": MAX_OF_ONE_OBJECT,
        },
    )


def sighted(db: sqlite3.Connection) -> list[Sighted]:
    """All of them, oldest first."""
    rows = db.execute("SELECT upload, metadata, told_us FROM sightings ORDER BY number")
    return [Sighted(UploadId(upload), json.loads(metadata), told_us) for upload, metadata, told_us in rows]
