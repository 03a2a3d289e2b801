"""Which USB port is which bay.

A port is named by udev's ID_PATH (`pci-0000:00:14.0-usb-0:1.3`): it stays the same over restarts, while bus numbers
and disk names do not. A USB 3 port has two halves on two buses; where their numbers differ a bay has both paths.
Everything here is pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PATH = re.compile(r"(?P<controller>[A-Za-z0-9_.:-]{1,200}-usb(?:v[23])?-\d{1,3}):(?P<ports>\d{1,3}(?:\.\d{1,3}){0,6})")
_DEVICE = re.compile(r"\d{1,3}-(?P<ports>\d{1,3}(?:\.\d{1,3}){0,6})")
UNMAPPED = "port-"
"""A port of a dock's hub that no bay names is served under this and its kernel name."""


@dataclass(frozen=True, slots=True)
class PortPath:
    """One port: a controller and the ports to follow from its root."""

    controller: str  # "pci-0000:00:14.0-usb-0"
    ports: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "PortPath":
        """Read an ID_PATH of a USB device. Raises ValueError."""
        found = _PATH.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no USB port; such a path looks like pci-0000:00:14.0-usb-0:1.3")
        return cls(found["controller"], tuple(map(int, found["ports"].split("."))))

    @property
    def hub(self) -> "PortPath | None":
        """The port in which this port's hub is; None for a port of the controller itself."""
        return PortPath(self.controller, self.ports[:-1]) if len(self.ports) > 1 else None

    def is_above(self, other: "PortPath") -> bool:
        """Whether `other` hangs, over however many hubs, below this port."""
        mine = self.ports
        return self.controller == other.controller and len(mine) < len(other.ports) and other.ports[: len(mine)] == mine

    def __str__(self) -> str:
        return f"{self.controller}:{'.'.join(map(str, self.ports))}"


def is_device_name(text: str) -> bool:
    """Whether this is a kernel name of a USB device that is no root hub, such as `1-1.3`."""
    return _DEVICE.fullmatch(text) is not None


class Topology:
    """The bays of a dock and where they are."""

    def __init__(self, bays: Mapping[str, Iterable[str]]) -> None:
        """`bays`: the paths of each bay. Raises ValueError for a path that is none, or that two bays share."""
        self._bays: dict[PortPath, str] = {}
        for name, paths in bays.items():
            for text in paths:
                path = PortPath.parse(text)
                other = self._bays.setdefault(path, name)
                if other != name:
                    raise ValueError(f"bays {other} and {name} are both at {text}")
        # A controller's own ports are no dock: other things of the station are plugged in there.
        self._hubs = {path.hub for path in self._bays} - {None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self._bays == other._bays

    def __hash__(self) -> int:
        return hash(frozenset(self._bays.items()))

    @property
    def paths(self) -> frozenset[PortPath]:
        """Every port that a bay names."""
        return frozenset(self._bays)

    def bay_at(self, path: str, device: str) -> str | None:
        """The bay of the device with this ID_PATH and kernel name; None when the port is not the dock's.

        A port that no bay names, on a hub that has bays, is served all the same, as `port-1-1.3`.
        """
        try:
            port = PortPath.parse(path)
        except ValueError:
            return None
        if port in self._bays:
            return self._bays[port]
        on_dock = port.hub in self._hubs and not self.leads_to_bays(path)
        return f"{UNMAPPED}{device}" if on_dock and is_device_name(device) else None

    def leads_to_bays(self, path: str) -> bool:
        """Whether a hub at this port stands between the station and one of its bays."""
        try:
            port = PortPath.parse(path)
        except ValueError:
            return False
        return any(port.is_above(bay) for bay in self._bays)

    @property
    def controllers(self) -> frozenset[str]:
        """The host controllers that the bays hang from, as the beginning of their paths."""
        return frozenset(path.controller for path in self._bays)
