"""Doing what one request asks. Runs in a process of its own, which may hang for as long as a camera does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.devices.topology import Topology
from agent.helper import power, readers
from agent.helper.dock import Dock
from agent.helper.memory import Memory
from agent.helper.refusal import Refusal
from agent.helper.request import Request
from agent.helper.sysfs import Usb
from agent.helper.volume import Volumes

Answer = dict[str, object]

TURNS: Mapping[str, str] = {
    "authorise": "device", "mount": "volume", "window": "volume", "renew": "volume", "unmount": "volume",
    "power": "power", "reader": "reader", "end_reader": "reader",
}  # fmt: skip
"""Which requests for one bay wait for each other. Power does for none but itself: cutting it is what ends a hung
mount, and so are readers apart."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine."""

    media: Path
    state: Path


def perform(request: Request, topology: Topology, usb: Usb, places: Places) -> Answer:
    """Do it; returns what there is to tell. Raises Refusal."""
    dock = Dock(topology, usb)
    volumes = Volumes(dock, places.media, Memory(places.state))
    match request.verb:
        case "guard":
            return dock.guard()
        case "authorise":
            dock.authorise(request.bay, request.device, request.number, on=request.on)
        case "authorise_hub":
            dock.authorise_hub(request.device)
        case "hub":
            return {"characteristics": dock.characteristics(request.device)}
        case "mount":
            return {"root": str(volumes.mount(request.bay, request.block, request.fs))}
        case "window":
            return {"root": str(volumes.window(request.bay))}
        case "renew":
            return {"root": str(volumes.renew(request.bay))}
        case "unmount":
            volumes.unmount(request.bay)
        case "power":
            return {"by": power.switch(dock.ports(request.bay), request.to)}
        case "reader":
            dock.require(request.bay)
            device = dock.device(request.bay, request.device) if request.kind == "usb" else None
            volumes.make_place(request.bay)
            readers.start(request.bay, request.kind, device)
        case "end_reader":
            readers.end(readers.units_of(request.bay))
        case "blank":
            readers.end_all()
            volumes.unmount_all()
        case _:
            raise Refusal("bad_request", f"no such verb: {request.verb}")
    return {}
