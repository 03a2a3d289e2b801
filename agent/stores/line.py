"""One connection that carries the bytes of clips, and the means to end it from outside.

Blocking, HTTP/1.1, used by one worker thread at a time: with blocks of 1 MiB this costs a third less processor
time than the asyncio client. A blocked call ends when it makes no progress for the stall time, when its deadline
passes, or when `cut` shuts the socket down.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from agent.core.errors import StoreLied, StoreUnreachable
from agent.stores.control import BASE_HEADERS, no_cookies
from agent.stores.failure import HTTP_FAILURES, store_failure
from agent.stores.remote import Remote

_SENT = "http11.receive_response_headers.started"
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class Line:
    """At most one open connection to the store."""

    def __init__(self, remote: Remote, connect_s: float, stall_s: float) -> None:
        """`stall_s` is the longest time in which not one byte may move."""
        self._remote = remote
        self._endpoint = remote.endpoint
        self.refuse_here = remote.refuse_here
        self._socket: socket.socket | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.was_cut = False
        self.on_sent: Callable[[], None] | None = None
        """Called in the worker's thread when the request left, or the store would not take more of it."""
        self._client = httpx.Client(
            headers=BASE_HEADERS,
            verify=remote.tls,
            timeout=httpx.Timeout(stall_s, connect=connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=3.0),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    @contextmanager
    def exchange(
        self, method: str, url: str, doing: str, headers: Mapping[str, str], body: Iterator[memoryview] | None = None
    ) -> Iterator[httpx.Response]:
        """Send a request and hand out the answer, its body unread. Blocks. Raises StoreError kinds."""
        if not self._endpoint.owns(url):
            raise StoreLied(f"{doing}: an address outside the configured store was about to be used")
        try:
            # Views go to the socket as they are; the library's type asks for bytes, which they behave like.
            content: Any = body
            extensions = {"trace": self._traced}
            known = self._remote.headers(headers)
            with self._client.stream(method, url, headers=known, content=content, extensions=extensions) as response:
                yield response
        except HTTP_FAILURES as error:
            if self.was_cut:
                raise StoreUnreachable(f"{doing}: the store did not answer in time") from error
            raise store_failure(error, doing, self._remote) from error

    def cut(self) -> None:
        """End whatever this line is doing, from any thread; the line is then only good for `close`."""
        self.was_cut = True
        if self._socket is not None:
            # Not SSLSocket.shutdown: that one strips the encryption off while the other thread still writes.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def allow(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Cut the line unless `allow` or `release` is called again within `seconds`; from any thread."""
        loop.call_soon_threadsafe(self._allow, loop, seconds)

    def _allow(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.release()
        self._deadline = loop.call_later(seconds, self.cut)

    def release(self) -> None:
        """Forget the deadline; on the loop's thread."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._client.close()

    def _traced(self, event: str, info: dict[str, Any]) -> None:
        if event == _SENT and self.on_sent is not None:
            self.on_sent()
        if event in _CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")
            if self.was_cut:
                self.cut()
