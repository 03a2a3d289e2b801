"""Where a store lives, and that nothing ever goes anywhere else.

Rules: scheme, host and port come from the configuration alone. What a store names as the place of an upload is
reduced to a path on that same origin, or refused. A TLS proxy in front of a store that thinks it speaks plain
HTTP names `http://same-host/...`; that one difference is tolerated, because the request still goes to the
configured scheme, host and port. Another host or another port is a lie, never followed.
"""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from agent.core.errors import ConfigError, StoreLied
from agent.stores.this_machine import is_this_machine

MAX_URL_CHARS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The configured address of a store: `scheme`://`host`:`port``path`, where `path` ends with a slash."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `http(s)://host[:port]/path/`. Raises ConfigError."""
        try:
            parts = _split(url)
            port = parts.port or _DEFAULT_PORTS[parts.scheme]
            httpx.URL(url)
        except (ValueError, KeyError, httpx.InvalidURL) as error:
            raise ConfigError("the address of a store cannot be read", hint=_FORM) from error
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise ConfigError("the address of a store needs a host, and no user, query or fragment", hint=_FORM)
        path = parts.path if parts.path.endswith("/") else parts.path + "/"
        return cls(parts.scheme, parts.hostname.lower(), port, path)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Host and port."""
        return self.origin.partition("://")[2]

    @property
    def base(self) -> str:
        """The address under which uploads are created."""
        return self.origin + self.path

    @property
    def receipts(self) -> str:
        """The address of the store's receipts: beside the uploads, so that a path prefix of a proxy stays."""
        return urljoin(self.base, "../receipts/")

    @property
    def announcements(self) -> str:
        """Where the store is told what is to come: beside the uploads, as the receipts are."""
        return urljoin(self.base, "../announcements")

    @property
    def sightings(self) -> str:
        """Where the store is told of further clips with bytes that it has."""
        return urljoin(self.base, "../sightings/")

    def owns(self, url: str) -> bool:
        """Tell whether a request to `url` stays at the configured origin."""
        return url.startswith(self.origin + "/") and len(url) <= MAX_URL_CHARS

    def pin(self, location: str, asked: str) -> str:
        """Turn the `Location` of an answer to a request for `asked` into an address here. Raises StoreLied."""
        try:
            parts = _split(urljoin(asked, location)) if len(location) <= MAX_URL_CHARS else None
            if parts is not None and self._same_place(parts) and parts.path.rstrip("/") != self.path.rstrip("/"):
                return self.origin + parts.path + (f"?{parts.query}" if parts.query else "")
        except ValueError as error:
            raise StoreLied("the store named an upload address that cannot be read") from error
        raise StoreLied("the store named an upload address that is not on its own host and port")

    def _same_place(self, parts: SplitResult) -> bool:
        if (parts.hostname or "").lower() != self.host or parts.username is not None:
            return False
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if (parts.scheme, port) == (self.scheme, self.port):
            return True
        return (self.scheme, parts.scheme) == ("https", "http") and port in (80, self.port)

    @property
    def is_loopback(self) -> bool:
        """Tell whether requests never leave this machine through a network card.

        Of all names only `localhost` is believed: clear text is allowed there, and others may be resolved by DNS.
        """
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host in ("localhost", "localhost.")

    @property
    def is_this_machine(self) -> bool:
        """Tell whether the host is this machine: loopback, a name of its own, or an address of its own.

        Names are not resolved; one that this does not recognise is noticed when the store proves something.
        """
        return is_this_machine(self.host)


_FORM = "Write it as tus+https://host/files/, or as tus+http://127.0.0.1:port/files/ for a store on this machine."


def upload_id(url: str) -> str:
    """The last path component of an upload's address: how its receipt names it."""
    return urlsplit(url).path.rsplit("/", 1)[-1]


def _split(url: str) -> SplitResult:
    if not all("!" <= char <= "~" for char in url):
        raise ValueError("an address holds plain ASCII without spaces only")
    return urlsplit(url)
