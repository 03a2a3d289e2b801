"""One address at which a content destination lets a station in, and what it lets it into.

Rules: the storage address that the log-in names must be on the very host and port that was asked, or nothing is sent;
name and key go to the log-in, the token to the storage, and neither appears anywhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import quote, urlsplit

from agent.core.errors import ConfigError, StoreLied
from agent.stores.answer import Answer, NotTheStore
from agent.stores.axis_answer import axis_refusal
from agent.stores.axis_capabilities import Capabilities
from agent.stores.axis_connection import AxisConnection
from agent.stores.control import Control
from agent.stores.endpoint import Endpoint
from agent.stores.lines import Lines, TusLimits
from agent.stores.remote import Remote
from agent.stores.settings import StoreSettings, is_in_the_clear
from agent.stores.throttle import Throttle

_MAX_TOKEN_CHARS = 4096
_FORM = "An AuthenticationTokenURI looks like https://host:port/auth/v1.0."
_ELSEWHERE_HINT = (
    "Let the content destination name its storage on the host and port of its AuthenticationTokenURI. If somebody"
    " else answers in its place, the station must not follow."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a successful log-in gave: valid until the destination says otherwise."""

    storage: str
    token: str = field(repr=False)

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a request to the storage carries."""
        return {"X-Auth-Token": self.token, **(more or {})}

    def url(self, container: str, name: str | None = None) -> str:
        """The address of a container, or of an object in it."""
        return "/".join([self.storage, *(quote(part, safe="") for part in (container, name) if part is not None)])


@dataclass(frozen=True, slots=True)
class Door:
    """An address of the connection file, and the connections that go there."""

    url: str
    remote: Remote
    control: Control
    lines: Lines

    @classmethod
    def of(cls, url: str, remote: Remote, limits: TusLimits, throttle: Throttle | None) -> Self:
        """Open nothing yet."""
        control = Control(remote, limits.connect_s, limits.control_s)
        return cls(url, remote, control, Lines(remote, limits, throttle))

    async def log_in(self, connection: AxisConnection) -> Entry:
        """Ask for a token. Raises TokenRefused, StoreLied, StoreError kinds."""
        doing = f"store {self.remote.name}: logging in"
        secrets = {
            "X-Auth-User": connection.user.get_secret_value(),
            "X-Auth-Key": connection.key.get_secret_value(),
        }
        answer = await self.control.ask_again("GET", self.url, doing, secrets)
        # Swift answers 200 or, in older versions, 204.
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise axis_refusal(answer, doing, self.remote.clock())
        token, storage = _token(answer), answer.headers.get("x-storage-url")
        if token is None or not storage:
            raise NotTheStore(f"{doing}: something answered that gives neither token nor storage address")
        try:
            pinned = self.remote.endpoint.pin(storage, self.url)
        except StoreLied as error:
            text = f"{doing}: the storage address (X-Storage-Url) is not on the host and port that was asked"
            raise StoreLied(text, hint=_ELSEWHERE_HINT) from error
        if "?" in pinned:
            raise StoreLied(f"{doing}: the storage address (X-Storage-Url) has a query", hint=_ELSEWHERE_HINT)
        return Entry(pinned.rstrip("/"), token)

    async def close(self) -> None:
        """End all connections; idempotent."""
        self.lines.close()
        await self.control.close()


@dataclass(frozen=True, slots=True)
class Visit:
    """A station inside: through which door, with what, and what the destination supports."""

    door: Door
    entry: Entry
    capabilities: Capabilities

    async def ask(
        self,
        method: str,
        doing: str,
        container: str,
        name: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Answer:
        """Send a short request. Raises TokenRefused, StoreError kinds for a broken line; other answers are returned."""
        url, carried = self.entry.url(container, name), self.entry.headers(headers)
        if method in ("GET", "HEAD"):
            answer = await self.door.control.ask_again(method, url, doing, carried, elsewhere=True)
        else:
            carried["Content-Length"] = str(len(content))
            answer = await self.door.control.ask(method, url, doing, carried, content=content)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise axis_refusal(answer, doing, self.door.remote.clock())
        return answer


def endpoint_of(url: str, settings: StoreSettings, *, pinned: bool) -> Endpoint:
    """Read an AuthenticationTokenURI. Raises ConfigError, whose message does not repeat it."""
    try:
        endpoint = Endpoint.of(url)
    except ConfigError as error:
        raise ConfigError(f"an AuthenticationTokenURI of the connection file: {error}", hint=_FORM) from error
    if endpoint.path == "/":
        raise ConfigError("an AuthenticationTokenURI of the connection file has no path", hint=_FORM)
    if endpoint.scheme == "http" and pinned:
        text = "the connection file pins a certificate, but one of its addresses is plain http"
        raise ConfigError(text, hint=_FORM)
    if is_in_the_clear(settings, endpoint):
        hint = "Let the content destination use HTTPS. For a closed test network: insecure = true."
        raise ConfigError("footage and password would travel in the clear", hint=hint)
    return endpoint


def log_in_url(endpoint: Endpoint, url: str) -> str:
    """The address as it is asked: on the endpoint's origin, with the path as it was written."""
    return endpoint.origin + urlsplit(url).path


def _token(answer: Answer) -> str | None:
    token = answer.headers.get("x-auth-token", "")
    fits = 0 < len(token) <= _MAX_TOKEN_CHARS and all("!" <= char <= "~" for char in token)
    return token if fits else None
