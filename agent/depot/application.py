"""The ASGI application: routes, the gate before them, and refusals as JSON.

Nothing passes the gate without a station's credential but OPTIONS and `GET /health`; what a path means is looked at
only afterwards, so that a stranger learns nothing from the difference.
"""

import errno
import logging
import sqlite3

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.depot import stations
from agent.depot.announcements import Announcements
from agent.depot.depot import Depot
from agent.depot.headers import VERSION
from agent.depot.proofs import ObjectBytes, ReceiptByDigest, ReceiptOfUpload
from agent.depot.refusal import Refusal
from agent.depot.sightings import Sightings
from agent.depot.tus import Creation, Files, capabilities

log = logging.getLogger(__name__)

_OVERRIDES = frozenset({"PATCH", "DELETE", "HEAD"})
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def create_app(depot: Depot) -> Starlette:
    """Make the application that serves `depot`."""
    routes = [
        Route("/files", Creation),
        Route("/files/", Creation),
        Route("/files/{upload}", Files),
        Route("/receipts/by-digest/{sha256}", ReceiptByDigest),
        Route("/receipts/{upload}", ReceiptOfUpload),
        Route("/objects/{sha256}", ObjectBytes),
        Route("/announcements", Announcements),
        Route("/sightings/{sha256}", Sightings),
        Route("/health", _health, methods=["GET"]),
    ]
    handlers = {Refusal: _on_refusal, HTTPException: _on_http, OSError: _on_disk, sqlite3.Error: _on_disk}
    app = Starlette(routes=routes, middleware=[Middleware(_Gate, depot=depot)], exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.depot = depot
    return app


class _Gate:
    """Finds out which station asks, and turns a POST into the method it stands for."""

    def __init__(self, app: ASGIApp, depot: Depot) -> None:
        self._app = app
        self._depot = depot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        method = _method(scope["method"], headers)
        if method == "OPTIONS":
            await capabilities(self._depot)(scope, receive, send)
            return
        station = stations.station_of(self._depot.directory, headers.get("authorization", ""))
        if station is None and not (method == "GET" and scope["path"] == "/health"):
            message = "give a station's credential: Authorization: Bearer ..."
            refusal = Refusal(401, "unauthorised", message, {"WWW-Authenticate": 'Bearer realm="depot"'})
            await _answer(refusal)(scope, receive, send)
            return
        await self._app({**scope, "method": method, "station": station}, receive, send)


def _method(method: str, headers: Headers) -> str:
    override = headers.get("x-http-method-override", "").upper()
    return override if method == "POST" and override in _OVERRIDES else method


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _on_refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - by registration
    return _answer(error)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - by registration
    return _answer(Refusal(error.status_code, "not_here", str(error.detail), error.headers))


async def _on_disk(request: Request, error: Exception) -> Response:
    log.error("request.failed", exc_info=error, extra={"method": request.method})
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _answer(Refusal(507, "disk_full", "the depot's disk is full; tell its operator"))
    return _answer(Refusal(500, "storage_failed", "the depot's disk failed; ask again, and tell its operator"))


def _answer(refusal: Refusal) -> Response:
    headers = {"Tus-Resumable": VERSION, "Cache-Control": "no-store", **refusal.headers}
    return JSONResponse({"error": refusal.code, "message": str(refusal)}, refusal.status, headers)
