"""A dock as it was recorded in the lab, in a sysfs of its own: cameras go into its ports, step by step or at once.

Only inside `umockdev-wrapper`; `run_inside` runs a test file in there. What was recorded is what a real kernel and a
real udev said (`python -m tests.lab.record` does it again); here it is moved to other ports and changed where a test
says so. That udev has looked at a device shows in its property USEC_INITIALIZED, as everywhere.
"""

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.devices.udev_testbed import Testbed

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
INSIDE = "umockdev" in os.environ.get("LD_PRELOAD", "")
"""Whether this process sees a sysfs of its own."""
HUB_PATH = "pci-0000:00:07.0-usb-0:1"
INSIDE_S = 400
"""For all tests of a file together, on a slow machine; each has pytest's own limit as well."""
OUTSIDE_S = INSIDE_S + 20
"""The limit of the test that calls `run_inside`."""

Record = dict[str, Any]


def path_of(port: int) -> str:
    """The ID_PATH of a port of the first hub."""
    return f"{HUB_PATH}.{port}"


def run_inside(file: str) -> None:
    """Run the tests of a file in a process that has a sysfs of its own."""
    # What the testbed's own C code says must not get lost when it gives up.
    options = ["-q", "--capture=sys", "-p", "no:cacheprovider"]
    # A folder of their own: runs that share one tidy up after each other, and break each other when they end at once.
    with tempfile.TemporaryDirectory(prefix="bed-") as place:
        ended = subprocess.run(  # noqa: S603 - our own program
            ["/usr/bin/umockdev-wrapper", sys.executable, "-m", "pytest", *options, f"--basetemp={place}/t", file],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=ROOT,
            # The made-up sysfs in memory, because the testbed syncs each file.
            env=os.environ | {"TMPDIR": "/dev/shm"},  # noqa: S108
            timeout=INSIDE_S,
        )
    sys.stdout.write(ended.stdout)
    assert ended.returncode == 0, ended.stdout


def recorded(kind: str, port: int | None = None, disk: str = "sda", serial: str | None = None) -> list[Record]:
    """What was recorded of this kind, as if it were in another port of the first hub and had another serial."""
    text = (HERE / f"{kind}.json").read_text("utf-8")
    if port is not None:
        text = re.sub(r"1-1\.\d", f"1-1.{port}", text)
        text = re.sub(r"1-1-port\d", f"1-1-port{port}", text)
        text = re.sub(r"usb-0([:_])1([._])\d", rf"usb-0\g<1>1\g<2>{port}", text)
    text = text.replace('"8:', f'"{disk_major(disk)}:').replace('"MAJOR": "8"', f'"MAJOR": "{disk_major(disk)}"')
    devices: list[Record] = json.loads(text.replace("sda", disk))
    if port is not None:
        devices[0]["attributes"]["devnum"]["text"] = f"{10 + port}\n"
    if serial is not None:
        devices[0]["attributes"]["serial"] = {"hex": serial.encode("utf-8", "surrogateescape").hex()}
    return devices


def disk_major(disk: str) -> int:
    """A number of its own for each disk."""
    return 8 + ord(disk[2]) - ord("a")


def second_card(first: Record) -> Record:
    """Another disk of the same camera, like its first one."""
    name = Path(first["path"]).name
    other = f"sd{chr(ord(name[2]) + 7)}"
    number = (disk_major(name), 16)
    second = first | {"path": first["path"].replace(name, other)}
    second["uevent"] = first["uevent"] | {"DEVNAME": other, "MINOR": str(number[1])}
    second["attributes"] = first["attributes"] | {"dev": {"text": f"{number[0]}:{number[1]}\n"}}
    return second


class DockBed(Testbed):
    """The controller and its hubs, and what is plugged in. Close it before the next one is made."""

    def __init__(self) -> None:
        super().__init__()
        self._library.umockdev_testbed_get_sys_dir.restype = ctypes.c_char_p
        self.sys = Path(self._library.umockdev_testbed_get_sys_dir(self._bed).decode())
        """Where it really lies."""
        self.uses = 0  # a device that is plugged in again is another one
        for device in recorded("dock"):
            self.insert(device)

    def insert(self, device: Record, *, seen: bool = True) -> None:
        """One device appears, and udev tells of it; `seen` is false for one that only the kernel has seen yet."""
        said = device["udev"] or []
        properties = device["uevent"] | {"SUBSYSTEM": device["subsystem"]}
        if seen:
            properties |= dict(line[2:].split("=", 1) for line in said if line.startswith("E:"))
            begun = next((line[2:] for line in said if line.startswith("I:")), "1")
            properties["USEC_INITIALIZED"] = str(int(begun) + self.uses)
        lines = [f"P: {device['path'].removeprefix('/sys')}"]
        lines += [f"E: {name}={value}" for name, value in properties.items()]
        for name, value in device["attributes"].items():
            if "link" in value:
                lines.append(f"L: {name}={value['link']}")
            else:
                data = value["hex"] if "hex" in value else value["text"].encode().hex()
                lines.append(f"H: {name}={data}")
        text = "\n".join([*lines, "", ""]).encode()
        if not self._library.umockdev_testbed_add_from_string(self._bed, ctypes.c_char_p(text), None):
            raise ValueError(f"the testbed does not take {device['path']}")

    def plug(self, kind: str, port: int, disk: str = "sda", serial: str | None = None) -> list[Record]:
        """Plug a recorded camera into a port of the first hub; returns what appeared, the device itself first."""
        self.uses += 1
        devices = recorded(kind, port, disk, serial)
        for device in devices:
            self.insert(device)
        return devices

    def pull(self, devices: list[Record], *, quietly: bool = False) -> None:
        """Take it out, the leaves first. `quietly`: what udev had to say of it was lost.

        One event for all: the testbed aborts when more than ten wait to be taken.
        """
        for device in reversed(devices):
            path = device["path"].encode()
            if device is devices[0] and not quietly:
                self._library.umockdev_testbed_uevent(self._bed, path, b"remove")
            self._library.umockdev_testbed_remove_device(self._bed, path)
            (self.sys / "block" / Path(device["path"]).name).unlink(missing_ok=True)  # the testbed forgets this link

    def learn(self, device: Record, **properties: str) -> None:
        """Udev has learnt more of a device and says so; without `properties`: all that was recorded of it."""
        said = dict(line[2:].split("=", 1) for line in device["udev"] or [] if line.startswith("E:"))
        path = device["path"].encode()
        for name, value in (properties or said | {"USEC_INITIALIZED": "7"}).items():
            self._library.umockdev_testbed_set_property(self._bed, path, name.encode(), value.encode())
        self.say(device, "change")

    def say(self, device: Record, action: str = "change") -> None:
        """Udev tells something of a device."""
        self._library.umockdev_testbed_uevent(self._bed, device["path"].encode(), action.encode())

    def say_of(self, name: str) -> None:
        """Udev tells something of the USB device of this name."""
        self._library.umockdev_testbed_uevent(self._bed, f"/sys{self._path_of(name)}".encode(), b"change")

    def _path_of(self, name: str) -> str:
        return "/" + str(self.place(name).resolve().relative_to(self.sys))

    def set(self, device: Record, attributes: Mapping[str, str]) -> None:
        """Change attributes, without a word."""
        for name, value in attributes.items():
            path = device["path"].encode()
            self._library.umockdev_testbed_set_attribute(self._bed, path, name.encode(), f"{value}\n".encode())

    def place(self, name: str) -> Path:
        """The folder of a device in sysfs."""
        return self.sys / "bus/usb/devices" / name

    def close(self) -> None:
        """Let go of the sysfs, so that another one can be made."""
        library = ctypes.CDLL("libgobject-2.0.so.0")
        library.g_object_unref(self._bed)
