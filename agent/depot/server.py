"""Serving the depot: uvicorn with httptools, bounded in connections, heads, and time, without an access log."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from agent.depot.application import create_app
from agent.depot.depot import Depot
from agent.depot.door import Door
from agent.depot.expiry import expire_now_and_then
from agent.depot.guests import Guest, Guests
from agent.depot.refusal import DepotError
from agent.files.kernel import keep_freed_memory

MAX_HEAD_BYTES = 65_536
READ_BYTES = 1 << 20
"""What of a body is taken from a connection at once: each taking costs the loop some tenths of a millisecond."""
KEPT_BYTES = 32 << 20
"""Freed memory that is kept for the blocks of the next bytes."""
HEAD_S = 20.0
"""A connection that has not sent a whole request head by then is closed."""
KEEP_ALIVE_S = 30
GRACE_S = 4
"""Requests have this long to come to an end once the depot is asked to stop."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the server's certificate chain and key; with `client_ca` clients must show a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A bound socket that does not listen yet, and the host as it was asked for."""

    host: str
    listener: socket.socket


def take_address(host: str, port: int, tls: Tls | None = None) -> Address:
    """Bind an address for `serve`, and see whether `tls` can be used, before anything is made on the disk.

    Nobody is let in yet, so that who comes early is refused at once and does not wait. Port 0 picks a free one.
    Raises DepotError.
    """
    _config(_nobody, tls)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _no_address(f"{host} port {port}", error) from error
    return Address(host, listener)


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Stand in for the application while only the files for TLS are looked at."""


async def serve(
    depot: Depot,
    address: Address,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
    tls: Tls | None = None,
) -> None:
    """Serve until `stop` is set; `on_ready` gets the upload URL once requests are answered.

    `address` is from `take_address`, with the same `tls`; it is closed here in any case. Raises DepotError when one
    of them cannot be used. Cancellation: requests are cut, what they brought stays on disk.
    """
    with address.listener:
        config = _config(create_app(depot), tls)
        await _serve(depot, address, config, stop=stop, on_ready=on_ready)


async def _serve(
    depot: Depot,
    address: Address,
    config: uvicorn.Config,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    context = config.ssl if isinstance(config.ssl, ssl.SSLContext) else None
    scheme = "https" if context else "http"
    host, listener = address.host, address.listener
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}/files/"
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _no_address(f"{host} port {port}", error) from error
    server, guests = _Server(config, lambda: on_ready(url)), Guests()
    buffer = memoryview(bytearray(READ_BYTES))
    keep_freed_memory(KEPT_BYTES, blocks_up_to=4 * READ_BYTES)
    door = Door(listener, guests, lambda guest: _Protocol(config, server.server_state, guests, guest, buffer), context)
    async with asyncio.TaskGroup() as group:
        flows = [group.create_task(door.run()), group.create_task(expire_now_and_then(depot))]
        group.create_task(_end_on(stop, depot, server, flows))
        try:
            await server.serve(sockets=[])  # the door has the listener
        finally:
            stop.set()


class _Server(uvicorn.Server):
    """A server that tells when it answers, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """HTTP/1.1 with a bound on a request head's size and time, which uvicorn has for h11 only.

    Bytes come through one buffer that all connections share: what is in it is parsed before the next one reads.
    """

    _in_head = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    _in_body = False

    def __init__(
        self, config: uvicorn.Config, state: ServerState, guests: Guests, guest: Guest, buffer: memoryview
    ) -> None:
        super().__init__(config, state, {})
        self._buffer = buffer
        self._guests = guests
        self._guest = guest

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._guests.left(self._guest)
        self._head_arrived()
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop has no better idea
        return self._buffer if self._in_body else self._buffer[:MAX_HEAD_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._buffer[:nbytes])  # type: ignore[arg-type] # the parser takes any buffer

    def data_received(self, data: bytes) -> None:
        continued = self._in_head
        super().data_received(data)
        if continued and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(b"HTTP/1.1 431 \r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._head_arrived()
        self._guests.is_served(self._guest)
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._guests.waits(self._guest)
        super().on_response_complete()

    def _expect_head(self) -> None:
        self._head_arrived()
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_arrived(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


async def _end_on(stop: asyncio.Event, depot: Depot, server: _Server, flows: Iterable["asyncio.Task[None]"]) -> None:
    await stop.wait()
    for flow in flows:
        flow.cancel()
    depot.closing.set()
    depot.turns.close()
    server.should_exit = True


def _config(app: ASGIApp, tls: Tls | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=tls.client_ca if tls else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
        ssl_ciphers=_CIPHERS if tls else None,
    )
    for file in (tls.certificate, tls.key, tls.client_ca) if tls else ():
        if file is not None and not file.is_file():
            hint = "Give PEM files that belong together and that this user can read."
            raise DepotError(f"there is no file {file}, which is to be used for TLS", hint=hint)
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        hint = "Give PEM files that belong together and that this user can read."
        raise DepotError(f"the TLS certificate, key or client CA cannot be used: {error}", hint=hint) from error
    if isinstance(config.ssl, ssl.SSLContext):
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def _no_address(where: str, error: Exception) -> DepotError:
    hint = "Give --listen a free port on an address of this machine; port 0 picks one."
    return DepotError(f"cannot listen on {where}: {error}", hint=hint)
