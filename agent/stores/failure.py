"""What a broken connection means: the HTTP library's errors in the words of the agent."""

import os

import httpx

from agent.core.errors import StoreError, StoreUnreachable
from agent.stores.remote import Remote
from agent.stores.tls import certificate_time_refused, is_about_time, tls_cause, tls_refusal
from agent.stores.way_out import blocked_way

HTTP_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
"""Everything that the HTTP library raises, TLS alerts that it lets through as they are included."""


_WAY_HINT = (
    "Plug the network in, or correct `interface` or `source` of the store; nothing leaves by another way. The spool"
    " keeps the footage and the upload goes on by itself."
)


def store_failure(error: Exception, doing: str, remote: Remote) -> StoreError:
    """Translate one of HTTP_FAILURES; messages name the kind of failure, never what the store sent."""
    blocked = blocked_way(error)
    if blocked is not None:
        return StoreUnreachable(f"{doing}: {blocked.strerror}", hint=_WAY_HINT)
    tls = tls_cause(error)
    if tls is not None:
        if is_about_time(tls):
            return certificate_time_refused(tls, doing, remote.clock(), remote.passed)
        refused = tls_refusal(tls, doing, connecting=isinstance(error, httpx.ConnectError))
        if refused is not None:
            return refused
    route = remote.route
    if route.proxy is not None:
        if isinstance(error, httpx.ProxyError):
            return route.proxy.refusal(error, doing, remote.endpoint.authority)
        if tls is None and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            late = isinstance(error, httpx.ConnectTimeout)
            return route.proxy.unreachable("no connection in time through" if late else "no connection to", doing)
    if isinstance(error, httpx.RemoteProtocolError) and "without" not in str(error):
        # "without sending ..." is a line that ended early; everything else is an answer that is no proper HTTP.
        return StoreError(f"{doing}: the store's answer is not proper HTTP, or its headers are too large")
    if isinstance(error, httpx.TransportError | OSError):
        by = f" by {route.way}" if route.way and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else ""
        why = _refusal(error) if isinstance(error, httpx.ConnectError) else ""
        return StoreUnreachable(f"{doing}: {_WORDS.get(type(error), 'the connection failed')}{by}{why}")
    return StoreError(f"{doing}: the request failed: {type(error).__name__}")


def _refusal(error: BaseException) -> str:
    """Why this machine could not connect, in the system's words: a wrong name and a closed port are mended apart."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            # Names that are not found have numbers of their own, below zero, and their words beside them.
            return f" ({os.strerror(seen.errno) if seen.errno > 0 else seen.strerror})"
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__ or seen.__context__
    return ""


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection to the store",
    httpx.ConnectTimeout: "the store does not answer the connection",
    httpx.ReadError: "the connection broke",
    httpx.ReadTimeout: "the store does not answer",
    httpx.WriteError: "the connection broke",
    httpx.WriteTimeout: "the store takes no more bytes",
    httpx.RemoteProtocolError: "the store ended the connection without an answer",
}
