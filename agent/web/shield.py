"""What stands before every route: who may ask, how, and the headers that every answer carries.

The page's listener is reachable by any web site that a browser on this machine opens. So it only reads, answers
to loopback names alone (DNS rebinding), and refuses what another site's page asks for. The Unix socket is guarded
by its file permissions instead.
"""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.web.answer import refused
from agent.web.refusal import Refusal

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_OWN = {name for name, _ in _ENCODED}
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_READS = ("GET", "HEAD")
_FOREIGN = ("cross-site", "same-site")


def with_headers(send: Send) -> Send:
    """Give every answer that goes through `send` the headers, in place of its own of these names."""

    async def shielded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in _OWN]
            message = {**message, "headers": [*kept, *_ENCODED]}
        await send(message)

    return shielded


class Shield:
    """Middleware: lets a request pass or refuses it."""

    def __init__(self, app: ASGIApp, *, writable: bool, allowed_hosts: frozenset[str]) -> None:
        """`allowed_hosts`: lower-case host names without a port, IPv6 in brackets. Unused when `writable`."""
        self._app = app
        self._writable = writable
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = with_headers(send)
        refusal = None if self._writable else self._refusal(scope["method"], Headers(scope=scope))
        app = self._app if refusal is None else refused(refusal)
        await app(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> Refusal | None:
        hosts = headers.getlist("host")
        named = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if named is None or named[1] not in self._allowed_hosts:
            hint = "Open the page by a loopback name, such as 127.0.0.1."
            return Refusal(421, "this address does not belong to the station's page", hint)
        if method not in _READS:
            hint = "Use the dock-agent command on the station; it speaks through the Unix socket."
            return Refusal(405, "this listener only reads", hint)
        foreign = headers.get("sec-fetch-site") in _FOREIGN and headers.get("sec-fetch-mode") != "navigate"
        return Refusal(403, "another site's page may not ask here") if foreign else None
