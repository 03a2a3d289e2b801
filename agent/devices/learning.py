"""Learning where the bays are: somebody plugs a device into bay after bay, and the port that it appears on is the bay.

Rules: pure, fed with events in the order of the kernel's. Only what appears newly counts: a device that was there at
the beginning says nothing until it was taken out and put back. Hubs say nothing at all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.devices.topology import PortPath

_PORT = re.compile(r"(?:usb(?P<bus>\d{1,3})|(?P<hub>\d{1,3}-\d{1,3}(?:\.\d{1,3}){0,5}))-port(?P<port>\d{1,3})")


@dataclass(frozen=True, slots=True)
class PortEvent:
    """A USB device came ("add"), went ("remove") or changed. `device` is its kernel name, such as "1-1.3".

    `path` is its port's ID_PATH, `peer` the path of the port's other half on a USB 3 hub; None when nobody knows.
    """

    action: str
    device: str
    path: str | None = None
    is_hub: bool = False
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """The bay is at these paths, one for each half of the port that has a number of its own."""

    bay: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """The device is in a port that is a bay already, so it says nothing about the next one."""

    bay: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A device appeared, but not on a port that has a path."""

    device: str


class Learning:
    """Takes events until each of the names has its port."""

    def __init__(
        self, names: Sequence[str], *, plugged: Iterable[str] = (), known: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """`plugged`: kernel names of what is there at the beginning; `known`: bays that stay where they are.

        Raises ValueError for a known path that is none.
        """
        self._open = list(names)
        self._ignored = set(plugged)
        self._taken = {PortPath.parse(path): bay for bay, paths in (known or {}).items() for path in paths}
        self.learned: list[Learned] = []

    @property
    def wanted(self) -> str | None:
        """The bay into which somebody should plug a camera now; None when all are learned."""
        return self._open[0] if self._open else None

    def feed(self, event: PortEvent) -> Learned | Taken | Unplaced | None:
        """Take one event; what it showed, None for nothing."""
        if event.action == "remove":
            self._ignored.discard(event.device)
            return None
        if event.action != "add" or event.is_hub or event.device in self._ignored or self.wanted is None:
            return None
        here = _port_of(event.path)
        if here is None:
            return Unplaced(event.device)
        halves = {here, _port_of(event.peer) or here}
        taken = next((self._taken[port] for port in halves if port in self._taken), None)
        if taken is not None:
            return Taken(taken)
        found = Learned(self._open.pop(0), tuple(sorted(map(str, halves))))
        self._taken.update(dict.fromkeys(halves, found.bay))
        self.learned.append(found)
        return found


def peer_path(path: str, peer: str) -> str | None:
    """The path of a port's other half. `path`: a device in this half; `peer`: the other's name, such as "2-1-port3".

    Both halves hang from one controller. None when the names are not of this form.
    """
    port, found = _port_of(path), _PORT.fullmatch(peer)
    if port is None or found is None:
        return None
    above = found["hub"].partition("-")[2] + "." if found["hub"] else ""
    return f"{port.controller}:{above}{found['port']}"


def _port_of(path: str | None) -> PortPath | None:
    try:
        return PortPath.parse(path or "")
    except ValueError:
        return None
