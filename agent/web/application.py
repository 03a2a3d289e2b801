"""The ASGI application: routes, the shield before them, and errors as JSON.

One application for both listeners: the loopback one reads only, the Unix socket also takes orders.
"""

import asyncio

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import AgentError
from agent.ports import Desk
from agent.web.answer import refused
from agent.web.orders import Orders
from agent.web.page import Page
from agent.web.reading import Reading
from agent.web.refusal import Refusal
from agent.web.shield import HEADERS, Shield
from agent.web.stream import HEARTBEAT_S, Feed, ViewStream

log = structlog.get_logger()

_API = "/api/v1"


def create_app(
    desk: Desk,
    *,
    writable: bool,
    allowed_hosts: frozenset[str],
    closing: asyncio.Event | None = None,
    heartbeat_s: float = HEARTBEAT_S,
) -> Starlette:
    """Make the application for one listener.

    `writable`: takes orders (the Unix socket); otherwise it only reads, and only under `allowed_hosts`, lower-case
    names without a port, IPv6 in brackets. Setting `closing` ends all streams, so that a server can stop.
    """
    closing = closing or asyncio.Event()
    routes = [*_reading_routes(desk, Feed(desk, closing, heartbeat_s))]
    if writable:
        orders = Orders(desk, closing)
        routes += [
            Route(f"{_API}/actions/{{action:path}}", orders.act, methods=["POST"]),
            Route(f"{_API}/offload", orders.offload, methods=["POST"]),
        ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Shield, writable=writable, allowed_hosts=allowed_hosts)],
        exception_handlers={
            Refusal: _on_refusal,
            HTTPException: _on_http,
            AgentError: _on_agent_error,
            Exception: _on_crash,
        },
    )
    app.router.redirect_slashes = False
    return app


def _reading_routes(desk: Desk, feed: Feed) -> list[Route]:
    reading, page = Reading(desk), Page(desk)

    async def stream(_request: Request) -> ViewStream:
        return ViewStream(feed)

    return [
        Route("/", page.page),
        Route("/static/{name:path}", page.static),
        Route("/metrics", reading.metrics),
        Route(f"{_API}/station", reading.station),
        Route(f"{_API}/bays", reading.bays),
        Route(f"{_API}/clips", reading.clips),
        Route(f"{_API}/queue", reading.queue),
        Route(f"{_API}/events", reading.events),
        Route(f"{_API}/custody", reading.custody),
        Route(f"{_API}/health", reading.health),
        Route(f"{_API}/stream", stream),
    ]


async def _on_refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - by registration
    return refused(error)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - by registration
    answer = refused(Refusal(error.status_code, error.detail.lower(), "The routes are listed in docs/api.md."))
    answer.headers.update(error.headers or {})
    return answer


async def _on_agent_error(_request: Request, error: Exception) -> Response:
    """The desk could not answer. Its hint is written for people; its message may hold more than they may see."""
    assert isinstance(error, AgentError)  # noqa: S101 - by registration
    log.warning("request.failed", code=error.code, problem=str(error))
    return refused(Refusal(503, f"the agent could not answer ({error.code})", error.hint))


async def _on_crash(request: Request, error: Exception) -> Response:
    """Nothing of the error leaves the agent. Its traceback is logged by the server, which gets it after this."""
    log.error("request.crashed", route=request.url.path, error=type(error).__name__)
    answer = refused(Refusal(500, "internal error"))
    answer.headers.update(HEADERS)  # made outside of the shield
    return answer
