"""What appears on the USB ports of this machine, as udev tells it. Thin: everything is decided in `learning`.

Needs no privileges. Reads udev's events, not the kernel's: only then are the properties known.
"""

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.devices.learning import PortEvent, peer_path
from agent.devices.topology import is_device_name
from agent.devices.usb_descriptor import HUB_CLASS

if TYPE_CHECKING:
    import pyudev

_HUB_TYPE = f"{int(HUB_CLASS, 16)}/"
_BUFFER_BYTES = 1 << 20  # a whole dock that is switched on at once


class PortEvents:
    """Listens from its making on, so that nothing is missed between `plugged` and the first `wait`."""

    def __init__(self) -> None:
        """Raises OSError when the kernel gives no such socket, ImportError where there is no udev."""
        import pyudev  # noqa: PLC0415 - needs libudev, which only stations with USB have

        self._context = pyudev.Context()
        self._monitor = pyudev.Monitor.from_netlink(self._context, source="udev")
        self._monitor.filter_by("usb", "usb_device")
        with suppress(OSError):  # for root only; one plug at a time needs no large one
            self._monitor.set_receive_buffer_size(_BUFFER_BYTES)
        self._monitor.start()

    def plugged(self) -> list[str]:
        """The kernel names of the devices that are there now."""
        found = self._context.list_devices(subsystem="usb", DEVTYPE="usb_device")
        return [device.sys_name for device in found if is_device_name(device.sys_name)]

    def buses(self) -> dict[str, list[int]]:
        """The kernel's bus numbers of each controller, which is named as in the paths of its ports."""
        found: dict[str, list[int]] = {}
        for device in self._context.list_devices(subsystem="usb", DEVTYPE="usb_device"):
            path = device.properties.get("ID_PATH")
            number = device.sys_name.removeprefix("usb")
            if path and number.isdecimal():
                found.setdefault(f"{path}-usb-0", []).append(int(number))
        return found

    def wait(self, timeout_s: float) -> PortEvent | None:
        """The next event; None when none came in time. Raises OSError."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            device = self._monitor.poll(timeout=left)
            if device is not None and is_device_name(device.sys_name):
                return _event_of(device)
        return None


def _event_of(device: "pyudev.Device") -> PortEvent:
    path = device.properties.get("ID_PATH")
    kind = device.properties.get("TYPE", "")  # class/subclass/protocol, from the kernel
    peer = _peer(Path(device.sys_path)) if device.action == "add" else None
    return PortEvent(
        device.action,
        device.sys_name,
        path,
        is_hub=kind.startswith(_HUB_TYPE),
        peer=peer_path(path, peer) if path and peer else None,
    )


def _peer(device: Path) -> str | None:
    """The name of the port's other half, such as "2-1-port3"; None when there is none.

    Found by way of the hub, which stays when the device is pulled out again at once.
    """
    hub, number = device.parent, re.split("[-.]", device.name)[-1]
    for peer in hub.glob(f"*:*/{hub.name}-port{number}/peer"):
        try:
            return peer.resolve(strict=True).name
        except OSError:  # the other half is gone
            return None
    return None
