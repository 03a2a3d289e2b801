"""What a broken connection means: the HTTP library's errors in the words of the agent."""

import httpx

from agent.core.errors import StoreError, StoreUnreachable
from agent.stores.remote import Remote
from agent.stores.tls import certificate_time_refused, is_about_time, tls_cause, tls_refusal

HTTP_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
"""Everything that the HTTP library raises, TLS alerts that it lets through as they are included."""


def store_failure(error: Exception, doing: str, remote: Remote) -> StoreError:
    """Translate one of HTTP_FAILURES; messages name the kind of failure, never what the store sent."""
    tls = tls_cause(error)
    if tls is not None:
        if is_about_time(tls):
            return certificate_time_refused(tls, doing, remote.clock(), remote.passed)
        refused = tls_refusal(tls, doing, connecting=isinstance(error, httpx.ConnectError))
        if refused is not None:
            return refused
    if isinstance(error, httpx.RemoteProtocolError) and "without" not in str(error):
        # "without sending ..." is a line that ended early; everything else is an answer that is no proper HTTP.
        return StoreError(f"{doing}: the store's answer is not proper HTTP, or its headers are too large")
    if isinstance(error, httpx.TransportError | OSError):
        return StoreUnreachable(f"{doing}: {_WORDS.get(type(error), 'the connection failed')}")
    return StoreError(f"{doing}: the request failed: {type(error).__name__}")


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection to the store",
    httpx.ConnectTimeout: "the store does not answer the connection",
    httpx.ReadError: "the connection broke",
    httpx.ReadTimeout: "the store does not answer",
    httpx.WriteError: "the connection broke",
    httpx.WriteTimeout: "the store takes no more bytes",
    httpx.RemoteProtocolError: "the store ended the connection without an answer",
}
