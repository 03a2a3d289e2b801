"""What a device calls itself, asked where nobody has to wait for the answer.

Rules: for these texts alone the kernel waits until whoever resets or configures the device has let go of it, and that
may be never. So each device is asked in a thread of its own, and once for each docking. The callers bound how long
they wait, and a device that has not answered is not there yet: without its serial it would be taken for another camera.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.devices.apart import run_apart

MOST = 64
"""So many devices may keep silent at once; who comes after them is asked once one of them has answered or left."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Claims of the device, None where it makes none."""

    serial: str | None
    product: str | None


TextsOf = Callable[[str, Path], Texts | None]
"""Tells the texts of the device with this token, whose folder in sysfs this is; None while it has not answered."""


def text_at(place: Path, name: str) -> str:
    """An attribute of sysfs; empty when it is not there."""
    try:
        return (place / name).read_bytes().decode("utf-8", "replace").strip("\n")
    except OSError:
        return ""


def read_texts(_token: str, place: Path) -> Texts:
    """Ask at once, and wait as long as it takes. Implements `TextsOf`."""
    return Texts(text_at(place, "serial") or None, text_at(place, "product") or None)


class UsbTexts:
    """The texts of all that is docked. For one event loop, by whose side the asking is done."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """`ring` is called in the loop each time that a device has answered."""
        self._ring = ring
        self._asked: dict[str, asyncio.Future[Texts]] = {}
        self._open: set[asyncio.Future[Texts]] = set()  # also of devices that have left
        self._new: list[asyncio.Future[Texts]] = []

    def of(self, token: str, place: Path) -> Texts | None:
        """What the device said; it is asked if it was not yet. Implements `TextsOf`."""
        asked = self._asked.get(token)
        if asked is None:
            if len(self._open) >= MOST:
                return None
            asked = asyncio.wrap_future(run_apart("usb-texts", read_texts, token, place))
            asked.add_done_callback(self._note)
            self._asked[token] = asked
            self._open.add(asked)
            self._new.append(asked)
        return asked.result() if asked.done() else None

    def _note(self, answered: asyncio.Future[Texts]) -> None:
        self._open.discard(answered)
        self._ring()

    async def wait(self, within_s: float) -> None:
        """Wait for those that were asked since the last call; who does not answer in time is not waited for again."""
        new, self._new = self._new, []
        if new:
            await asyncio.wait(new, timeout=within_s)

    def keep(self, tokens: Iterable[str]) -> None:
        """Forget what devices said that are none of these."""
        self._asked = {token: self._asked[token] for token in tokens if token in self._asked}
