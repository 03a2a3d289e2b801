"""The tus 1.0.0 endpoints under `/files/`: core, creation, creation-with-upload, expiration, termination, checksum.

Termination is for unfinished uploads only. Source: the tus 1.0.0 protocol.
"""

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agent.depot.append import append
from agent.depot.depot import MAX_LENGTH_BYTES, Depot
from agent.depot.download import stream_object
from agent.depot.expiry import expires_header
from agent.depot.headers import (
    ALGORITHMS,
    VERSION,
    checksum_of,
    has_body,
    length_of,
    need_offset_stream,
    need_version,
    number,
)
from agent.depot.metadata import parse_label, write_label
from agent.depot.refusal import Refusal
from agent.depot.upload import Upload

_EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
_SPEAKS = {"Tus-Resumable": VERSION}


def depot_of(request: Request) -> Depot:
    """The depot that the application was made for."""
    depot: Depot = request.app.state.depot
    return depot


def station_of(request: Request) -> str:
    """The station that the gate let in."""
    station: str = request.scope["station"]
    return station


def capabilities(depot: Depot) -> Response:
    """The answer to OPTIONS: what this server truly does."""
    headers = {
        **_SPEAKS,
        "Tus-Version": VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Dock-Announcements": "1",
    }
    if depot.max_size_bytes < MAX_LENGTH_BYTES:
        headers["Tus-Max-Size"] = str(depot.max_size_bytes)
    return Response(status_code=204, headers=headers)


async def _expiry(depot: Depot, upload: Upload) -> dict[str, str]:
    return await depot.workers.run(expires_header, depot.acceptance.part_of(upload.id))


class Creation(HTTPEndpoint):
    """`/files/`: where uploads are created."""

    async def options(self, request: Request) -> Response:
        """Say what the server can do."""
        return capabilities(depot_of(request))

    async def post(self, request: Request) -> Response:
        """Create an upload; a body of upload bytes is taken in at once."""
        need_version(request.headers)
        length = length_of(request.headers)
        label = parse_label(request.headers.get("upload-metadata", ""))
        with_bytes = has_body(request.headers)
        if with_bytes:
            need_offset_stream(request.headers)
        checksum_of(request.headers)  # refuse before anything is created
        upload = await depot_of(request).create(station_of(request), length, label)
        headers = {**_SPEAKS, "Location": f"/files/{upload.id}"}
        if with_bytes:
            headers["Upload-Offset"] = str(await self._first_bytes(request, upload))
        headers |= await _expiry(depot_of(request), upload)
        return Response(status_code=201, headers=headers)

    async def _first_bytes(self, request: Request, upload: Upload) -> int:
        depot = depot_of(request)
        async with depot.work_on(upload.station, upload.id) as work:
            whole = False
            try:
                upload, offset = await append(
                    depot,
                    work,
                    request.receive,
                    announced_bytes=number(request.headers, "Content-Length"),
                    checksum=checksum_of(request.headers),
                )
                whole = not await request.is_disconnected()
            finally:
                # Its client never learns where the upload is, so nobody could ever go on with it.
                if not whole and work.part is not None and upload.finished_us is None:
                    await depot.workers.run(depot.acceptance.forget, upload)
        return offset


class Files(HTTPEndpoint):
    """`/files/<id>`: one upload."""

    async def options(self, request: Request) -> Response:
        """Say what the server can do."""
        return capabilities(depot_of(request))

    async def head(self, request: Request) -> Response:
        """Tell how many bytes are durable."""
        need_version(request.headers)
        depot = depot_of(request)
        async with depot.work_on(station_of(request), request.path_params["upload"]) as work:
            if work.part is not None:
                await depot.workers.run(work.part.sync)  # after a restart the bytes may be in memory only
            upload, offset = work.upload, work.offset_bytes
        headers = {
            **_SPEAKS,
            "Cache-Control": "no-store",
            "Upload-Offset": str(offset),
            "Upload-Length": str(upload.length_bytes),
        }
        headers |= await _expiry(depot, upload)
        if upload.label:
            headers["Upload-Metadata"] = write_label(upload.label)
        return Response(headers=headers)

    async def patch(self, request: Request) -> Response:
        """Append the body at the offset that the client believes in, if it is the true one."""
        need_version(request.headers)
        need_offset_stream(request.headers)
        offset = number(request.headers, "Upload-Offset")
        if offset is None:
            raise Refusal(400, "bad_header", "Upload-Offset is missing")
        checksum = checksum_of(request.headers)
        depot = depot_of(request)
        async with depot.work_on(station_of(request), request.path_params["upload"]) as work:
            if offset != work.offset_bytes:
                message = f"the upload stands at {work.offset_bytes}, not at {offset}; ask with HEAD and go on there"
                raise Refusal(409, "wrong_offset", message, {"Upload-Offset": str(work.offset_bytes)})
            announced = number(request.headers, "Content-Length")
            upload, reached = await append(depot, work, request.receive, announced_bytes=announced, checksum=checksum)
        headers = {**_SPEAKS, "Upload-Offset": str(reached), **await _expiry(depot, upload)}
        return Response(status_code=204, headers=headers)

    async def delete(self, request: Request) -> Response:
        """Terminate an unfinished upload."""
        need_version(request.headers)
        depot = depot_of(request)
        async with depot.work_on(station_of(request), request.path_params["upload"]) as work:
            if work.part is None:
                raise Refusal(403, "finished", "a finished upload is evidence; no client can remove it")
            await depot.workers.run(depot.acceptance.drop, work.upload)
        return Response(status_code=204, headers=_SPEAKS)

    async def get(self, request: Request) -> StreamingResponse:
        """Give the bytes of a finished upload back."""
        depot = depot_of(request)
        upload = await depot.find(station_of(request), request.path_params["upload"])
        if upload.finished_us is None:
            raise Refusal(409, "unfinished", "the upload has not all its bytes yet")
        return await stream_object(depot, upload)
