"""Records what a kernel and its udev say of a dock with cameras, for the fast tests: `python -m tests.lab.record`.

Writes one file for each kind of device into tests/devices/recorded. Needs the lab; takes about a minute.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.lab.camera.camera import ScriptedCamera
from tests.lab.camera.identity import Identity
from tests.lab.machine import Machine
from tests.lab.media import card
from tests.lab.states import idle
from tests.lab.watch import Watch

TARGET = Path(__file__).parents[1] / "devices" / "recorded"
GUEST = Path(__file__).parent / "guest" / "dump.py"
FILES = {"DCIM/100BWC/A.MP4": b"footage"}
DEVICES = "/sys/bus/usb/devices"


def save(machine: Machine, kind: str, *devices: str) -> None:
    """Write down these devices and what hangs below them."""
    words = [f"{DEVICES}/{device}" for device in devices]
    found = json.loads(machine.run("python3", "-I", "-", *words, stdin=GUEST.read_text("utf-8")))
    (TARGET / f"{kind}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    sys.stderr.write(f"record: {kind}: {len(found)} devices\n")


def dock(machine: Machine, _: Path) -> None:
    """The controller with its two buses, and on the first one the hubs with eight ports each."""
    save(machine, "dock", "usb1", "usb2")


def scripted(kind: str, port: str, *, partitioned: bool = True) -> Callable[[Machine, Path], None]:
    """A camera that shows a disk with one file system."""

    def record(machine: Machine, folder: Path) -> None:
        image = card(folder / f"{kind}.img", FILES, partitioned=partitioned)
        watch = Watch(machine)
        with ScriptedCamera(image, Identity(serial="BWC1")) as camera:
            camera.plug(machine, port)
            watch.wait_volume(port)
            machine.sh("udevadm settle")
            save(machine, kind, f"1-{port}")

    return record


def mtp(machine: Machine, folder: Path) -> None:
    """A camera that shows files, not a disk."""
    (folder / "mtp").mkdir()
    watch = Watch(machine)
    machine.plug_mtp("mtp", folder / "mtp", "1.4", "BWC-MTP")
    watch.wait_device("1.4")
    machine.sh("udevadm settle")
    save(machine, "mtp", "1-1.4")
    machine.unplug("mtp")


def keyboard(machine: Machine, folder: Path) -> None:
    """A disk that is also a keyboard, at a controller that admits nothing by itself."""
    machine.sh(f"echo 0 > {DEVICES}/usb1/authorized_default")
    image = card(folder / "keyboard.img", FILES)
    watch = Watch(machine)
    with ScriptedCamera(image, Identity(serial="BWC1", keyboard=True)) as camera:
        camera.plug(machine, "1.5")
        watch.wait_device("1.5")
        machine.sh("udevadm settle")
        save(machine, "keyboard", "1-1.5")


def main() -> None:
    """Record everything on one machine."""
    with tempfile.TemporaryDirectory(prefix="lab-record-") as name:
        folder = Path(name)
        with Machine.restore(idle(), folder / "machine") as machine:
            for record in (
                dock,
                scripted("fat32", "1.3"),
                scripted("bare", "1.6", partitioned=False),
                mtp,
                keyboard,
            ):
                record(machine, folder)


if __name__ == "__main__":
    main()
