"""The machine that QEMU plays: its command line, and its monitor.

States fit only the command line that they were saved with, so everything that has to do with the guest's hardware is
said here, once. Without KVM unless `DOCK_LAB_ACCEL=kvm` asks for it: where KVM is there it may still not work.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.channel import Channel, Message

MEMORY_MB = 1024
STORE = ("10.0.2.100", 8443)
"""Where the guest finds the one port of the host that it may reach."""
GUEST_ADDRESS = "10.0.2.15/24"
SPOOL, PAYLOAD = "/dev/vdb", "/dev/vdc"
"""The disk for the agent's data, and the one with the project's code."""

HUBS = (1, 2)
"""Root ports with a hub whose eight ports can be switched one by one: ports 1.1 to 1.8 and 2.1 to 2.8."""
HUB_PORTS = tuple(f"{hub}.{port}" for hub in HUBS for port in range(1, 9))
ROOT_PORTS = tuple(map(str, range(3, 9)))
"""Free ports of the controller itself: for UAS, which QEMU's hub is too slow for, and for what is no camera."""


def path_of(port: str) -> str:
    """How udev names this port (ID_PATH), and so does the station's configuration."""
    return f"pci-0000:00:07.0-usb-0:{port}"


# A real hub that is told to sleep with a change at one of its ports wakes up again. QEMU's does not: what is plugged in
# while it goes to sleep is never heard of. So hubs stay awake (autosuspend).
_KERNEL = (
    "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off net.ifnames=0 random.trust_cpu=on "
    "systemd.show_status=0 systemd.log_target=journal usbcore.autosuspend=-1"
)


class MonitorRefused(Exception):
    """QEMU did not do what it was asked; the text is its own."""


@dataclass(frozen=True, slots=True)
class Disks:
    """What one machine stands on. `spool` is written to, and so is `root`, where the image's own is not used."""

    image: Path
    payload: Path
    spool: Path
    root: Path | None = None


def accelerator() -> str:
    """The value of QEMU's -accel."""
    return "kvm" if os.environ.get("DOCK_LAB_ACCEL") == "kvm" else "tcg,thread=multi"


def hardware(disks: Disks, store_port: int) -> list[str]:
    """The command line, but for what is each process's own. `store_port`: of this machine, where the store listens."""
    relay = f"restrict=on,guestfwd=tcp:{STORE[0]}:{STORE[1]}-cmd:busybox nc 127.0.0.1 {store_port}"
    read_only = "driver=raw,read-only=on,file.driver=file,file.locking=off,file.filename="
    own = "driver=qcow2,file.driver=file,file.filename="
    root = f"{read_only}{disks.image}/root.ext4" if disks.root is None else f"{own}{disks.root}"
    kernel = _KERNEL if disks.root is None else f"{_KERNEL} lab.root=own"
    words = [
        *("-accel", accelerator(), "-M", "q35", "-cpu", "host" if accelerator() == "kvm" else "Nehalem"),
        *("-smp", "2", "-m", str(MEMORY_MB)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", f"{disks.image}/vmlinuz", "-initrd", f"{disks.image}/first.cpio", "-append", kernel),
        *("-blockdev", f"node-name=root,{root}", "-device", "virtio-blk-pci,drive=root"),
        *("-blockdev", f"node-name=spool,{own}{disks.spool}"),
        *("-device", "virtio-blk-pci,drive=spool,serial=spool"),
        *("-blockdev", f"node-name=payload,{read_only}{disks.payload}", "-device", "virtio-blk-pci,drive=payload"),
        *("-netdev", f"user,id=net,{relay}", "-device", "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *("-device", "virtserialport,chardev=command,name=lab.command"),
        *("-device", "qemu-xhci,id=xhci,p2=8,p3=8,addr=7"),
    ]
    for hub in HUBS:
        words += ["-device", f"usb-hub,id=hub{hub},bus=xhci.0,port={hub},ports=8,port-power=on"]
    return words


def shape() -> str:
    """Names the hardware: a saved state fits a machine of the same shape and no other."""
    nowhere = Path("-")
    return " ".join(hardware(Disks(nowhere, nowhere, nowhere), 0))


class Monitor:
    """QEMU's own command channel."""

    def __init__(self, channel: Channel) -> None:
        """The channel must be fresh: the greeting is answered here."""
        self._channel = channel
        self("qmp_capabilities")

    def __call__(self, command: str, within_s: float = 30.0, /, **arguments: Any) -> Any:
        """Have one thing done. Names with a dash are given by `**{"node-name": ...}`. Raises MonitorRefused."""
        answer = self._channel.ask({"execute": command, "arguments": arguments}, within_s)
        if "error" in answer:
            raise MonitorRefused(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def wait_event(self, name: str, fits: Callable[[Mapping[str, Any]], bool], within_s: float = 20.0) -> Message:
        """Wait for an event, take it away and return it. Raises TimeoutError."""

        def look() -> Message | None:
            for message in self._channel.seen:
                if message.get("event") == name and fits(message.get("data", {})):
                    self._channel.seen.remove(message)
                    return message
            return None

        return self._channel.wait(look, within_s, f"the event {name}")
