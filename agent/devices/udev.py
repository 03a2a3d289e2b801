"""Tells which bays with USB ports are occupied, and what is in them.

Rules: whole snapshots, never deltas: an event only makes us look, and what udev's queue may have lost (a burst of
plugs overflows it) a slow look finds. Events come from udev, not from the kernel: what udev has not looked at yet has
no file system to mount.
"""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import pyudev
import structlog

from agent.core.clip import BayName
from agent.core.errors import CameraError, CameraGone, ReaderStalled
from agent.devices.debounce import Debounce
from agent.devices.helper import Helper
from agent.devices.topology import UNMAPPED, Topology
from agent.devices.usb_device import UsbDevice, UsbSight, look
from agent.devices.usb_policy import clean_serial
from agent.devices.usb_texts import UsbTexts
from agent.ports import Docked

log = structlog.get_logger()

RECONCILE_S = 30.0
QUIET_S = 0.05
"""A burst of events makes one look; each look takes some milliseconds."""
ASK_S = 5.0
BLANK_S = 15.0
TEXTS_S = 0.5
"""How long the watch waits for the helper, and for what a device calls itself: the other bays wait with it."""
BUFFER_BYTES = 8 << 20
"""A dock's sixty cameras at shift change, with all that udev says of each."""


@contextmanager
def udev_signal(context: pyudev.Context, ring: Callable[[], None]) -> Iterator[None]:
    """Ring when udev says something about USB or disks; also when it said more than could be kept."""
    monitor = pyudev.Monitor.from_netlink(context, source="udev")
    monitor.filter_by("usb")
    monitor.filter_by("block")
    try:
        monitor.set_receive_buffer_size(BUFFER_BYTES)
    except OSError:  # only root may go past the machine's limit
        with socket.socket(fileno=socket.dup(monitor.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    monitor.start()
    loop = asyncio.get_running_loop()

    def drain() -> None:
        with suppress(OSError):  # an overflow: the look that follows sees everything
            while monitor.poll(0) is not None:
                pass
        ring()

    loop.add_reader(monitor.fileno(), drain)
    try:
        yield
    finally:
        loop.remove_reader(monitor.fileno())


class UsbWatch:
    """Implements `ports.BayWatch` for bays at USB ports. One iterator of `snapshots` at a time."""

    def __init__(
        self, topology: Topology, helper: Helper, *, guard: bool = True, reconcile_s: float = RECONCILE_S
    ) -> None:
        """`guard`: have the helper close the dock's ports to everything that nobody has admitted."""
        self._topology = topology
        self._helper = helper
        self._guard = guard
        self._reconcile_s = reconcile_s
        self._bell = asyncio.Event()
        self._looked = asyncio.Condition()
        self._debounce = Debounce()
        self._devices: dict[str, UsbDevice] = {}
        self._over_currents: dict[str, int] = {}
        self._unguarded: str | None = None
        self._closed = Topology({})
        self._close_again = 0.0
        self._texts = UsbTexts(self._bell.set)
        self._silent: frozenset[str] = frozenset()

    @property
    def problems(self) -> Mapping[str, str]:
        """Ports that no bay names, loose contacts, over-currents, and ports that nobody guards."""
        found = (
            {} if self._unguarded is None else {"dock": f"its ports let in whatever is plugged in: {self._unguarded}"}
        )
        for bay in self._devices:
            if bay.startswith(UNMAPPED):
                found[bay] = "no bay has this port; name it with `dock-agent bays learn`"
        for bay, count in self._over_currents.items():
            if count:
                found[bay] = (
                    f"{count} over-currents since the start of the station: look at the camera and its contacts"
                )
        for bay in self._silent:
            found[bay] = "what is plugged in there does not say who it is: take it out and put it back"
        for bay in self._debounce.flapping:
            found[bay] = "its contact comes and goes: clean it, or try another camera there"
        return found

    def set_topology(self, topology: Topology, *, guard: bool) -> None:
        """Take over a changed configuration."""
        self._topology, self._guard, self._close_again = topology, guard, 0.0
        self._bell.set()

    async def snapshots(self) -> AsyncGenerator[Mapping[BayName, Docked], None]:
        """Yield which bays are occupied, at once and after each change. Close it to end the watching."""
        shown: Mapping[BayName, Docked] | None = None
        if not self._topology.paths:
            shown = {}
            yield shown
        while not self._topology.paths:  # a station without USB bays needs no udev
            self._bell.clear()
            await self._bell.wait()
        context = pyudev.Context()
        with udev_signal(context, self._bell.set):
            await self._end_what_was_left()
            while True:
                self._bell.clear()
                await self._close_ports()
                sight = await self._look(context)
                await self._open_hubs(sight)
                again_s = self._debounce.again_s({bay: d.token for bay, d in sight.devices.items()}, time.monotonic())
                present = {BayName(b): _docked(b, d) for b, d in sight.devices.items() if not self._flaps(b)}
                await self._note(sight)
                if present != shown:
                    shown = present
                    yield present
                await self._wait(again_s)

    async def _look(self, context: pyudev.Context) -> UsbSight:
        """Look; what came new is waited for until it has said who it is, once and for a moment only."""
        sight = look(context, self._topology, self._texts.of)
        if sight.silent:
            await self._texts.wait(TEXTS_S)
            sight = look(context, self._topology, self._texts.of)
        self._texts.keep(sight.tokens)
        silent = frozenset(sight.silent)
        for bay in sorted(silent - self._silent):
            log.warning("bay.silent", bay=bay)
        self._silent = silent
        return sight

    def _flaps(self, bay: str) -> bool:
        return bay in self._debounce.flapping

    async def _note(self, sight: UsbSight) -> None:
        """Keep what was seen for those who wait for it."""
        for bay, device in sight.devices.items():
            if device.over_currents > self._over_currents.get(bay, device.over_currents):
                log.warning("bay.over_current", bay=bay, count=device.over_currents)
            self._over_currents[bay] = device.over_currents
        async with self._looked:
            self._devices = sight.devices
            self._looked.notify_all()

    async def _wait(self, again_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._reconcile_s if again_s is None else again_s):
                await self._bell.wait()
        await asyncio.sleep(QUIET_S)

    async def _end_what_was_left(self) -> None:
        """Once, before the first look: readers and mounts of an earlier run. Whatever stays is met at its own bay."""
        try:
            await self._helper.ask("blank", within_s=BLANK_S)
        except CameraError as error:
            log.warning("dock.not_blank", problem=str(error))

    async def _close_ports(self) -> None:
        """Have the controllers admit nothing, after each change of the bays and again until it is done."""
        wanted = self._topology if self._guard else Topology({})
        if wanted == self._closed or time.monotonic() < self._close_again:
            return
        problem: str | None = None
        try:
            answer = await self._helper.ask("guard", within_s=ASK_S) if wanted.paths else {}
            if answer.get("open"):
                problem = f"the kernel does not close {answer['open']}"
        except CameraError as error:
            problem = error.told()
            self._close_again = time.monotonic() + self._reconcile_s
        else:
            self._closed = wanted
        self._unguarded = problem  # only now: what was told stands until it is known to be mended
        if problem is not None:
            log.warning("dock.not_guarded", problem=problem)

    async def _open_hubs(self, sight: UsbSight) -> None:
        for name in sight.closed_hubs:
            try:
                await self._helper.ask("authorise_hub", within_s=ASK_S, device=name)
            except CameraError as error:
                log.warning("dock.hub_closed", hub=name, problem=str(error))

    async def until(self, docked: Docked, true: Callable[[UsbDevice], bool], *, within_s: float) -> UsbDevice:
        """Wait until this is true of the device of that docking.

        Raises CameraGone when it has left, ReaderStalled when it does not come true in time: then it hangs.
        """
        try:
            async with asyncio.timeout(within_s), self._looked:
                while True:
                    device = self._devices.get(docked.bay)
                    if device is None or device.token != docked.token:
                        raise CameraGone(f"the camera in bay {docked.bay} was taken out")
                    if true(device):
                        return device
                    await self._looked.wait()
        except TimeoutError as error:
            raise ReaderStalled(f"the camera in bay {docked.bay} was not ready within {within_s:g} s") from error


def _docked(bay: str, device: UsbDevice) -> Docked:
    return Docked(BayName(bay), "usb", device.name, device.token, clean_serial(device.serial), device.usb)
