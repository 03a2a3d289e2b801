"""One connection that carries the bytes of clips, and the means to end it from outside.

Blocking, HTTP/1.1, used by one worker thread at a time: with blocks of 1 MiB this costs a third less processor
time than the asyncio client. A blocked call ends when it makes no progress for the stall time, when its deadline
passes, or when `cut` shuts the socket down.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx

from agent.core.errors import StoreLied, StoreUnreachable
from agent.core.piece_policy import Pieces
from agent.core.yield_policy import LineLook
from agent.stores.control import BASE_HEADERS, no_cookies
from agent.stores.failure import HTTP_FAILURES, store_failure
from agent.stores.remote import Remote
from agent.stores.tcp_info import tcp_info

_SENT = "http11.receive_response_headers.started"
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete", "proxy.start_tls.complete"})


_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=3.0)


class Line:
    """At most one open connection to the store."""

    def __init__(self, remote: Remote, connect_s: float, stall_s: float) -> None:
        """`stall_s` is the longest time in which not one byte may move."""
        self._remote = remote
        self._context = remote.context
        self._proxy_credential = remote.route.credential
        self._endpoint = remote.endpoint
        self.refuse_here = remote.refuse_here
        self._socket: socket.socket | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.pieces = Pieces()
        self._unsent_bytes = self.pieces.unsent_bytes
        self._looked_at = 0.0
        self._acked_bytes = 0
        self.was_cut = False
        self.on_sent: Callable[[], None] | None = None
        """Called in the worker's thread when the request left, or the store would not take more of it."""
        self._client = httpx.Client(
            headers=BASE_HEADERS,
            transport=remote.route.transport(self._context, _ONE),
            timeout=httpx.Timeout(stall_s, connect=connect_s),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    @property
    def is_current(self) -> bool:
        """Whether no certificate, CA or proxy's credential was renewed since this line was made."""
        renewed = self._remote.route.credential != self._proxy_credential
        return self._remote.context is self._context and not renewed

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
            self._looked_at = time.monotonic()
            with self._client.stream(method, url, headers=known, content=content, extensions=extensions) as response:
                proxy = self._remote.route.proxy
                if proxy is not None and response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                    raise proxy.credential_refused(doing)
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

    def hold_unsent(self, size_bytes: int) -> None:
        """Let the kernel hold at most so many bytes that it has not sent yet.

        Without a bound it takes megabytes at once: on a slow line the answer then seems late, and progress is shown
        that is none. Not the size of the send buffer: that would also bound what is on its way, and with it the speed
        over a long distance, for good. Source: tcp(7), TCP_NOTSENT_LOWAT.
        """
        if size_bytes != self._unsent_bytes:
            self._unsent_bytes = size_bytes
            self._hold_back()

    def _hold_back(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the connection has ended: whoever uses it next is told
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._unsent_bytes)

    def look(self) -> LineLook | None:
        """How the connection is; None when nothing can be told."""
        found = None if self._socket is None else tcp_info(self._socket)
        if found is None:
            return None
        now, before_bytes = time.monotonic(), self._acked_bytes
        busy_s, self._looked_at, self._acked_bytes = now - self._looked_at, now, found.acked_bytes
        return LineLook(found.rtt_s, found.least_rtt_s, found.acked_bytes - before_bytes, busy_s)

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
        # Through a proxy a request to open the way comes first; its own body is still to come then.
        if event == _SENT and self.on_sent is not None and info["request"].method != b"CONNECT":
            self.on_sent()
        if event in _CONNECTED:
            self._acked_bytes = 0
            self._socket = info["return_value"].get_extra_info("socket")
            self._hold_back()
            if self.was_cut:
                self.cut()
