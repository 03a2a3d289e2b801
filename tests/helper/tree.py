"""A sysfs of plain files: a controller, a hub with four ports on each of its two buses, and what is plugged in."""

import json
import os
from pathlib import Path

CONTROLLER = "pci-0000:00:14.0"
_REAL = "devices/pci0000:00/0000:00:14.0"
HUB = bytes.fromhex("12010002090001400912341201000102000109021900010100e0000904000001090000000705810301000c")
"""What a hub says of itself: one configuration, one interface."""


class Tree:
    """A dock's hub is `1-1`, its USB 3 half `2-1`; a second root port holds whatever else the station has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: dict[str, str] = {}
        (root / "bus/usb/devices").mkdir(parents=True)
        (root / "class/block").mkdir(parents=True)
        for bus in (1, 2):
            self._add(f"usb{bus}", CONTROLLER, {"authorized_default": "1", "bDeviceClass": "09"})
            self._ports(f"usb{bus}", f"{bus}-0:1.0", 2)
        for bus in (1, 2):
            self.plug(f"{bus}-1", device_class="09")
            self._ports(f"{bus}-1", f"{bus}-1:1.0", 4)
        for number in range(1, 5):
            self._join(f"1-1:1.0/1-1-port{number}", f"2-1:1.0/2-1-port{number}")

    def place(self, name: str) -> Path:
        return self.root / _REAL / name

    def _add(self, name: str, path: str | None, attributes: dict[str, str]) -> Path:
        place = self.place(name)
        place.mkdir(parents=True)
        for key, value in attributes.items():
            (place / key).write_text(f"{value}\n", "ascii")
        (self.root / "bus/usb/devices" / name).symlink_to(place)
        if path is not None:
            self.paths[name] = path
        return place

    def _ports(self, hub: str, interface: str, count: int) -> None:
        place = self._add(interface, None, {"bInterfaceClass": "09"})
        for number in range(1, count + 1):
            (place / f"{hub}-port{number}").mkdir()
            (place / f"{hub}-port{number}" / "disable").write_text("0\n", "ascii")

    def _join(self, one: str, other: str) -> None:
        (self.place(one) / "peer").symlink_to(self.place(other))
        (self.place(other) / "peer").symlink_to(self.place(one))

    def plug(self, device: str, *, device_class: str = "00") -> Path:
        ports = device.split("-")[1]
        attributes = {"authorized": "0", "bDeviceClass": device_class, "busnum": "1", "devnum": "5"}
        place = self._add(device, f"{CONTROLLER}-usb-0:{ports}", attributes)
        if device_class == "09":
            (place / "descriptors").write_bytes(HUB)
        return place

    def plug_disk(self, device: str, disk: str, *, sequence: int, parts: int = 1) -> None:
        """A disk whose partitions are sda1, sda2 ..."""
        place = self.place(device) / f"{device}:1.0/host0/target0:0:0/0:0:0:0/block" / disk
        place.mkdir(parents=True)
        (place / "dev").write_text("8:0\n", "ascii")
        (place / "diskseq").write_text(f"{sequence}\n", "ascii")
        self._link_block(disk, place)
        for number in range(1, parts + 1):
            part = place / f"{disk}{number}"
            part.mkdir()
            (part / "partition").write_text(f"{number}\n", "ascii")
            (part / "dev").write_text(f"8:{number}\n", "ascii")
            self._link_block(part.name, part)

    def _link_block(self, name: str, place: Path) -> None:
        link = self.root / "class/block" / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(place, link.parent))

    def read(self, name: str) -> str:
        return self.place(name).read_text("ascii").strip()

    def save_paths(self, file: Path) -> Path:
        """For a helper in another process: what udev would tell it."""
        file.write_text(json.dumps(self.paths), "utf-8")
        return file


def port(number: int) -> str:
    """The path of one port of the dock's hub."""
    return f"{CONTROLLER}-usb-0:1.{number}"
