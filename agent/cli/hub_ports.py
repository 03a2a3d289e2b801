"""The dock's hubs and the ports of its bays, as the kernel shows them to anybody; the helper asks what only root may.

Rules: only looks. What a hub says of itself is a claim: whether the power really goes off shows by trying alone.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import CameraError
from agent.devices.helper import Helper
from agent.devices.topology import Topology
from agent.helper.dock import Dock
from agent.helper.refusal import Refusal
from agent.helper.sysfs import Port, Usb

ASK_S = 10.0
_SWITCHING = {0: "together", 1: "each"}
"""By the two lowest bits of wHubCharacteristics; others: none. Source: USB 2.0 specification, table 11-13."""


@dataclass(frozen=True, slots=True)
class BayPort:
    """One half of a bay's port; `power` is what the hub says now, None when the kernel has no switch for the port."""

    hub: str
    port: int
    path: str
    power: bool | None
    device: str | None
    device_number: str | None
    speed_mbit_s: str | None


@dataclass(frozen=True, slots=True)
class HubFacts:
    """One hub. `switching` is "each", "together" or "none"; None when it could not be asked: `why` says why."""

    hub: str
    usb: str
    product: str | None
    speed_mbit_s: str | None
    ports: int
    switching: str | None
    why: str | None


class HubPorts:
    """What is there now."""

    def __init__(self, topology: Topology, usb: Usb, helper: Path) -> None:
        """`helper` is the helper's socket."""
        self._usb = usb
        self._helper = helper
        self._dock = Dock(topology, usb)

    def of_bay(self, bay: str) -> tuple[BayPort, ...]:
        """Every half of a bay's port; none when its hub is not there."""
        try:
            return tuple(map(self._port, self._dock.ports(bay)))
        except Refusal:
            return ()

    def _port(self, port: Port) -> BayPort:
        root = port.hub.removeprefix("usb")
        device = f"{port.hub}.{port.number}" if root == port.hub else f"{root}-{port.number}"
        place = self._place(device)
        said = _text(port.place, "disable")
        return BayPort(
            hub=port.hub,
            port=port.number,
            path=port.path,
            power=None if said is None else said == "0",
            device=None if place is None else device,
            device_number=None if place is None else _text(place, "devnum"),
            speed_mbit_s=None if place is None else _text(place, "speed"),
        )

    def hubs(self, names: Iterable[str]) -> list[HubFacts]:
        """The hubs of these names; each is asked what it can do."""
        return [self._hub(name) for name in names]

    def _hub(self, name: str) -> HubFacts:
        place = self._place(name)
        vendor, product, name_of_it, speed, ports = (
            None if place is None else _text(place, key)
            for key in ("idVendor", "idProduct", "product", "speed", "maxchild")
        )
        switching, why = self._switching(name)
        return HubFacts(name, f"{vendor}:{product}", name_of_it, speed, int(ports or 0), switching, why)

    def _switching(self, name: str) -> tuple[str | None, str | None]:
        if name.startswith("usb"):
            return None, "these are the controller's own ports"
        try:
            answer = asyncio.run(ask(self._helper, "hub", device=name))
        except CameraError as error:
            return None, error.told()
        told = answer.get("characteristics")
        if not isinstance(told, int):
            return None, "the helper's answer cannot be read"
        return _SWITCHING.get(told & 0b11, "none"), None

    def _place(self, device: str) -> Path | None:
        try:
            return self._usb.place_of(device)
        except Refusal:
            return None


async def ask(path: Path, verb: str, *, within_s: float = ASK_S, **fields: str) -> dict[str, object]:
    """Put one question to the helper at this socket. Raises CameraError."""
    helper = Helper(path)
    try:
        return await helper.ask(verb, within_s=within_s, **fields)
    finally:
        helper.close()


def _text(place: Path, name: str) -> str | None:
    try:
        return (place / name).read_text("utf-8", errors="replace").strip() or None
    except OSError:
        return None
