"""A dock of recorded devices with a helper that needs no privileges: cameras with cards that real readers can read.

What the helper lets in is let in, as the kernel would: its disk appears only then. Made within a running loop.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from agent.devices.topology import Topology
from tests.devices.recorded.bed import DockBed, Record, path_of, recorded
from tests.fakes.helper import FakeHelper, card_place

PORTS = (1, 2, 3, 4)
BAYS = Topology({str(port): [path_of(port)] for port in PORTS})
FILES = {"DCIM/100BWC/A.MP4": b"first clip", "DCIM/100BWC/B.MP4": b"second"}


@dataclass
class PluggedCamera:
    """A camera in a port. `card` is what is on its medium."""

    name: str
    port: int
    devices: list[Record]
    card: Path
    blocks: tuple[str, ...] = ()
    shown: list[Record] = field(default_factory=list)


class Rig:
    """The dock, the helper and the cards."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._loop = asyncio.get_running_loop()
        self.bed = DockBed()
        self._stack.callback(self.bed.close)
        self.helper = self._stack.enter_context(FakeHelper(folder, tuple(map(str, PORTS))))
        self.helper.script.authorised = self._note_authorised
        self.cards = self._stack.enter_context(card_place())
        self.cameras: dict[str, PluggedCamera] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def card(self, files: Mapping[str, bytes] = FILES) -> Path:
        """A card with these files."""
        self._count += 1
        card = self.cards / f"card{self._count}"
        card.mkdir()
        for name, content in files.items():
            path = card / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return card

    def plug(
        self,
        kind: str = "fat32",
        port: int = 3,
        *,
        serial: str = "BWC1",
        card: Path | None = None,
        authorised: bool = True,
        attributes: Mapping[str, str] | None = None,
        fs: str = "vfat",
    ) -> PluggedCamera:
        """Plug in a recorded camera; one that nobody has let in shows no disk. `attributes` are the device's own."""
        self.bed.uses += 1
        devices = recorded(kind, port, f"sd{chr(ord('a') + port)}", serial)
        device = devices[0]
        changed = {"authorized": str(int(authorised)), **(attributes or {})}
        device["attributes"] |= {name: {"text": f"{value}\n"} for name, value in changed.items()}
        for each in devices:
            each["udev"] = [line.replace("ID_FS_TYPE=vfat", f"ID_FS_TYPE={fs}") for line in each["udev"] or []]
        blocks = tuple(Path(each["path"]).name for each in devices if each["subsystem"] == "block")
        camera = PluggedCamera(f"1-1.{port}", port, devices, card or self.card(), blocks)
        self.cameras[camera.name] = camera
        self.helper.script.devices[camera.name] = str(port) if port in PORTS else f"port-{camera.name}"
        self.helper.script.numbers[camera.name] = device["attributes"]["devnum"]["text"].strip()
        self.helper.script.cards |= dict.fromkeys(camera.blocks, camera.card)
        self._show(camera, devices if authorised else devices[:1])
        return camera

    def _show(self, camera: PluggedCamera, devices: list[Record]) -> None:
        for device in devices:
            self.bed.insert(device)
        camera.shown += devices

    def _note_authorised(self, name: str, on: bool) -> None:
        self.call(lambda: self._authorise(name, on))

    def call(self, what: Callable[[], None]) -> None:
        """Have something done by the loop's thread: the testbed is for one thread."""
        self._loop.call_soon_threadsafe(what)

    def _authorise(self, name: str, on: bool) -> None:
        camera = self.cameras.get(name)
        if camera is None:
            return
        self.bed.set(camera.devices[0], {"authorized": str(int(on))})
        if on:
            self._show(camera, camera.devices[len(camera.shown) :])
        else:
            self.bed.pull(camera.shown[1:])
            del camera.shown[1:]
        self.bed.say(camera.devices[0])

    def pull(self, camera: PluggedCamera) -> None:
        """Take it out, with its card."""
        del self.cameras[camera.name], self.helper.script.devices[camera.name]
        for block in camera.blocks:
            self.helper.script.cards.pop(block)
        if camera.card.exists():
            camera.card.rename(camera.card.with_suffix(f".out{self.bed.uses}"))
        self.bed.pull(camera.shown)
        camera.shown.clear()

    def put_back(self, camera: PluggedCamera) -> PluggedCamera:
        """The same camera with the same card, docked once more."""
        (out,) = sorted(self.cards.glob(f"{camera.card.name}.out*"))
        shutil.move(out, camera.card)
        serial = bytes.fromhex(camera.devices[0]["attributes"]["serial"]["hex"]).decode()
        return self.plug(port=camera.port, serial=serial, card=camera.card)
