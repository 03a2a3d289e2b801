"""How connections leave the station: by which network interface, from which address.

Rules: a socket is bound before it connects, so that no packet ever leaves by another way; a way that is not there is
an error of its own, and nothing is sent by another one instead. Names are looked up by the system, by its own ways.
Source: socket(7), SO_BINDTODEVICE (no right is needed since Linux 5.7).
"""

import asyncio
import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpcore
from anyio.abc import SocketStream
from httpcore._backends.anyio import AnyIOStream  # the library has no public way to be given a socket
from httpcore._backends.sync import SyncStream

_GONE = {
    errno.ENODEV: "there is no network interface {interface}",
    errno.EADDRNOTAVAIL: "this station does not have the address {source}",
    errno.EPERM: "the kernel does not let connections be bound to the network interface {interface}",
}


class WayBlocked(OSError):
    """The interface or the address that connections should leave by is not there."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """The configured way; None is the kernel's own choice."""

    interface: str | None = None
    source: str | None = None

    def __bool__(self) -> bool:
        """Whether any way was configured."""
        return self.interface is not None or self.source is not None

    def __str__(self) -> str:
        """The way in words."""
        parts = (("interface", self.interface), ("address", self.source))
        return " and ".join(f"{name} {value}" for name, value in parts if value is not None)

    @property
    def family(self) -> socket.AddressFamily:
        """The only family of addresses that can be reached from the source."""
        if self.source is None:
            return socket.AF_UNSPEC
        return socket.AF_INET6 if ip_address(self.source).version == 6 else socket.AF_INET  # noqa: PLR2004

    def open(self, family: int) -> socket.socket:
        """Make a socket that can leave by this way only. Raises WayBlocked, OSError."""
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            if self.interface is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
            if self.source is not None:
                opened.bind((self.source, 0))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            opened.close()
            told = _GONE.get(error.errno or 0)
            if told is None:
                raise
            raise WayBlocked(error.errno, told.format(interface=self.interface, source=self.source)) from error
        return opened


class BoundBackend(httpcore.SyncBackend):
    """Connects as the HTTP library does, but by one way."""

    def __init__(self, way: WayOut) -> None:
        """Connect by `way` only."""
        self._way = way

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the library's; the way has its own
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - none are used here
    ) -> httpcore.NetworkStream:
        """Try each address of the host; `timeout` in seconds is for each. Raises httpcore's errors."""
        failure: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address of the source's family")
        try:
            found = socket.getaddrinfo(host, port, self._way.family, socket.SOCK_STREAM)
            for family, _, _, _, address in found:
                try:
                    return SyncStream(self._connected(family, address, timeout))
                except WayBlocked:
                    raise
                except OSError as error:
                    failure = error
            raise failure
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    def _connected(self, family: int, address: Any, timeout: float | None) -> socket.socket:  # noqa: ANN401 - socket's
        opened = self._way.open(family)
        try:
            opened.settimeout(timeout)
            opened.connect(address)
        except BaseException:
            opened.close()
            raise
        return opened


class AsyncBoundBackend(httpcore.AnyIOBackend):
    """The same for the asynchronous client."""

    def __init__(self, way: WayOut) -> None:
        """Connect by `way` only."""
        self._way = way

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
        local_address: str | None = None,  # noqa: ARG002 - the library's; the way has its own
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - none are used here
    ) -> httpcore.AsyncNetworkStream:
        """Try each address of the host; `timeout` in seconds is shared out among them. Raises httpcore's errors."""
        try:
            return AnyIOStream(await SocketStream.from_socket(await self._reached(host, port, timeout)))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def _reached(self, host: str, port: int, most_s: float | None) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address of the source's family")
        async with asyncio.timeout(most_s):
            found = await loop.getaddrinfo(host, port, family=self._way.family, type=socket.SOCK_STREAM)
        for family, _, _, _, address in found:
            # One family that leads nowhere must leave time for the other.
            try:
                async with asyncio.timeout(None if most_s is None else most_s / len(found)):
                    return await self._connected(family, address)
            except WayBlocked:
                raise
            except OSError as error:
                failure = error
        raise failure

    async def _connected(self, family: int, address: Any) -> socket.socket:  # noqa: ANN401 - as the resolver gives it
        opened = self._way.open(family)
        try:
            opened.settimeout(0)
            await asyncio.get_running_loop().sock_connect(opened, address)
        except BaseException:
            opened.close()
            raise
        return opened


def blocked_way(error: BaseException) -> WayBlocked | None:
    """Find what blocked the way behind a library's error, if that was the cause."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None or isinstance(cause, WayBlocked):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def is_there(interface: str) -> bool:
    """Whether the station has a network interface of this name now."""
    with suppress(OSError):
        return socket.if_nametoindex(interface) > 0
    return False
