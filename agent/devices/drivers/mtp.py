"""A camera that shows its files over MTP or PTP: read object by object, never mounted.

Rules: it is looked at afresh for each listing and before and after each file. What MTP cannot prove is refused and
stays on the camera. Nothing is ever deleted: libgphoto2 (2.5.34 and before) looks a file up by its name, does not check
whether it found it, and the number that stands for none tells the camera to delete *everything*. It happens when the
camera reports a change of its storage, or stops answering, just then.

Not told apart here: a camera at a USB port is who the kernel says it is, so only one that is reached over a network
gives a serial of its own. A file whose facts cannot be read while its folder is listed is left out by the library; it
counts as missing until the next listing.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress

from agent.devices.drivers.driver import DriverError, Facts, Found, Source
from agent.devices.drivers.mtp_session import Session
from agent.devices.drivers.mtp_source import MtpSource
from agent.devices.drivers.mtp_tree import Tree
from agent.devices.drivers.mtp_walk import MtpWalk

_PERCENT = re.compile(r"(\d{1,3})\s*%?")
_FULL_PERCENT = 100
_KIB = 1024
_GLANCE_S = 1.0
"""Questions after files that come together are answered from one look."""


def battery_percent(text: str | None) -> int | None:
    """Read a charge such as `50%`; None for words, which mean something else on each model."""
    found = _PERCENT.fullmatch(text or "")
    percent = int(found[1]) if found else _FULL_PERCENT + 1
    return percent if percent <= _FULL_PERCENT else None


class MtpDriver:
    """Implements `driver.Driver` through libgphoto2."""

    can_wipe = False

    def __init__(self, address: bytes) -> None:
        """Open the camera. Raises DriverError."""
        self._session = Session(address)
        self._tree = Tree(self._session)
        self._glanced_at = float("-inf")
        sizes = [int(each.capacitykbytes) * _KIB for each in self._session.storages()]
        self._capacity = sum(sizes) if sizes and all(sizes) else None
        self._identity = self._who()

    def _who(self) -> tuple[str | None, str | None]:
        return self._session.setting("cameramodel"), self._session.setting("serialnumber")

    def facts(self) -> Facts:
        """Tell what the camera says about itself."""
        model, serial = self._identity
        return {
            "serial": None if self._session.is_usb else serial,
            "model": model,
            "firmware": self._session.setting("deviceversion"),
            "battery_percent": battery_percent(self._session.setting("batterylevel")),
            "capacity_bytes": self._capacity,
        }

    def require_present(self) -> None:
        """Raise DriverError("gone") when the USB device has left; over a network only the next question can tell."""
        self._session.require_node()

    def exists(self, path: bytes) -> bool:
        """Whether there is a file or a folder that can be reached."""
        try:
            return self._session.insist(lambda: self._glance(path))
        except DriverError as error:
            if error.code in ("missing", "refused"):
                return False
            raise

    def _glance(self, path: bytes) -> bool:
        if time.monotonic() - self._glanced_at > _GLANCE_S:
            self._tree.renew()
            self._glanced_at = time.monotonic()
        _, child = self._tree.locate(path)
        return child.reason is None

    def walk(self) -> Iterator[Found]:
        """Walk everything afresh."""
        return MtpWalk(self._tree, self._capacity).steps()

    def open_source(self, path: bytes, *, fresh: bool) -> Source:  # noqa: ARG002 - no byte is kept between readings
        """Open a file for reading; its bytes always come from the camera."""
        return MtpSource(self._tree, path)

    def wipe(self, path: bytes, size_bytes: int, mtime_ns: int, mark: str) -> None:  # noqa: ARG002 - the interface's
        """Raise DriverError: see above."""
        raise _never_cleared()

    def leave(self) -> None:
        """End the session."""
        self._session.close()

    def enter(self, address: bytes, *, writable: bool) -> None:  # noqa: ARG002 - it cannot have moved
        """Begin a new session. Raises DriverError: "gone" when another camera answers, "read_only" if `writable`."""
        if writable:
            raise _never_cleared()
        self._tree.renew()
        if self._who() != self._identity:
            raise DriverError("gone", "another camera took its place")

    def close(self) -> None:
        """Let go of the camera; idempotent."""
        with suppress(DriverError):
            self.leave()


def _never_cleared() -> DriverError:
    return DriverError("read_only", "this kind of camera cannot be cleared by the station; clear it on the camera")
