"""Whether a store lives on this very machine, by its name and by the connection to it.

Rules: nothing is resolved over the network; a name is known by what this machine itself says about its names. What
that misses shows when the store has answered: both ends of the connection are then addresses of this machine.
Source: hosts(5); RFC 6761, section 6.3 (names below `localhost`).
"""

import ipaddress
import socket
from pathlib import Path
from typing import Any

import httpx

HOSTS = Path("/etc/hosts")
_MAX_HOSTS_BYTES = 1 << 20
_LOCAL_NAMES = frozenset(
    {
        "localhost",
        "localhost4",
        "localhost6",
        "localhost.localdomain",
        "localhost4.localdomain4",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
    }
)


def is_this_machine(host: str, hosts: Path = HOSTS) -> bool:
    """Tell whether a host from a URL is this machine: loopback, one of its names, an address of its own. Blocks."""
    name = _plain(host)
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    if name == _plain(socket.gethostname()) or _is_own_address(_as_address(name)):
        return True
    return any(_is_own_address(address) for address, names in _listed(hosts) if name in names)


def leads_here(response: httpx.Response) -> bool:
    """Tell whether an answer whose body is still unread came from this machine. Raises OSError.

    False where the library does not show the connection.
    """
    stream = response.extensions.get("network_stream")
    if stream is None:
        return False
    there, here = (_address_of(stream.get_extra_info(end)) for end in ("server_addr", "client_addr"))
    return there is not None and (there.is_loopback or there == here)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _as_address(name: str) -> str:
    """Spell out the short forms that the system's resolver takes for addresses: 127.1, 0x7f000001."""
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name


def _listed(hosts: Path) -> list[tuple[str, frozenset[str]]]:
    """The addresses and names in the hosts file; what cannot be read names nothing."""
    try:
        with hosts.open("rb") as file:
            text = file.read(_MAX_HOSTS_BYTES).decode("ascii", "replace")
    except OSError:
        return []
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [(words[0], frozenset(map(_plain, words[1:]))) for words in lines if words]


def _is_own_address(host: str) -> bool:
    """Loopback, or an address to which the kernel lets a socket be bound: it allows own ones only."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_loopback:
        return True
    family = socket.AF_INET6 if isinstance(address, ipaddress.IPv6Address) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _address_of(end: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:  # noqa: ANN401 - the library's
    """The IP address of a socket's end; an IPv4 address in IPv6 clothes is taken out of them."""
    try:
        address = ipaddress.ip_address(end[0])
    except (ValueError, TypeError, IndexError):
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
