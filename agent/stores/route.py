"""The way to one store: directly or through a proxy, by which interface, from which address.

Rules: control calls and bodies take the same way; nothing is taken from the environment.
"""

import ssl
from dataclasses import dataclass, field

import httpx

from agent.stores.body_pool import BodyPool
from agent.stores.proxy import Proxy
from agent.stores.way_out import AsyncBoundBackend, BoundBackend, WayOut


@dataclass(frozen=True, slots=True)
class Route:
    """Without any word it is the kernel's own choice."""

    proxy: Proxy | None = None
    way: WayOut = field(default_factory=WayOut)

    def transport(self, tls: ssl.SSLContext, limits: httpx.Limits) -> httpx.HTTPTransport:
        """What a blocking client connects by."""
        proxy = None if self.proxy is None else self.proxy.for_client()
        transport = httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=proxy)
        if proxy is None:
            transport._pool = BodyPool(tls, limits)  # noqa: SLF001 - the library offers no other way
        if self.way:
            # Nor another place to bind a socket before it connects, least of all towards a proxy.
            transport._pool._network_backend = BoundBackend(self.way)  # noqa: SLF001
        return transport

    def async_transport(self, tls: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
        """The same for the asynchronous client."""
        proxy = None if self.proxy is None else self.proxy.for_client()
        transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=proxy)
        if self.way:
            transport._pool._network_backend = AsyncBoundBackend(self.way)  # noqa: SLF001
        return transport

    @property
    def credential(self) -> tuple[str, str] | None:
        """The proxy's credential as it is now."""
        return None if self.proxy is None else self.proxy.credential.pair

    def renew(self) -> bool:
        """Read the proxy's credential again; whether there is another one now. Blocks."""
        return self.proxy is not None and self.proxy.credential.renew()
