"""Opens the camera at a USB port: let in, unlocked where it needs that, mounted, and read by a reader of its own.

Rules: nothing is mounted before the device's identity and interfaces were found to be what a profile describes; what
is refused stays closed until it is taken out. Whatever was begun is undone when it cannot be finished.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent.core.errors import CameraError, DeviceRefused, ReaderStalled
from agent.core.profile import Access, Profile, Unlock
from agent.devices.helper import Helper, HelperSlow
from agent.devices.reader.camera import ReaderCamera, opened
from agent.devices.reader.drain import Drain
from agent.devices.reader.unit import start_unit
from agent.devices.reader.volume import FixedVolume
from agent.devices.udev import UsbWatch
from agent.devices.usb_descriptor import interfaces_of
from agent.devices.usb_device import UsbDevice, Volume
from agent.devices.usb_policy import Admit, Seen, admit, clean_serial
from agent.ports import Docked

if TYPE_CHECKING:
    from agent.devices.reader.process import ReaderProcess

log = structlog.get_logger()

PROBE_S = 30.0
"""From letting a device in to its file system; a card reader with a worn-out card takes its time."""
SWITCH_S = 20.0
"""How long a camera may take to come back as a disk after it was told to."""
RELEASE_S = 5.0
STARTS_AT_ONCE = 3
"""Readers that are started at a time: sixty at once would all take as long as the last one, and then time out."""


class MountedVolume:
    """Implements `reader.volume.Volume` through the helper."""

    def __init__(self, helper: Helper, bay: str) -> None:
        """The volume that the helper has mounted, or is about to mount, for `bay`."""
        self._helper = helper
        self._bay = bay

    async def afresh(self) -> str:
        """Unmount, forget what was read, mount read-only. Raises CameraError."""
        return await self._root("renew")

    async def writable(self) -> str:
        """Unmount, mount writable. Raises MediumReadOnly, CameraError."""
        return await self._root("window")

    async def _root(self, verb: str) -> str:
        try:
            return str((await self._helper.ask(verb, bay=self._bay))["root"])
        except HelperSlow as error:
            raise ReaderStalled(f"the camera gave no answer while it was mounted anew: {error}") from error

    async def close(self) -> None:
        """Unmount, lazily when the camera has left or hangs."""
        try:
            await self._helper.ask("unmount", within_s=RELEASE_S, bay=self._bay)
        except CameraError as error:
            log.warning("camera.not_unmounted", bay=self._bay, problem=str(error))


class UsbOpener:
    """Implements `ports.CameraOpener` for what `UsbWatch` shows."""

    def __init__(
        self, watch: UsbWatch, helper: Helper, profiles: Callable[[], tuple[Profile, ...]], sockets: Path
    ) -> None:
        """`profiles` are asked anew for each camera; `sockets` is the folder to which readers connect."""
        self._watch = watch
        self._helper = helper
        self._profiles = profiles
        self._sockets = sockets
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)

    async def _start(self, docked: Docked, kind: str, device: str = "") -> "ReaderProcess":
        """Start a reader; nothing that a camera does can make this take long, so nobody waits for a hung one."""
        async with self._starting:
            return await start_unit(self._helper, self._sockets, docked.bay, kind, device)

    async def __call__(self, docked: Docked, *, stall_s: float) -> ReaderCamera:
        """Open it. Raises CameraError; DeviceRefused for what nobody may touch."""
        device = await self._watch.until(docked, lambda _: True, within_s=PROBE_S)
        verdict = await self._admit(docked, device)
        if verdict.unlock is not None:
            await self._unlock(docked, device, verdict.unlock)
        if verdict.access is Access.MTP:
            camera = await self._open_mtp(docked, device, stall_s)
        else:
            camera = await self._open_volume(docked, stall_s)
        known = camera.facts
        camera.facts = replace(
            known,
            serial=None,  # at a USB port it is the kernel's word that counts, and the profile's
            usb=device.usb,
            usb_serial=clean_serial(device.serial),
            profiles=frozenset(profile.name for profile in verdict.profiles),
            model=known.model or clean_serial(device.product),
            firmware=known.firmware or device.revision,
        )
        return camera

    async def _admit(self, docked: Docked, device: UsbDevice) -> Admit:
        try:
            interfaces = interfaces_of(device.descriptors)
        except ValueError:
            interfaces = None
        verdict = admit(Seen(device.usb, interfaces), self._profiles())
        if isinstance(verdict, Admit):
            if not device.authorised:
                await self._authorise(docked, device, on=True)
            return verdict
        if device.authorised:
            with suppress(CameraError):  # it is refused all the same
                await self._authorise(docked, device, on=False)
        raise DeviceRefused(f"The device in bay {docked.bay} ({device.usb}) is kept out: {verdict.told()}.")

    async def _authorise(self, docked: Docked, device: UsbDevice, *, on: bool) -> None:
        """Of the very device that was looked at: the kernel numbers whatever comes into a port anew."""
        number = str(device.node[1])
        await self._helper.ask("authorise", bay=docked.bay, device=device.name, number=number, on=on)

    async def _open_volume(self, docked: Docked, stall_s: float) -> ReaderCamera:
        """The reader starts while the kernel still looks for the disk: a second of work, and a second of waiting."""
        async with AsyncExitStack() as undo:
            try:
                async with asyncio.TaskGroup() as group:
                    starting = group.create_task(self._reader(docked, "storage", undo), name=f"reader {docked.bay}")
                    volume = await self._volume(docked)
                    root, mounted = await self._mount(docked, volume, stall_s, undo)
            except ExceptionGroup as several:
                raise _first(several) from several
            process = starting.result()
            if volume.fs == "ext4":  # nobody could know that it takes a reader with more rights
                await process.close()
                process = await self._reader(docked, "ext4", undo)
            undo.pop_all()
        camera = ReaderCamera(process, Drain(docked.bay), mounted, stall_s=stall_s)
        return await opened(camera, "mass_storage", root)

    async def _reader(self, docked: Docked, kind: str, undo: AsyncExitStack) -> "ReaderProcess":
        process = await self._start(docked, kind)
        undo.push_async_callback(process.close)
        return process

    async def _volume(self, docked: Docked) -> Volume:
        """Wait until udev has looked at the camera's disk. Raises CameraError; DeviceRefused where none can be read."""
        try:
            device = await self._watch.until(docked, lambda d: d.settled, within_s=PROBE_S)
        except ReaderStalled as error:
            device = await self._watch.until(docked, lambda _: True, within_s=PROBE_S)
            if not device.slots or device.disks:
                raise
            raise CameraError(f"the camera in bay {docked.bay} has no card in it, or none that works") from error
        return _only_volume(docked, device)

    async def _mount(
        self, docked: Docked, volume: Volume, stall_s: float, undo: AsyncExitStack
    ) -> tuple[str, MountedVolume]:
        mounted = MountedVolume(self._helper, docked.bay)
        undo.push_async_callback(mounted.close)
        fields = {"bay": docked.bay, "block": volume.block, "fs": volume.fs}
        try:
            return str((await self._helper.ask("mount", within_s=stall_s, **fields))["root"]), mounted
        except HelperSlow as error:
            raise ReaderStalled(f"the camera gave no answer while it was mounted, for {stall_s:g} s") from error

    async def _open_mtp(self, docked: Docked, device: UsbDevice, stall_s: float) -> ReaderCamera:
        process = await self._start(docked, "usb", device.name)
        address = f"usb:{device.node[0]:03d},{device.node[1]:03d}"
        camera = ReaderCamera(process, Drain(docked.bay), FixedVolume(address), stall_s=stall_s)
        return await opened(camera, "mtp", address)

    async def _unlock(self, docked: Docked, device: UsbDevice, unlock: Unlock) -> None:
        """Tell a locked camera to show its disk; it leaves and comes back, which ends this docking. Never returns."""
        process = await self._start(docked, "usb", device.name)
        address = json.dumps(
            {
                "node": f"/dev/bus/usb/{device.node[0]:03d}/{device.node[1]:03d}",
                "request_type": unlock.request_type,
                "request": unlock.request,
                "value": unlock.value,
                "index": unlock.index,
                "data": unlock.data.hex(),
            }
        )
        camera = ReaderCamera(process, Drain(docked.bay), FixedVolume(address), stall_s=SWITCH_S)
        switched = await opened(camera, "switch", address)
        await switched.close()
        await self._watch.until(docked, lambda _: False, within_s=SWITCH_S)
        raise AssertionError  # `until` ends with the docking, or says that it did not end


def _only_volume(docked: Docked, device: UsbDevice) -> Volume:
    """The one volume to read. Which of several holds the footage nobody has said, and half a camera is none."""
    usable = [volume for volume in device.volumes if volume.is_usable]
    if len(usable) == 1:
        return usable[0]
    if usable:
        names = ", ".join(f"{volume.block} ({volume.fs})" for volume in usable)
        raise DeviceRefused(
            f"The camera in bay {docked.bay} shows {len(usable)} volumes, {names}: which one is the footage's?",
            hint="Leave one card in it, or offload each by hand: dock-agent offload PATH.",
        )
    kinds = ", ".join(sorted({volume.fs or "none that is known" for volume in device.volumes})) or "none"
    raise DeviceRefused(
        f"The card in bay {docked.bay} has no file system that can be read here (it has: {kinds}).",
        hint="Readable are FAT32, exFAT and ext4. Keep the card for examination if it should hold footage.",
    )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """One failure for the bay to show: what went wrong first."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


class HelperPower:
    """Implements `ports.PortPower` through the helper."""

    def __init__(self, helper: Helper) -> None:
        """Ask `helper`."""
        self._helper = helper

    async def cycle(self, bay: str) -> bool:
        """Off, a moment, on; False when it cannot be switched."""
        try:
            await self._helper.ask("power", bay=bay, to="cycle")
        except CameraError as error:
            log.warning("bay.power_not_cut", bay=bay, problem=str(error))
            return False
        return True
