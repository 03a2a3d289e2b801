"""The endpoints that prove: receipts, and the bytes of an object."""

import re
from http import HTTPStatus

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from agent.core.object import Digest, as_digest
from agent.depot.download import stream_object
from agent.depot.refusal import Refusal
from agent.depot.tus import depot_of, station_of
from agent.depot.upload import Upload

_NONCE = re.compile(r"[0-9a-f]{32,64}")


class ReceiptOfUpload(HTTPEndpoint):
    """`/receipts/<upload id>?nonce=`."""

    async def get(self, request: Request) -> JSONResponse:
        """Issue a receipt for a finished upload."""
        nonce = _nonce(request)
        upload = await depot_of(request).find(station_of(request), request.path_params["upload"])
        return await _receipt(request, upload, nonce)


class ReceiptByDigest(HTTPEndpoint):
    """`/receipts/by-digest/<sha256>?nonce=`."""

    async def get(self, request: Request) -> JSONResponse:
        """Issue a receipt for bytes that the station has sent before, so that it need not send them again."""
        nonce = _nonce(request)
        upload = await depot_of(request).find_object(station_of(request), _digest(request))
        try:
            return await _receipt(request, upload, nonce, anew=True)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.GONE:
                raise
            message = "this station has no finished upload of these bytes"  # so the station sends them again
            raise Refusal(404, "unknown_object", message) from refusal


class ObjectBytes(HTTPEndpoint):
    """`/objects/<sha256>`."""

    async def get(self, request: Request) -> StreamingResponse:
        """Give the bytes back to a station that has sent them."""
        depot = depot_of(request)
        return await stream_object(depot, await depot.find_object(station_of(request), _digest(request)))


async def _receipt(request: Request, upload: Upload, nonce: str, *, anew: bool = False) -> JSONResponse:
    receipt = await depot_of(request).receipt(upload, nonce, anew=anew)
    body = {"statement": receipt.statement, "signature": receipt.signature, "key": receipt.key}
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _nonce(request: Request) -> str:
    nonce = request.query_params.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise Refusal(400, "bad_nonce", "give nonce= with 32 to 64 lower-case hex digits, new for every receipt")
    return nonce


def _digest(request: Request) -> Digest:
    try:
        return as_digest(request.path_params["sha256"])
    except ValueError:
        raise Refusal(404, "unknown_object", "a digest is 64 lower-case hex digits") from None
