"""The hardware side of all bays: USB ports behind the privileged helper, and how any camera is opened."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent.core.clip import BayName
from agent.core.errors import SpoolPlain
from agent.core.profile import Profile
from agent.devices.helper import Helper
from agent.devices.reader.camera import ReaderCamera, open_camera
from agent.devices.topology import Topology
from agent.devices.udev import UsbWatch
from agent.devices.usb_camera import HelperPower, UsbOpener
from agent.ports import Docked

UsbBays = Mapping[BayName, tuple[str, ...]]
"""The paths of each bay at a USB port, as of `topology`."""


def _topology(bays: UsbBays) -> Topology:
    return Topology({str(name): paths for name, paths in bays.items()})


class Dock:
    """Built once; nothing is opened before it is needed. `watch` and `power` are for the bays at USB ports."""

    def __init__(
        self,
        bays: UsbBays,
        *,
        guard: bool,
        helper: Path,
        sockets: Path,
        profiles: Callable[[], tuple[Profile, ...]],
        plain: str | None = None,
    ) -> None:
        """`helper` is the helper's socket, `sockets` the folder to which readers connect. Raises ValueError.

        `plain` says why the spool is not encrypted enough for footage of USB cameras; None where it is.
        """
        self._bays, self._plain = bays, plain
        self._helper = Helper(helper)
        self.watch = UsbWatch(_topology(bays), self._helper, guard=guard)
        self.power = HelperPower(self._helper)
        self._open_usb = UsbOpener(self.watch, self._helper, profiles, sockets)

    async def open(self, docked: Docked, *, stall_s: float) -> ReaderCamera:
        """Open the camera in a bay. Implements `ports.CameraOpener`; raises CameraError.

        SpoolPlain where its footage would lie in the clear: it is not even let in then, and keeps its footage.
        """
        if docked.driver != "usb":
            return await open_camera(docked, stall_s=stall_s)
        if self._plain is not None:
            raise _refusal(self._plain)
        return await self._open_usb(docked, stall_s=stall_s)

    @property
    def problems(self) -> list[str]:
        """Why none of the cameras at USB ports is opened, for people; empty where they are, or there are no bays."""
        return refusals(self._bays, self._plain)

    def set_bays(self, bays: UsbBays, *, guard: bool) -> None:
        """Take over a changed configuration. Raises ValueError."""
        self.watch.set_topology(_topology(bays), guard=guard)
        self._bays = bays

    def close(self) -> None:
        """Hang up on the helper; idempotent."""
        self._helper.close()


def refusals(bays: UsbBays, plain: str | None) -> list[str]:
    """What people are told where there are USB bays and the spool is not encrypted (`plain` says why); else nothing."""
    return [] if plain is None or not bays else [_refusal(plain).told()]


def _refusal(why: str) -> SpoolPlain:
    return SpoolPlain(f"Cameras at USB ports are not copied, because the spool is not encrypted: {why}.")
