"""What is plugged into the machine's USB ports and pulled out again, as a hand would: the guest is never asked.

Ports are named as in `qemu.py`: "1.1" to "1.8" and "2.1" to "2.8" on two hubs whose ports can be switched, and the
controller's own "3" to "8". QEMU's own devices have fixed vendor and product ids (storage 46f4:0001, UAS 46f4:0003,
MTP 46f4:0004); a camera with ids and faults of its own is `tests.lab.camera.ScriptedCamera`.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.lab.qemu import Monitor, MonitorRefused

DiskKind = Literal["usb-storage", "usb-uas"]
BUSY_S = 5.0


@dataclass(slots=True)
class _Plugged:
    """One thing in a port, with the names of everything that must go with it."""

    port: str
    nodes: list[str] = field(default_factory=list)  # block nodes, top first
    throttle: str | None = None


class Usb:
    """The machine's ports."""

    def __init__(self, monitor: Monitor, folder: Path) -> None:
        """`folder`: for sockets; its path must be short."""
        self._monitor = monitor
        self._folder = folder
        self._plugged: dict[str, _Plugged] = {}
        self._slots: dict[str, Path] = {}

    def plug_disk(
        self,
        name: str,
        image: Path,
        port: str,
        serial: str,
        kind: DiskKind = "usb-storage",
        *,
        read_only: bool = False,
        bytes_per_s: int | None = None,
        bad_sector: int | None = None,
    ) -> None:
        """Plug in a card with this image as its contents. UAS goes into the controller's own ports only.

        `bytes_per_s`: how fast it is, no matter which way. `bad_sector`: reading these 512 bytes fails.
        """
        thing = self._taken(name, port)
        self._add_nodes(name, thing, image, read_only=read_only, bytes_per_s=bytes_per_s, bad_sector=bad_sector)
        bus = {"bus": "xhci.0", "port": port, "serial": serial}
        if kind == "usb-storage":
            self._monitor("device_add", driver=kind, id=name, drive=thing.nodes[0], removable=True, **bus)
        else:
            self._monitor("device_add", driver=kind, id=name, **bus)
            lun = {"id": f"{name}-lun", "bus": f"{name}.0", "serial": serial}
            self._monitor("device_add", driver="scsi-hd", drive=thing.nodes[0], **lun)
            # Only with its unit in place may the guest see it.
            self._monitor("qom-set", path=f"/machine/peripheral/{name}", property="attached", value=True)

    def _add_nodes(
        self,
        name: str,
        thing: _Plugged,
        image: Path,
        *,
        read_only: bool,
        bytes_per_s: int | None,
        bad_sector: int | None,
    ) -> None:
        def add(kind: str, **more: object) -> None:
            node = f"{name}-{kind}"
            self._monitor("blockdev-add", **{"driver": kind, "node-name": node, "read-only": read_only, **more})
            thing.nodes.insert(0, node)

        add("file", filename=str(image.absolute()))
        add("raw", file=thing.nodes[0])
        if bad_sector is not None:
            fault = {"event": "none", "iotype": "read", "errno": 5, "sector": bad_sector}
            add("blkdebug", image=thing.nodes[0], **{"inject-error": [fault]})
        if bytes_per_s is not None:
            thing.throttle = f"{name}-limit"
            limits = {"bps-total": bytes_per_s, "bps-total-max": max(bytes_per_s, 1 << 20)}
            self._monitor("object-add", **{"qom-type": "throttle-group", "id": thing.throttle, "limits": limits})
            add("throttle", file=thing.nodes[0], **{"throttle-group": thing.throttle})

    def plug_mtp(self, name: str, folder: Path, port: str, serial: str) -> None:
        """Plug in an MTP device that shows this folder."""
        self._taken(name, port)
        more = {"rootdir": str(folder.absolute()), "desc": "CAMERA", "serial": serial}
        self._monitor("device_add", driver="usb-mtp", id=name, bus="xhci.0", port=port, **more)

    def plug_keyboard(self, port: str, name: str = "keyboard") -> None:
        """Plug in a keyboard."""
        self._taken(name, port)
        self._monitor("device_add", driver="usb-kbd", id=name, bus="xhci.0", port=port)

    def unplug(self, name: str) -> None:
        """Pull out what was plugged in under this name, at once."""
        thing = self._plugged.pop(name)
        self._monitor("device_del", id=name)
        self._monitor.wait_event("DEVICE_DELETED", lambda data: data.get("device") == name)
        for node in thing.nodes:
            self._give_up(node)
        if thing.throttle is not None:
            self._monitor("object-del", id=thing.throttle)

    def _give_up(self, node: str) -> None:
        """A node goes once its last request is done, and QEMU has no event for that."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                self._monitor("blockdev-del", **{"node-name": node})
            except MonitorRefused:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    def _taken(self, name: str, port: str) -> _Plugged:
        if port in self._slots:
            self._remove_slot(port)
        for other, thing in self._plugged.items():
            if other == name or thing.port == port:
                raise ValueError(f"{other} is in port {thing.port}; unplug it before {name} goes into {port}")
        thing = _Plugged(port)
        self._plugged[name] = thing
        return thing

    def camera_slot(self, port: str) -> Path:
        """The socket at which a scripted camera is plugged into this port by connecting, and pulled by closing."""
        if port not in self._slots:
            name = f"slot-{port.replace('.', '-')}"
            path = self._folder / f"{name}.sock"
            address = {"type": "unix", "data": {"path": str(path)}}
            backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
            self._monitor("chardev-add", id=name, backend=backend)
            self._monitor("device_add", driver="usb-redir", id=name, chardev=name, bus="xhci.0", port=port)
            self._slots[port] = path
        return self._slots[port]

    def _remove_slot(self, port: str) -> None:
        name = self._slots.pop(port).stem
        self._monitor("device_del", id=name)
        self._monitor.wait_event("DEVICE_DELETED", lambda data: data.get("device") == name)
        self._monitor("chardev-remove", id=name)
