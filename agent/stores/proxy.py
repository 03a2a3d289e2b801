"""The HTTP proxy through which a store is reached, and what its refusals mean.

Rules: the proxy stands in the configuration alone, never in an environment variable; its name and password are in a
file and leave in one header only. TLS to the store goes through it unopened (CONNECT). The texts that a proxy sends
are never repeated.
"""

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

from agent.core.errors import ConfigError, StoreBusy, StoreError, StoreRefused, StoreUnreachable
from agent.stores.answer import CredentialRefused
from agent.stores.credential import MAX_BYTES

_FORM = 'Write it as proxy = "http://proxy.example:3128"; name and password go into the file `proxy_credential`.'
_PAIR = re.compile(r"[^\x00-\x1f\x7f:]{1,256}:[^\x00-\x1f\x7f]{0,512}")
_STATUS = re.compile(r"([1-5][0-9]{2})\b")
_NO_WAY_ON = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.INTERNAL_SERVER_ERROR})


class ProxyCredentialRefused(CredentialRefused):
    """The proxy asks for a name and password, or does not accept those that it was shown."""

    hint = (
        "Put `name:password` for the proxy into the file `proxy_credential` of the store (a new one is read by itself);"
        " only the Basic method is spoken, so where the proxy wants another one, let it pass this station without."
    )


@dataclass(slots=True)
class ProxyCredential:
    """Name and password, which stay out of every `repr`; None where the proxy asks for none."""

    pair: tuple[str, str] | None = field(default=None, repr=False)
    file: Path | None = None

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a file with one line, `name:password`. Blocks. Raises ConfigError, which never holds what was read."""
        if path is None:
            return cls()
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            text = data.decode("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the proxy's credential file {path} cannot be read: {type(error).__name__}") from None
        if len(data) > MAX_BYTES or not _PAIR.fullmatch(text):
            hint = "The file has one line: name:password."
            raise ConfigError(f"the proxy's credential file {path} does not hold a name and a password", hint=hint)
        name, _, password = text.partition(":")
        return cls((name, password), path)

    def renew(self) -> bool:
        """Read the file again; tell whether it holds another pair now. One that cannot be read changes nothing.

        Blocks.
        """
        try:
            pair = ProxyCredential.read(self.file).pair
        except ConfigError:
            return False
        changed = pair is not None and pair != self.pair
        if changed:
            self.pair = pair
        return changed


@dataclass(frozen=True, slots=True)
class Proxy:
    """`url` is `http://host:port`, `shown` is how messages name it."""

    url: str
    shown: str
    credential: ProxyCredential = field(default_factory=ProxyCredential)

    @classmethod
    def of(cls, url: str, credential: ProxyCredential) -> Self:
        """Read the configured address. Raises ConfigError, which does not repeat it."""
        try:
            parts = urlsplit(url)
            port = parts.port
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigError("the address of the proxy cannot be read", hint=_FORM) from error
        extra = parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment
        if parts.scheme != "http" or not parts.hostname or port is None or extra:
            raise ConfigError("the address of a proxy is http://host:port and nothing else", hint=_FORM)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"http://{host}:{port}", f"{host}:{port}", credential)

    def for_client(self) -> httpx.Proxy:
        """As the HTTP library wants it, with the credential as it is now."""
        return httpx.Proxy(self.url, auth=self.credential.pair)

    def refusal(self, error: httpx.ProxyError, doing: str, to: str) -> StoreError:
        """What it means that the proxy did not open the way to `to` (host and port)."""
        found = _STATUS.match(str(error))
        status = int(found[1]) if found else 0
        proxy = f"{doing}: the proxy {self.shown}"
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return self.credential_refused(doing)
        if status in _NO_WAY_ON:
            hint = f"Let the proxy's log tell why it does not reach {to}; the upload goes on by itself once it does."
            return StoreUnreachable(f"{proxy} does not reach {to} ({status})", hint=hint)
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            return StoreBusy(f"{proxy} asks for patience ({status})")
        hint = f"Let the proxy allow this station to CONNECT to {to}, or correct `proxy` or `url`."
        return StoreRefused(f"{proxy} does not let this station through to {to} ({status or 'no status'})", hint=hint)

    def credential_refused(self, doing: str) -> ProxyCredentialRefused:
        """The proxy asked for a credential (407)."""
        what = "asks for a name and password" if self.credential.pair is None else "does not accept our credential"
        return ProxyCredentialRefused(f"{doing}: the proxy {self.shown} {what} (407)")

    def unreachable(self, what: str, doing: str) -> StoreUnreachable:
        """No connection to the proxy itself, or none that goes on."""
        hint = (
            "Look whether the proxy runs and can be reached from here, and whether `proxy` names it rightly; nothing"
            " goes past it. The spool keeps the footage and the upload goes on by itself."
        )
        return StoreUnreachable(f"{doing}: {what} the proxy {self.shown}", hint=hint)
