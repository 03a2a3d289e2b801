"""Mounting a camera's volume: read-only, writable in a window, and read-only again from the medium itself.

Rules: only a disk of the bay's own device, only as the file system that was named, always into a folder that was
never used before: a reader that still looks at the last mount cannot take the next one for it. Between two mounts of
a volume nobody may hold it, so what is read afterwards comes from the medium. While no window is open, the kernel
itself refuses every write to the disk, whoever asks.
"""

import errno
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent.devices.drivers.mounts import read_mounts
from agent.helper import kernel
from agent.helper.account import reader_account
from agent.helper.dock import Dock
from agent.helper.memory import Known, Memory, Volume
from agent.helper.refusal import Refusal, said
from agent.helper.sysfs import Block

DEVICES = Path("/dev")

_NOT_THIS_FILE_SYSTEM = frozenset(
    {errno.EINVAL, errno.EUCLEAN, errno.EBADMSG, errno.ENODEV, errno.EFBIG, errno.EOPNOTSUPP}
)
_NO_DEVICE = frozenset({errno.ENOENT, errno.ENXIO, errno.ENOMEDIUM, errno.ENOTBLK})
_NO_CHANGES = frozenset({errno.EROFS, errno.EACCES})

_OWNED = "uid={uid},gid={gid},fmask=0177,dmask=0077"
_OPTIONS = {
    # Names as Unicode, times as UTC: which zone a camera's clock keeps is for its profile to say.
    "vfat": f"{_OWNED},utf8=1,codepage=437,shortname=mixed,tz=UTC,errors=remount-ro",
    "exfat": f"{_OWNED},iocharset=utf8,time_offset=0,errors=remount-ro",
    # Replaying the journal would write to the card.
    "ext4": "noload,errors=remount-ro",
}


def options_of(file_system: str) -> str:
    """The options under which a file system is mounted. Raises Refusal when nobody is there to own its files."""
    options = _OPTIONS[file_system]
    if _OWNED not in options:
        return options
    reader = reader_account()
    return options.format(uid=reader.pw_uid, gid=reader.pw_gid)


class Volumes:
    """The volumes of all bays, below one folder."""

    def __init__(self, dock: Dock, media: Path, memory: Memory) -> None:
        """`media` holds one folder for each bay."""
        self._dock = dock
        self._media = media
        self._memory = memory

    def make_place(self, bay: str) -> None:
        """Have a folder for the bay's mounts: its reader is shown this folder and no other. Raises Refusal."""
        try:
            (self._media / bay).mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise Refusal("failed", f"{self._media / bay} cannot be made: {said(error)}") from error

    def mount(self, bay: str, name: str, file_system: str) -> Path:
        """Mount a disk of the bay's device read-only; returns where. What was left in the bay goes. Raises Refusal."""
        block = self._dock.block(bay, name)
        self.unmount(bay)
        volume = Volume(block, file_system)
        self._lock(volume.block)
        try:
            return self._mount(bay, volume, writable=False)
        except Refusal:  # what was never readable is not to become writable
            self._memory.keep(bay, replace(self._memory.of(bay), volume=None))
            raise

    def window(self, bay: str) -> Path:
        """Mount the same volume writable; returns where. When it takes no changes, it is readable as before.

        Raises Refusal.
        """
        volume = self._let_go(bay)
        try:
            for part in reversed(_parts(volume.block)):
                kernel.set_read_only(part, on=False)
            return self._mount(bay, volume, writable=True)
        except (OSError, Refusal) as error:
            refusal = error if isinstance(error, Refusal) else _refusal_of(error, volume.block)
            if refusal.code == "not_mountable":  # it was mounted a moment ago: only its journal can be in the way
                refusal = Refusal("read_only", f"{volume.block.name} must be repaired before it takes changes")
            with suppress(Refusal):
                self._lock(volume.block)
                self._mount(bay, volume, writable=False)
            raise refusal from error

    def renew(self, bay: str) -> Path:
        """Mount the same volume read-only, from the medium and not from memory; returns where. Raises Refusal."""
        volume = self._let_go(bay)
        try:
            for part in _parts(volume.block):
                kernel.forget_cached(part)
        except OSError as error:
            raise _refusal_of(error, volume.block) from error
        self._lock(volume.block)
        return self._mount(bay, volume, writable=False)

    def unmount(self, bay: str) -> None:
        """Take away all that is mounted in a bay, lazily where it is in use or dead. Raises Refusal."""
        self._take_away(bay, self._memory.of(bay), self._mounted(bay))

    def unmount_all(self) -> None:
        """Do so in every bay that there ever was, with what is mounted now. Raises Refusal when something stays.

        One hung camera holds this up for minutes, in which a new run of the agent goes on: what is mounted by then is
        its own and stays.
        """
        try:
            bays = {place.name for place in self._media.iterdir()}
        except FileNotFoundError:
            bays = set()
        left = {bay: (self._memory.of(bay), self._mounted(bay)) for bay in sorted(bays | set(self._memory.bays()))}
        refusals = []
        for bay, (known, places) in left.items():
            try:
                self._take_away(bay, known, places)
            except Refusal as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]

    def _take_away(self, bay: str, known: Known, places: Iterable[Path]) -> None:
        for place in places:
            try:
                kernel.unmount(place, lazily=False)
            except OSError:
                self._detach(place)
        if self._memory.of(bay) != known:
            return  # the bay has been mounted anew meanwhile
        self._clear(bay)
        if known.volume is not None:
            with suppress(Refusal):  # gone, mostly; a disk that stays must take no writes from anybody
                self._lock(self._same(bay, known.volume).block)
            self._memory.keep(bay, replace(known, volume=None))

    def _let_go(self, bay: str) -> Volume:
        """Unmount the bay's volume, really, and tell which it was."""
        volume = self._memory.of(bay).volume
        if volume is None:
            raise Refusal("not_mounted", f"nothing is mounted in bay {bay}")
        volume = self._same(bay, volume)
        for place in self._mounted(bay):
            try:
                kernel.unmount(place, lazily=False)
            except OSError as error:
                raise Refusal("failed", f"{place} cannot be unmounted: {said(error)}") from error
        self._clear(bay)
        return volume

    def _same(self, bay: str, volume: Volume) -> Volume:
        try:
            now = self._dock.block(bay, volume.block.name)
        except Refusal as refusal:
            raise Refusal("gone", f"{volume.block.name} of bay {bay} is gone: {refusal.text}") from refusal
        if now != volume.block:
            raise Refusal("gone", f"another disk is now called {volume.block.name}")
        return volume

    @staticmethod
    def _lock(block: Block) -> None:
        try:
            for part in _parts(block):
                kernel.set_read_only(part, on=True)
        except OSError as error:
            raise _refusal_of(error, block) from error

    def _mount(self, bay: str, volume: Volume, *, writable: bool) -> Path:
        block, options = volume.block, options_of(volume.fs)
        self.make_place(bay)
        number = self._next(bay)
        place = self._media / bay / str(number)
        self._memory.keep(bay, Known(number, volume))
        try:
            kernel.claim(DEVICES / block.disk)
            place.mkdir(mode=0o700)
            kernel.mount(DEVICES / block.name, place, volume.fs, options, writable=writable)
        except OSError as error:
            with suppress(OSError):
                place.rmdir()
            raise _refusal_of(error, block) from error
        try:
            self._same(bay, volume)  # the name may have passed to another disk while we looked away
        except Refusal:
            self._detach(place)
            self._clear(bay)
            raise
        return place

    def _next(self, bay: str) -> int:
        used = [int(place.name) for place in (self._media / bay).iterdir() if place.name.isdecimal()]
        return max([self._memory.of(bay).last, *used]) + 1

    def _mounted(self, bay: str) -> list[Path]:
        """What is mounted in a bay, the topmost first."""
        begin = bytes(self._media / bay) + b"/"
        try:
            points = [each.point for each in read_mounts() if each.point.startswith(begin)]
        except OSError as error:
            raise Refusal("failed", f"the mounts cannot be read: {said(error)}") from error
        return [Path(point.decode("ascii")) for point in reversed(points)]

    @staticmethod
    def _detach(place: Path) -> None:
        try:
            kernel.unmount(place, lazily=True)
        except OSError as error:
            if error.errno != errno.EINVAL:  # that it is no mount any more
                raise Refusal("failed", f"{place} cannot be unmounted: {said(error)}") from error

    def _clear(self, bay: str) -> None:
        with suppress(OSError):
            for place in (self._media / bay).iterdir():
                with suppress(OSError):  # still in use: its number is not given again
                    place.rmdir()


def _parts(block: Block) -> tuple[Path, ...]:
    """The whole disk first, then the partition, if it is one."""
    return tuple(DEVICES / name for name in dict.fromkeys((block.disk, block.name)))


def _refusal_of(error: OSError, block: Block) -> Refusal:
    text = f"{block.name}: {said(error)}"
    if error.errno in _NO_DEVICE:
        return Refusal("no_such_device", text)
    if error.errno in _NO_CHANGES:
        return Refusal("read_only", f"{block.name} is write-protected: {said(error)}")
    if error.errno in _NOT_THIS_FILE_SYSTEM:
        return Refusal("not_mountable", text)
    return Refusal("failed", text)
