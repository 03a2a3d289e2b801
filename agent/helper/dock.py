"""The dock: which device, port or disk belongs to which bay. Everything that is done here is done to a dock port."""

from pathlib import Path

from agent.devices.topology import UNMAPPED, Topology
from agent.devices.usb_descriptor import HUB_CLASS, is_only_hub
from agent.helper.hub import characteristics
from agent.helper.refusal import Refusal, said
from agent.helper.sysfs import (
    Block,
    Port,
    Usb,
    attribute,
    bytes_in,
    node_of,
    opened_folder,
    set_attribute,
    text_in,
    write_in,
)


class Dock:
    """The bays as configured, on the USB devices as they are."""

    def __init__(self, topology: Topology, usb: Usb) -> None:
        """Both as of now."""
        self._topology = topology
        self._usb = usb

    def guard(self) -> dict[str, object]:
        """Have the bays' controllers admit nothing unasked; tells which root hubs do so now and which cannot."""
        guarded: list[str] = []
        unguarded: list[str] = []
        for name, controller in self._usb.root_hubs().items():
            if controller is None or not self._is_of_dock(controller):
                continue
            try:
                set_attribute(self._usb.place_of(name), "authorized_default", "0")
            except (OSError, Refusal):
                unguarded.append(name)
            else:
                guarded.append(name)
        return {"guarded": guarded, "open": unguarded}

    def _is_of_dock(self, controller: str) -> bool:
        return any(each.rpartition("-usb")[0] == controller for each in self._topology.controllers)

    def authorise(self, bay: str, device: str, number: str, *, on: bool) -> None:
        """Let a device in or shut it out, if it is still the one with this number. Raises Refusal."""
        place = self.device(bay, device)
        try:
            # Both by one descriptor of the folder: once this device has left, its attributes take nothing any more.
            with opened_folder(place) as folder:
                if text_in(folder, "devnum") != number:
                    raise Refusal("gone", f"another device is in the port of bay {bay} now")
                write_in(folder, "authorized", str(int(on)))
        except OSError as error:
            raise Refusal("no_such_device", f"{place.name} cannot be asked any more: {said(error)}") from error

    def authorise_hub(self, device: str) -> None:
        """Let a hub in that stands between the station and a bay, and is nothing but a hub. Raises Refusal."""
        place = self._way_to_bays(device)
        try:
            with opened_folder(place) as folder:  # what was looked at is what is let in
                if not is_only_hub(bytes_in(folder, "descriptors")):
                    raise Refusal(
                        "not_a_dock_port",
                        f"{device} is where a hub of the dock belongs, and it is no hub or more than a hub",
                    )
                write_in(folder, "authorized", "1")
        except OSError as error:
            raise Refusal("no_such_device", f"{device} cannot be asked any more: {said(error)}") from error

    def characteristics(self, device: str) -> int:
        """What a hub that stands between the station and a bay says that it can do. Raises Refusal."""
        place = self._way_to_bays(device)
        if attribute(place, "bDeviceClass") != HUB_CLASS:
            raise Refusal("not_a_dock_port", f"{device} is no hub")
        return characteristics(node_of(place), int(attribute(place, "bDeviceProtocol"), 16))

    def _way_to_bays(self, device: str) -> Path:
        place = self._usb.place_of(device)
        path = self._usb.path_of(device)
        if path is None or not self._topology.leads_to_bays(path):
            raise Refusal("not_a_dock_port", f"no bay is reached over {device}")
        return place

    def require(self, bay: str) -> None:
        """See that there is such a bay. Raises Refusal."""
        device = bay.removeprefix(UNMAPPED)
        if device == bay:
            known = any(self._topology.bay_at(str(path), bay) == bay for path in self._topology.paths)
        else:
            path = self._usb.path_of(device)
            known = path is not None and self._topology.bay_at(path, device) == bay
        if not known:
            raise Refusal("not_a_dock_port", f"there is no bay {bay}; is it in a file that only root can change?")

    def device(self, bay: str, device: str) -> Path:
        """The folder of a device in this bay. Raises Refusal when it is not there or not in this bay."""
        place = self._usb.place_of(device)
        path = self._usb.path_of(device)
        if path is None or self._topology.bay_at(path, device) != bay:
            raise Refusal("not_a_dock_port", f"{device} is not in bay {bay}")
        return place

    def block(self, bay: str, name: str) -> Block:
        """A disk of this bay's device. Raises Refusal."""
        block = self._usb.block(name)
        self.device(bay, block.device)
        return block

    def ports(self, bay: str) -> tuple[Port, ...]:
        """Every half of the bay's port; never one over which other bays are reached. Raises Refusal."""
        mine = [port for port in self._usb.ports() if self._bay_of(port) == bay]
        halves = {port.place.name: port for port in mine}
        for port in mine:
            peer = self._usb.peer_of(port)
            if peer is not None and not self._is_of_another(peer, bay):
                halves.setdefault(peer.place.name, peer)
        if not halves:
            raise Refusal("not_a_dock_port", f"no port of bay {bay} is there; is its hub plugged in?")
        others = [port for port in halves.values() if self._topology.leads_to_bays(port.path)]
        if others:
            raise Refusal("not_a_dock_port", f"{others[0].place.name} leads to other bays")
        return tuple(halves.values())

    def _is_of_another(self, port: Port, bay: str) -> bool:
        other = self._bay_of(port)
        return other is not None and other != bay and not other.startswith(UNMAPPED)

    def _bay_of(self, port: Port) -> str | None:
        # What the device on a port of a hub is called; no bay is on a root hub's port without being named.
        below = f"{port.hub}{'.' if '-' in port.hub else '-'}{port.number}".removeprefix("usb")
        return self._topology.bay_at(port.path, below)
