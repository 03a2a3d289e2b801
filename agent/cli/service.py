"""The running service, as the command line speaks to it: HTTP over its Unix socket."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from agent.core.errors import ActionRefused, AgentError, Remedy

View = dict[str, Any]
"""One JSON object of the API; its keys are those of `services/views.py`."""

PROBE_S = 2.0
ANSWER_S = 15.0
ACT_S = 75.0
"""The service itself gives up after a minute: an urgent release may wait for an open wipe window."""
OFFLOAD_SILENCE_S = 120.0
"""An offload reports at least every few seconds; only its very end may take longer."""
STREAM_SILENCE_S = 90.0
"""The stream of views sends a comment now and then even if nothing changes."""


class ServiceFailed(AgentError):
    """The service runs, but the question got no usable answer."""

    code, remedy = "cli.service_failed", Remedy.RETRY
    hint = "Look at the service's log: journalctl -u dock-agent."


def find_service(path: Path) -> "Service | None":
    """The service behind this socket, or None when nobody listens there. Raises ServiceFailed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except PermissionError as error:
            hint = f"Run this as a user who may write to {path}, for example with sudo -u dock-agent."
            raise ServiceFailed("You may not speak to the service.", hint=hint) from error
        except OSError as error:
            raise ServiceFailed(f"The service's socket {path} does not answer: {error}.") from error
    return Service(path)


class Service:
    """A connection to the service; a context manager. All methods raise ServiceFailed and ActionRefused."""

    def __init__(self, path: Path) -> None:
        """Use `find_service`."""
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)),
            base_url="http://localhost/api/v1/",
            timeout=ANSWER_S,
            trust_env=False,  # a proxy in the environment has no business here
        )

    def __enter__(self) -> Self:
        """Hand out the connection itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close it."""
        self._http.close()

    def get(self, what: str, **query: str | int) -> Any:  # noqa: ANN401 - whatever JSON the API has for it
        """Read one view, such as "bays"."""
        with _translated():
            return _checked(self._http.get(what, params=query)).json()

    def custody_lines(self, after: int, limit: int) -> list[str]:
        """The exact lines of custody events above a number; bytes that are not ASCII stay distinguishable."""
        with _translated():
            response = _checked(self._http.get("custody", params={"after": after, "limit": limit}))
        text = response.content.decode("ascii", "surrogateescape")
        return text.removesuffix("\n").split("\n") if text else []

    def act(self, action: str, request: View) -> str:
        """Do what a person asks; what was done, in words."""
        with _translated():
            response = _checked(
                self._http.post(f"actions/{action}", content=_body(request), headers=_JSON, timeout=ACT_S)
            )
            return str(response.json().get("done", "done"))

    def offload(self, request: View) -> Iterator[View]:
        """Hand a folder over: progress objects, and last one with key `result`."""
        timeout = httpx.Timeout(ANSWER_S, read=OFFLOAD_SILENCE_S + float(request.get("wait_s") or 0))
        with (
            _translated(),
            self._http.stream("POST", "offload", content=_body(request), headers=_JSON, timeout=timeout) as response,
        ):
            for line in _lines(_checked(response)):
                if line:
                    yield _refused_or(json.loads(line))

    def views(self) -> Iterator[View]:
        """Follow the station: `{"station", "bays"}` at once and after each change."""
        timeout = httpx.Timeout(ANSWER_S, read=STREAM_SILENCE_S)
        with _translated(), self._http.stream("GET", "stream", timeout=timeout) as response:
            data: list[bytes] = []
            for line in _lines(_checked(response)):
                if line.startswith(b"data:"):
                    data.append(line.removeprefix(b"data:"))
                elif not line and data:
                    yield json.loads(b"\n".join(data))
                    data = []


_JSON = {"content-type": "application/json"}


def _body(request: View) -> bytes:
    """Write a request in ASCII, so that a path of any bytes gets through."""
    return json.dumps(request).encode("ascii")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise ServiceFailed(f"The service broke off: {str(error) or type(error).__name__}.") from error
    except ValueError as error:
        raise ServiceFailed(f"The service's answer cannot be read: {error}.") from error


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    with _translated():
        response.read()
    try:
        said = response.json()
    except ValueError:
        said = None
    if response.is_client_error and isinstance(said, dict):
        _refused_or(said)
    raise ServiceFailed(f"The service answered {response.status_code} to {response.url.path}: {_what(said)}")


def _what(said: object) -> str:
    return f"{said.get('error')}. {said.get('hint') or ''}".strip() if isinstance(said, dict) else "no reason given."


def _refused_or(view: View) -> View:
    if "error" in view:
        what = str(view["error"])
        sentence = what if what.endswith(".") else f"{what[:1].upper()}{what[1:]}."
        raise ActionRefused(sentence, hint=str(view.get("hint") or ""))
    return view


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Split at newlines only: names may hold other characters that some call line ends."""
    rest = b""
    for block in response.iter_bytes():
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest
