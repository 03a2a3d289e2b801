"""A camera that shows no files until a command of its maker's switches it over: it gets that command and nothing else.

The address is JSON: {"node", "request_type", "request", "value", "index", "data" in hex, "timeout_ms"}, which is one
USB control transfer to the device at `node`. Opening the camera sends it. The camera leaves the bus as soon as it has
understood and comes back as another device, often before it has answered: that is how it succeeds.
"""

import array
import errno
import fcntl
import json
import os
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from agent.devices.drivers.driver import DriverError, Facts, Found, Source

_TRANSFER = struct.Struct("@BBHHHIP")
"""`struct usbdevfs_ctrltransfer` of linux/usbdevice_fs.h: type, request, value, index, length, timeout in ms, data."""
_USBDEVFS_CONTROL = 3 << 30 | _TRANSFER.size << 16 | ord("U") << 8
_MOST_BYTE, _MOST_WORD = 0xFF, 0xFFFF
_MOST_DATA = 4096
_TIMEOUT_MS = 2000
_MOST_TIMEOUT_MS = 15_000
_LEFT = frozenset({errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN, errno.ENOENT})
_BROKEN_OFF = frozenset({errno.EPROTO, errno.EILSEQ, errno.ETIMEDOUT, errno.EIO, errno.ECONNRESET})
"""What is said of a device that leaves, and of a bad cable: where it does not leave soon, it was the cable."""
_LEAVING_S, _LOOK_S = 2.0, 0.05


@dataclass(frozen=True, slots=True)
class Transfer:
    """One control transfer, and to which device."""

    node: str
    request_type: int
    request: int
    value: int
    index: int
    data: bytes
    timeout_ms: int

    @classmethod
    def parse(cls, address: bytes) -> "Transfer":
        """Read an address. Raises DriverError("failed") that names what is wrong."""
        try:
            told = json.loads(address)
        except ValueError as error:
            raise DriverError("failed", "the unlock command is not JSON") from error
        if not isinstance(told, dict) or not isinstance(told.get("node"), str):
            raise DriverError("failed", "the unlock command names no node")
        try:
            data = bytes.fromhex(told.get("data", ""))
        except (TypeError, ValueError) as error:
            raise DriverError("failed", "the unlock command's data is not in hex") from error
        if len(data) > _MOST_DATA:
            raise DriverError("failed", f"the unlock command's data is longer than {_MOST_DATA} bytes")
        return cls(
            node=told["node"],
            request_type=_number(told, "request_type", _MOST_BYTE),
            request=_number(told, "request", _MOST_BYTE),
            value=_number(told, "value", _MOST_WORD),
            index=_number(told, "index", _MOST_WORD),
            data=data,
            timeout_ms=_number(told, "timeout_ms", _MOST_TIMEOUT_MS, _TIMEOUT_MS) or _TIMEOUT_MS,
        )

    def send(self, fd: int) -> None:
        """Send it to an opened device. Raises OSError."""
        data = array.array("B", self.data)
        place, _ = data.buffer_info()
        setup = (self.request_type, self.request, self.value, self.index, len(data))
        fcntl.ioctl(fd, _USBDEVFS_CONTROL, _TRANSFER.pack(*setup, self.timeout_ms, place))


def _number(told: dict[str, object], key: str, most: int, default: int | None = None) -> int:
    value = told.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise DriverError("failed", f"the unlock command's {key} is no number from 0 to {most}")
    return value


class SwitchDriver:
    """Implements `driver.Driver` for a camera that is only spoken to once."""

    can_wipe = False

    def __init__(self, address: bytes) -> None:
        """Send the command. Raises DriverError."""
        transfer = Transfer.parse(address)
        try:
            fd = os.open(transfer.node, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            code = "gone" if error.errno in _LEFT else "failed"
            raise DriverError(code, f"its node does not open: {error.strerror}", error.errno or 0) from error
        try:
            opened = os.fstat(fd)
            if not stat.S_ISCHR(opened.st_mode):
                raise DriverError("failed", "its node is no device")
            try:
                transfer.send(fd)
            except OSError as error:
                _require_left(transfer.node, opened, error)
        finally:
            os.close(fd)

    def facts(self) -> Facts:
        """Nothing: who it is shows once it is back."""
        return {}

    def require_present(self) -> None:
        """Nothing to say: it is meant to leave."""

    def exists(self, path: bytes) -> bool:  # noqa: ARG002 - the interface's
        """No file is shown."""
        raise _nothing()

    def walk(self) -> Iterator[Found]:
        """No file is shown."""
        raise _nothing()

    def open_source(self, path: bytes, *, fresh: bool) -> Source:  # noqa: ARG002 - the interface's
        """No file is shown."""
        raise _nothing()

    def wipe(self, path: bytes, size_bytes: int, mtime_ns: int, mark: str) -> None:  # noqa: ARG002 - the interface's
        """No file is shown."""
        raise _nothing()

    def leave(self) -> None:
        """Nothing is held."""

    def enter(self, address: bytes, *, writable: bool) -> None:  # noqa: ARG002 - the interface's
        """No file is shown."""
        raise _nothing()

    def close(self) -> None:
        """Nothing is held."""


def _nothing() -> DriverError:
    return DriverError("failed", "this camera was told to show its files; it comes back as another device")


def _require_left(node: str, opened: os.stat_result, error: OSError) -> None:
    """Tell a command that was understood at once from one that failed. Raises DriverError."""
    number = error.errno or 0
    if number in _LEFT:
        return
    if number == errno.EPIPE:
        raise DriverError("failed", "the camera refuses the unlock command; see [usb.unlock] in its profile", number)
    until = time.monotonic() + (_LEAVING_S if number in _BROKEN_OFF else 0)
    while _is_there(node, opened):
        if time.monotonic() >= until:
            text = f"the unlock command did not get through: {error.strerror}"
            raise DriverError("failed", text, number) from error
        time.sleep(_LOOK_S)  # a process of its own, with nothing else to do


def _is_there(node: str, opened: os.stat_result) -> bool:
    try:
        now = os.stat(node, follow_symlinks=False)  # noqa: PTH116 - no pathlib in the reader
    except OSError:
        return False
    return (now.st_ino, now.st_rdev) == (opened.st_ino, opened.st_rdev)
