"""Connections that hand the bytes of a body to the socket as they are.

The library joins each piece of a body into new bytes, and copies what is left of them whenever the socket took only
some: that cost as much as the sending itself. Its pieces are otherwise untouched, so a view of memory may be given.
Through a proxy the library's own connections are used.
"""

import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx

if TYPE_CHECKING:
    import h11


class BodyPool(httpcore.ConnectionPool):
    """A pool of such connections."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        """Nothing is connected yet."""
        super().__init__(
            tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
        )

    def create_connection(self, origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        """Make one; it connects with its first request."""
        return _Straight(origin, self._ssl_context, self._keepalive_expiry, network_backend=self._network_backend)


class _Straight(httpcore.HTTPConnection):
    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        with self._request_lock:
            if self._connection is None:
                try:
                    stream = self._connect(request)
                except BaseException:
                    self._connect_failed = True
                    raise
                self._connection = _StraightHTTP11(self._origin, stream, self._keepalive_expiry)
        return super().handle_request(request)


class _StraightHTTP11(httpcore.HTTP11Connection):
    def _send_event(self, event: "h11.Event", timeout: float | None = None) -> None:
        for data in self._h11_state.send_with_data_passthrough(event) or ():
            self._network_stream.write(data, timeout=timeout)
