"""The two sockets of the local API: loopback TCP, and a Unix socket that only owner and group may use."""

import contextlib
import ipaddress
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import ConfigError

SOCKET_MODE = 0o660
UNIX_PATH_MAX_BYTES = 107
"""More than this no client can connect to. Source: unix(7), sun_path without its final zero."""
BACKLOG = 128
_ANSWER_S = 1.0
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_PORT_MAX = 65_535


class AddressTaken(ConfigError):
    """Another program listens there, or the system does not let us: the configured address cannot be used."""

    code = "web.address_taken"
    hint = "Stop the other program, or set another [api] listen."


@dataclass(frozen=True, slots=True)
class LoopbackAddress:
    """Where the page listens; `host` is an address, never a name."""

    host: str
    port: int

    @property
    def shown_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_listen(text: str) -> LoopbackAddress:
    """Read `[api] listen`. Raises ConfigError for anything but a loopback address with a port."""
    hint = 'Use listen = "127.0.0.1:8420" or "[::1]:8420"; port 0 picks a free one.'
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) > _PORT_MAX:
        raise ConfigError(f"[api] listen = {text!r} is not HOST:PORT.", hint=hint)
    host = "127.0.0.1" if found["host"] == "localhost" else found["six"] or found["host"]
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigError(f"[api] listen = {text!r} names a host; it must be a loopback address.", hint=hint) from error
    if not address.is_loopback:
        message = (
            f"[api] listen = {text!r} is not a loopback address; the page has no login, so others must not reach it."
        )
        raise ConfigError(message, hint=hint)
    return LoopbackAddress(str(address), int(found["port"]))


def listen_tcp(address: LoopbackAddress) -> socket.socket:
    """Open the page's socket. Raises AddressTaken."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{address.shown_host}:{address.port}"
        raise AddressTaken(f"Cannot listen on {where}: {error.strerror or error}.") from error


def listen_unix(path: Path) -> socket.socket:
    """Open the command line's socket; a stale file of an agent that died is replaced.

    The file appears under its name with its final mode, already answering. Raises ConfigError, AddressTaken.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"The directory of the socket {path} does not exist.", hint="Create it.")
    if len(os.fsencode(path)) > UNIX_PATH_MAX_BYTES:
        raise ConfigError(
            f"The path of the socket {path} is too long.", hint="Choose a shorter state or run directory."
        )
    _check_free(path)
    made = path.with_name(f".{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.unlink(missing_ok=True)
        listener.bind(str(made))
        made.chmod(SOCKET_MODE)
        listener.listen(BACKLOG)
        made.rename(path)
    except OSError as error:
        listener.close()
        with contextlib.suppress(OSError):
            made.unlink()
        hint = "Its directory must be writable for the agent."
        raise ConfigError(f"Cannot make the socket {path}: {error.strerror or error}.", hint=hint) from error
    return listener


def remove_unix(path: Path) -> None:
    """Remove the socket's file if nobody answers there any more. Never raises."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
            path.unlink()


def _check_free(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressTaken(f"{path} exists and is no socket.", hint="Move it away; the agent does not overwrite it.")
    if _answers(path):
        raise AddressTaken(f"Another dock-agent answers at {path}.", hint="Stop it, or talk to it.")


def _answers(path: Path) -> bool:
    """Whether somebody listens; a full queue counts as somebody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
