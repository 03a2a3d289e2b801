"""A program for test_port_events.py: `dock-agent bays learn` on a made-up machine, while somebody plugs cameras in.

One controller with a bus for each speed; the dock's hub is at port 1 of the one and at port 5 of the other.
"""

import sys

from agent.cli.main import carry_out
from agent.devices import port_events
from tests.devices.udev_testbed import Testbed

PCI = "pci-0000:00:14.0"
bed = Testbed()
halves = {}
for bus, port, kind in ((1, 1, "9/0/1"), (2, 5, "9/0/3")):
    root = bed.add(f"usb{bus}", DEVTYPE="usb_device", ID_PATH=PCI, TYPE=kind)
    hub = bed.add(f"{bus}-{port}", root, DEVTYPE="usb_device", ID_PATH=f"{PCI}-usb-0:{port}", TYPE=kind)
    ports = bed.add(f"{bus}-{port}:1.0", hub, DEVTYPE="usb_interface", ID_PATH=f"{PCI}-usb-0:{port}:1.0")
    for number in (3, 4):
        bed.add(f"{bus}-{port}-port{number}", ports)
    halves[bus] = hub
bed.link(f"{halves[1]}/1-1:1.0/1-1-port3", "peer", "../../../../usb2/2-5/2-5:1.0/2-5-port3")


def plug(port: int) -> str:
    return bed.add(f"1-1.{port}", halves[1], DEVTYPE="usb_device", ID_PATH=f"{PCI}-usb-0:1.{port}", TYPE="0/0/0")


forgotten = plug(4)


class Hands(port_events.PortEvents):
    """The real thing; once what is there was looked at, somebody goes from bay to bay."""

    def plugged(self) -> list[str]:
        found = super().plugged()
        bed.take_out(plug(3))
        bed.add("1-1.2", halves[1], DEVTYPE="usb_device", ID_PATH=f"{PCI}-usb-0:1.2", TYPE="9/0/2")
        bed.take_out(forgotten)
        plug(4)
        return found


sys.stderr.write(f"{sorted(port_events.PortEvents().buses().items())}\n")
port_events.PortEvents = Hands  # type: ignore[misc]
sys.exit(carry_out(sys.argv[1:]))
