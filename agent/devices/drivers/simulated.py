"""A simulated camera: a bay directory with a script beside a card.

`ADDRESS/.camera.json` says who the camera is (serial, model, firmware, battery_percent, label), how fast
(rate_bytes_s), whether it can be cleared (can_wipe, write_protected) and what goes wrong (faults, see `faults.py`);
`ADDRESS/card/` is its medium. Renaming such a directory to the bay's path docks it, renaming it away pulls it out: the
camera is there as long as the script is the very file that was opened.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain, count

from agent.devices.drivers.driver import DriverError, Facts, Found, Source
from agent.devices.drivers.faults import Faults, Script, whole_number
from agent.devices.drivers.folder import FolderDriver
from agent.devices.drivers.medium import Medium
from agent.devices.drivers.source import FileSource

SCRIPT = b".camera.json"
CARD = b"card"
_TEXTS = ("serial", "model", "firmware", "label")


class SimulatedMedium(Medium):
    """A card that leaves together with its script."""

    def __init__(self, address: bytes, faults: Faults | None = None) -> None:
        """Raises DriverError("gone") when no camera is there."""
        self.script_path = address + b"/" + SCRIPT
        self.faults = faults
        self._script_identity = self._look_at_script()
        super().__init__(address + b"/" + CARD)

    def _look_at_script(self) -> tuple[int, int]:
        try:
            facts = os.stat(self.script_path)  # noqa: PTH116 - no pathlib in the reader
        except OSError as error:
            raise DriverError("gone", os.strerror(errno.ENODEV), errno.ENODEV) from error
        return facts.st_dev, facts.st_ino

    def is_present(self) -> bool:
        """Whether the camera is still the one that was docked."""
        if self.faults is not None and self.faults.vanished:
            return False
        try:
            return self._look_at_script() == self._script_identity and super().is_present()
        except DriverError:
            return False

    def read_script(self) -> Script:
        """Read who the camera is and what it does wrong. Raises DriverError."""
        try:
            with open(self.script_path, "rb") as file:  # noqa: PTH123 - no pathlib in the reader
                script = json.load(file)
        except OSError as error:
            raise DriverError("gone", os.strerror(errno.ENODEV), errno.ENODEV) from error
        except ValueError as error:
            raise DriverError("failed", f"the camera's script is not JSON: {error}") from error
        if not isinstance(script, dict):
            raise DriverError("failed", "the camera's script is not an object")
        return script


class SimulatedSource(FileSource):
    """A file that is read at the script's pace and with its faults."""

    def __init__(self, medium: Medium, path: bytes, faults: Faults, *, fresh: bool) -> None:
        """Raises DriverError."""
        super().__init__(medium, path, fresh=fresh)
        self._faults = faults

    def state(self) -> tuple[int, int]:
        """Look at the file, and lie about its size if the script says so."""
        size_bytes, mtime_ns = super().state()
        return max(0, size_bytes + self._faults.lie_bytes), mtime_ns

    def send(self, pipe: int, limit: int) -> int:
        """Send the next bytes, unless the camera was pulled out or fails."""
        self._medium.require_present()
        count = super().send(pipe, self._faults.before_block(self.path, self.offset, limit))
        self._faults.after_block(count)
        return count


class SimulatedDriver(FolderDriver):
    """Implements `driver.Driver` for a simulated camera."""

    def __init__(self, address: bytes) -> None:
        """Open the camera. Raises DriverError."""
        self._faults: Faults | None = None
        self._reading: bytes | None = None
        super().__init__(address)
        medium = self.open_medium()
        self._script = medium.read_script()
        medium.close()
        self._faults = Faults(self._script, self._change)
        self.can_wipe = self._script.get("can_wipe", True) is True
        self._opened().faults = self._faults

    def _opened(self) -> SimulatedMedium:
        assert isinstance(self.medium, SimulatedMedium)  # noqa: S101 - for the type checker
        return self.medium

    def open_medium(self) -> SimulatedMedium:
        """Open the card anew."""
        return SimulatedMedium(self._address, self._faults)

    def facts(self) -> Facts:
        """Tell what the script says."""
        texts: Facts = {key: text for key in _TEXTS if isinstance(text := self._script.get(key), str)}
        return super().facts() | texts | {"battery_percent": whole_number(self._script, "battery_percent")}

    def enter(self, address: bytes, *, writable: bool) -> None:
        """Open the card anew, unless it is to be writable and the script says that its switch is on "lock"."""
        if writable and self._script.get("write_protected") is True:
            raise DriverError("read_only", "the card is write-protected", errno.EROFS)
        super().enter(address, writable=writable)

    def walk(self) -> Iterator[Found]:
        """Walk the card, with the script's lies."""
        if self._faulty().endless:
            return _made_up(count())
        made_up = _made_up(range(1, self._faulty().long_listing + 1))
        return chain(made_up, self._readable(self._claimed(found) for found in super().walk()))

    def _readable(self, walk: Iterator[Found]) -> Iterator[Found]:
        """Leave out what lies in folders that cannot be listed, but for the folders themselves."""
        told: set[bytes] = set()
        for found in walk:
            folder = None if found is None else self._unreadable_above(found[0])
            if folder is None:
                yield found
            elif folder not in told:
                told.add(folder)
                yield folder, "unreadable"

    def _unreadable_above(self, path: bytes) -> bytes | None:
        parts = path.split(b"/")
        above = (b"/".join(parts[:number]) for number in range(1, len(parts)))
        return next(filter(self._faulty().is_unreadable, above), None)

    def _faulty(self) -> Faults:
        assert self._faults is not None  # noqa: S101 - set while opening
        return self._faults

    def _claimed(self, found: Found) -> Found:
        if found is None or len(found) != 3:  # noqa: PLR2004 - path, size, time
            return found
        path, size_bytes, mtime_ns = found
        return path, max(0, size_bytes + self._faulty().lie_bytes), mtime_ns

    def open_source(self, path: bytes, *, fresh: bool) -> Source:
        """Open a file whose reading may fail as scripted."""
        self._reading = path
        return SimulatedSource(self.medium, path, self._faulty(), fresh=fresh)

    def _change(self, how: str) -> None:
        """Alter the file being read: append to it, cut it short, or write other bytes and put its time back."""
        if self._reading is None:
            return
        with self.medium.parent_of(self._reading) as (parent, name):
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            before = os.fstat(fd)
            if how == "truncate":
                os.ftruncate(fd, before.st_size // 2)
                return
            if how == "append":
                os.lseek(fd, 0, os.SEEK_END)
                os.write(fd, b"\0")
                return
            last = os.pread(fd, 1, before.st_size - 1)
            os.pwrite(fd, bytes([last[0] ^ 0xFF]), before.st_size - 1)
            os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            os.close(fd)


def _made_up(numbers: Iterable[int]) -> Iterator[Found]:
    return ((b"DCIM/%012d.MP4" % number, 1, 0) for number in numbers)
