"""What the kernel and udev say about the USB devices of a dock, as plain values.

Rules: sysfs and the udev database are read, no device is opened. What a device says of itself (names, serial,
descriptors) is a claim.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyudev

from agent.core.profile import UsbId
from agent.devices.helper_wire import FILE_SYSTEMS
from agent.devices.topology import Topology
from agent.devices.usb_descriptor import HUB_CLASS, is_only_hub
from agent.devices.usb_texts import Texts, TextsOf, read_texts, text_at

DESCRIPTORS_BYTES = 65536
_SEVERAL = "+"


@dataclass(frozen=True, slots=True)
class Volume:
    """A block device on which udev has seen a file system; `fs` is "" for one that has none that is known."""

    block: str  # "sda1"
    fs: str
    label: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it is a file system that the helper mounts."""
        return self.fs in FILE_SYSTEMS


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """One device in a port of the dock. Equal tokens are the same docking."""

    name: str  # "1-1.3", the kernel's
    path: str  # ID_PATH
    token: str
    usb: UsbId
    descriptors: bytes
    authorised: bool
    hub: bool = False
    serial: str | None = None
    product: str | None = None
    revision: str | None = None  # bcdDevice, as "3.10"
    node: tuple[int, int] = (0, 0)  # bus and device number
    slots: int = 0
    disks: int = 0  # slots with a medium in them
    settled: bool = False  # each disk has been looked at, and so have its partitions
    volumes: tuple[Volume, ...] = ()
    over_currents: int = 0


@dataclass(frozen=True, slots=True)
class UsbSight:
    """One look at the whole dock."""

    devices: dict[str, UsbDevice]  # by bay
    closed_hubs: tuple[str, ...]  # hubs on the way to bays that nobody has authorised yet
    silent: Mapping[str, str] = field(default_factory=dict)  # tokens of devices that have not said who they are, by bay

    @property
    def tokens(self) -> frozenset[str]:
        """Of everything that was seen, as it was asked for its texts."""
        return frozenset(each.token.rstrip(_SEVERAL) for each in self.devices.values()) | {*self.silent.values()}


def look(context: pyudev.Context, topology: Topology, texts_of: TextsOf = read_texts) -> UsbSight:
    """Look at everything in the dock's ports. Raises nothing for what leaves meanwhile.

    Reads what the kernel tells without waiting for anybody; what it may keep us waiting for comes from `texts_of`.
    """
    disks = list(_disks(context))
    devices: dict[str, UsbDevice] = {}
    closed: list[str] = []
    silent: dict[str, str] = {}
    for found in context.list_devices(subsystem="usb", DEVTYPE="usb_device"):
        with suppress(OSError, LookupError, ValueError, pyudev.DeviceNotFoundError):  # it has just left
            path = found.properties.get("ID_PATH", "")
            if topology.leads_to_bays(path):
                if _text(found, "authorized") == "0" and is_only_hub(_descriptors(found)):
                    closed.append(found.sys_name)
                continue
            bay = topology.bay_at(path, found.sys_name)
            if bay is None:
                continue
            node = (int(_text(found, "busnum")), int(_text(found, "devnum")))
            token = f"{found.sys_name}:{node[0]}.{node[1]}:{found.properties.get('USEC_INITIALIZED', '')}"
            texts = texts_of(token, Path(found.sys_path))
            if texts is None:
                silent[bay] = token
            else:
                devices[bay] = _device(found, token, path, node, texts, disks)
    return UsbSight(devices, tuple(closed), silent)


def _device(
    found: pyudev.Device, token: str, path: str, node: tuple[int, int], texts: Texts, disks: list[pyudev.Device]
) -> UsbDevice:
    mine = [disk for disk in disks if disk.sys_path.startswith(f"{found.sys_path}/")]
    with_medium = [disk for disk in mine if int(_text(disk, "size") or 0) > 0]
    volumes: list[Volume] = []
    settled = bool(with_medium)
    for disk in with_medium:
        known, here = _volumes(disk)
        settled = settled and known
        volumes += here
    revision = _text(found, "bcdDevice")
    # A second volume that comes later makes another docking of it: which is the footage's has to be asked anew.
    several = _SEVERAL * (sum(volume.is_usable for volume in volumes) - 1)
    return UsbDevice(
        name=found.sys_name,
        path=path,
        token=f"{token}{several}",
        usb=UsbId(int(_text(found, "idVendor"), 16), int(_text(found, "idProduct"), 16)),
        descriptors=_descriptors(found),
        authorised=_text(found, "authorized") != "0",
        hub=_text(found, "bDeviceClass") == HUB_CLASS,
        serial=texts.serial,
        product=texts.product,
        revision=f"{revision[:2].lstrip('0') or '0'}.{revision[2:]}" if revision else None,
        node=node,
        slots=len(mine),
        disks=len(with_medium),
        settled=settled,
        volumes=tuple(volumes),
        over_currents=_over_currents(found),
    )


def _text(device: pyudev.Device, name: str) -> str:
    return text_at(Path(device.sys_path), name)


def _descriptors(device: pyudev.Device) -> bytes:
    try:
        with Path(device.sys_path, "descriptors").open("rb") as file:
            return file.read(DESCRIPTORS_BYTES)
    except OSError:
        return b""


def _over_currents(device: pyudev.Device) -> int:
    try:
        return int(Path(device.sys_path, "port", "over_current_count").read_bytes())
    except (OSError, ValueError):
        return 0


def _disks(context: pyudev.Context) -> Iterator[pyudev.Device]:
    for disk in context.list_devices(subsystem="block", DEVTYPE="disk"):
        if disk.properties.get("ID_BUS") == "usb" or "/usb" in disk.sys_path:
            yield disk


def _was_looked_at(device: pyudev.Device) -> bool:
    """Whether udev has done with it: what only the kernel has seen has no such time."""
    return "USEC_INITIALIZED" in device.properties


def _volumes(disk: pyudev.Device) -> tuple[bool, list[Volume]]:
    """Whether udev has looked at all of a disk, and the file systems on it.

    A disk without a partition table has its file system itself; the partitions of one with a table come after it.
    """
    if not _was_looked_at(disk):
        return False, []
    fs = disk.properties.get("ID_FS_TYPE")
    if fs:
        return True, [Volume(disk.sys_name, fs, disk.properties.get("ID_FS_LABEL"))]
    parts = sorted(each.name for each in Path(disk.sys_path).iterdir() if (each / "partition").exists())
    volumes = []
    for name in parts:
        part = pyudev.Devices.from_name(disk.context, "block", name)
        if not _was_looked_at(part):
            return False, []
        kind = part.properties.get("ID_FS_TYPE")
        if kind:
            volumes.append(Volume(name, kind, part.properties.get("ID_FS_LABEL")))
    if parts:
        return True, volumes
    # Without partitions: either there is no table and nothing known on it, or the table has just not been read yet.
    return "ID_PART_TABLE_TYPE" not in disk.properties, [Volume(disk.sys_name, "")]
