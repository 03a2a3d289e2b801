"""What the configuration says of one store, and how such a store is spoken to. Blocks on small files."""

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.proxy import Proxy, ProxyCredential
from agent.stores.remote import Remote
from agent.stores.route import Route
from agent.stores.s3_retention import Retention
from agent.stores.standing import Standing
from agent.stores.throttle import Throttle
from agent.stores.tls import pinned_context
from agent.stores.trust import Trust
from agent.stores.way_out import WayOut


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One `[[stores]]` entry; times in seconds, paths absolute.

    `throttle` limits what is sent over the network; a directory is written at its own speed.
    """

    name: str
    url: str
    require: ReceiptKind
    receipt_key: Path | None = None
    credential: Path | None = None
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    connect_s: float = 10.0
    stall_s: float = 60.0
    region: str = "us-east-1"  # of an S3 store's bucket
    proxy: str | None = None
    proxy_credential: Path | None = None
    interface: str | None = None
    source: str | None = None  # an IP address of this station
    insecure: bool = False  # allow plain http beyond this machine: footage and credential travel in the clear
    throttle: Throttle = field(default_factory=Throttle)
    retention: Retention = field(default_factory=Retention)  # of an S3 store's objects


def is_in_the_clear(settings: StoreSettings, endpoint: Endpoint) -> bool:
    """Whether http would carry footage and credential past this machine, which nobody allowed. A proxy is past it."""
    leaves = not endpoint.is_loopback or settings.proxy is not None
    return endpoint.scheme == "http" and leaves and not settings.insecure


def refuse_clear_text(settings: StoreSettings, endpoint: Endpoint) -> None:
    """Raises ConfigError where `is_in_the_clear`."""
    if is_in_the_clear(settings, endpoint):
        hint = f"Use {settings.url.partition('+')[0]}+https. For a closed test network: insecure = true."
        raise ConfigError(f"store {settings.name}: footage and credential would travel in the clear", hint=hint)


def _route(settings: StoreSettings) -> Route:
    way = WayOut(settings.interface, settings.source)
    if settings.proxy is None:
        return Route(way=way)
    try:
        return Route(Proxy.of(settings.proxy, ProxyCredential.read(settings.proxy_credential)), way)
    except ConfigError as error:
        raise ConfigError(f"store {settings.name}: {error}", hint=error.hint) from error


def limits_of(settings: StoreSettings) -> TusLimits:
    """How long this store may take."""
    stall_s = settings.stall_s
    return TusLimits(connect_s=settings.connect_s, stall_s=stall_s, answer_s=stall_s, control_s=stall_s)


def remote_of(  # noqa: PLR0913, PLR0917 - what is known of a store
    settings: StoreSettings,
    endpoint: Endpoint,
    station: str,
    standing: Standing,
    passed: datetime,
    credential: Credential,
    pins: str = "",
) -> Remote:
    """How this store is spoken to. Raises ConfigError.

    `pins` are the only certificates that are believed, in PEM; without them `ca` or the system says who is.
    """
    trust = None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used without TLS
    if endpoint.scheme != "http" and pins:
        tls = pinned_context(pins, settings.client_cert, settings.client_key)
    elif endpoint.scheme != "http":
        trust = Trust(settings.ca, settings.client_cert, settings.client_key)
        tls = trust.context
    return Remote(
        settings.name,
        endpoint,
        station,
        standing.clock,
        tls,
        credential,
        passed,
        _route(settings),
        trust,
        standing.sighting,
    )
