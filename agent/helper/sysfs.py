"""USB devices, ports and disks as the kernel shows them in sysfs.

Source: Documentation/ABI/testing/sysfs-bus-usb and sysfs-block. Names are the kernel's: `usb1` is a root hub, `1-1.3`
the device on port 3 of the hub on port 1 of bus 1, `1-1-port3` that port, device or none.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyudev

from agent.devices.topology import is_device_name
from agent.helper.refusal import Refusal, said

_ROOT_HUB = re.compile(r"usb[0-9]{1,3}", re.ASCII)
_HUB_INTERFACE = re.compile(r"(?P<bus>[0-9]{1,3})-(?P<ports>0|[0-9.]{1,32}):[0-9]{1,3}\.0", re.ASCII)
_PORT = re.compile(r"(?P<hub>[0-9a-z.-]{1,48})-port(?P<number>[0-9]{1,3})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
NODES = Path("/dev/bus/usb")
PAGE_BYTES = 4096
"""No attribute is longer."""

IdPath = Callable[[str], str | None]
"""Tells udev's ID_PATH of a USB device by its kernel name; None when udev has none."""


@cache
def ask_udev() -> pyudev.Context:
    """Find libudev, once: it takes longer than all the rest of a request, so it is done before there are any."""
    return pyudev.Context()


def udev_path(device: str) -> str | None:
    """The ID_PATH that udev keeps of this USB device."""
    try:
        found = pyudev.Devices.from_name(ask_udev(), "usb", device)
    except pyudev.DeviceNotFoundError:
        return None
    path = found.properties.get("ID_PATH")
    return path if isinstance(path, str) else None


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a hub, whether something is plugged in or not."""

    place: Path
    hub: str  # "1-1"; of a root hub "usb1"
    number: int
    path: str  # as udev names what is plugged in there

    @property
    def location(self) -> str:
        """The hub as `uhubctl` names it."""
        return self.hub.removeprefix("usb")


@dataclass(frozen=True, slots=True)
class Block:
    """A disk or partition that the kernel made of a USB device."""

    name: str  # "sda1"
    disk: str  # "sda"
    number: str  # "8:1"
    sequence: int  # counts disks up; no other disk ever has this number
    device: str  # "1-1.3"


class Usb:
    """What is plugged in where."""

    def __init__(self, root: Path, id_path: IdPath = udev_path) -> None:
        """`root` is where sysfs is mounted."""
        self._root = root
        self._devices = root / "bus/usb/devices"
        self._id_path = id_path

    def place_of(self, device: str) -> Path:
        """The folder of a device. Raises Refusal("no_such_device")."""
        place = self._devices / device
        if not place.is_dir():
            raise Refusal("no_such_device", f"there is no USB device {device}")
        return place

    def path_of(self, device: str) -> str | None:
        """The ID_PATH of a device, or what it will be once udev has seen it; None when its controller has none."""
        known = self._id_path(device)
        if known is not None:
            return known
        bus, _, ports = device.partition("-")
        controller = self._id_path(f"usb{bus}")
        return f"{controller}-usb-0:{ports}" if controller and ports else None

    def root_hubs(self) -> dict[str, str | None]:
        """Every root hub and the ID_PATH of its controller."""
        names = sorted(self._names())
        return {name: self._id_path(name) for name in names if _ROOT_HUB.fullmatch(name)}

    def ports(self) -> Iterator[Port]:
        """Every port of every hub that is in use."""
        for name in sorted(self._names()):
            if _HUB_INTERFACE.fullmatch(name):
                for place in sorted((self._devices / name).glob("*-port*")):
                    port = self._port(place)
                    if port is not None:
                        yield port

    def peer_of(self, port: Port) -> Port | None:
        """The other half of a USB 3 port; None when there is none."""
        try:
            return self._port((port.place / "peer").resolve(strict=True))
        except OSError:
            return None

    def _port(self, place: Path) -> Port | None:
        found = _PORT.fullmatch(place.name)
        if found is None:
            return None
        hub, number = found["hub"], int(found["number"])
        if _ROOT_HUB.fullmatch(hub):
            controller = self._id_path(hub)
            path = f"{controller}-usb-0:{number}" if controller else None
        else:
            above = self.path_of(hub)
            path = f"{above}.{number}" if above else None
        return Port(place, hub, number, path) if path else None

    def _names(self) -> Iterator[str]:
        try:
            yield from (entry.name for entry in self._devices.iterdir())
        except OSError:  # no USB at all
            return

    def block(self, name: str) -> Block:
        """Look a disk or partition up. Raises Refusal: it is not there, or it is no USB device's."""
        try:
            place = (self._root / "class/block" / name).resolve(strict=True)
            disk = place.parent if (place / "partition").exists() else place
            number = (place / "dev").read_text("ascii").strip()
            sequence = int((disk / "diskseq").read_text("ascii"))
        except OSError as error:
            raise Refusal("no_such_device", f"there is no disk {name}: {said(error)}") from error
        except ValueError as error:
            raise Refusal("failed", f"the kernel does not number the disk {name}") from error
        devices = [part for part in place.parts if is_device_name(part)]
        if not devices:
            raise Refusal("not_a_dock_port", f"{name} is no USB disk")
        return Block(name, disk.name, number, sequence, devices[-1])


def attribute(place: Path, name: str) -> str:
    """Read one attribute. Raises Refusal("no_such_device")."""
    try:
        return (place / name).read_text("ascii", errors="replace").strip()
    except OSError as error:
        raise Refusal("no_such_device", f"{place.name} has no {name}: {said(error)}") from error


def node_of(device: Path) -> Path:
    """The device node of a USB device, by its folder in sysfs. Raises Refusal."""
    bus, number = attribute(device, "busnum"), attribute(device, "devnum")
    if not (_NUMBER.fullmatch(bus) and _NUMBER.fullmatch(number)):
        raise Refusal("failed", f"the kernel does not number {device.name}")
    return NODES / f"{int(bus):03}" / f"{int(number):03}"


def set_attribute(place: Path, name: str, value: str) -> None:
    """Write one attribute; the kernel does what it stands for before this returns. Raises OSError, makes no file."""
    attribute_fd = os.open(place / name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(attribute_fd, value.encode("ascii"))
    finally:
        os.close(attribute_fd)


@contextmanager
def opened_folder(place: Path) -> Iterator[int]:
    """A descriptor of one device's folder: its names lead to this device and never to the next one. Raises OSError."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def bytes_in(folder: int, name: str) -> bytes:
    """Read one attribute of that device, at most a page of it. Raises OSError."""
    with open(name, "rb", opener=lambda path, flags: os.open(path, flags, dir_fd=folder)) as file:
        return file.read(PAGE_BYTES)


def text_in(folder: int, name: str) -> str:
    """Read one attribute of that device as a text. Raises OSError."""
    return bytes_in(folder, name).decode("ascii", "replace").strip()


def write_in(folder: int, name: str, value: str) -> None:
    """Write one attribute of that device. Raises OSError, makes no file."""
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, value.encode("ascii"))
    finally:
        os.close(fd)
