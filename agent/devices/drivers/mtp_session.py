"""One session with a camera that speaks PTP or MTP, by way of libgphoto2.

Rules: every call of the library is here, and none that changes anything on the camera. It caches whatever the camera
once said for as long as a session lasts, so what must be fresh is asked in a session of its own (`renew`). It blocks,
and holds the interpreter, for as long as the camera likes: only in a reader process, which can be killed.
"""

import errno
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from agent.devices.drivers.driver import DriverError

Answer = TypeVar("Answer")

USB = "usb:"
_NODE = "/dev/bus/usb/"
_GENERIC = {"usb": "USB PTP Class Camera", "ptpip": "PTP/IP Camera"}
_NO_MEMORY, _UNSUPPORTED, _TWICE = -3, -6, -103
_MISSING = frozenset({-2, -107, -108})
"""Wrong parameter, no such directory, no such file: libgphoto2 says any of these of a name that is not there."""
_PASSING = frozenset({-1, -7, -10, -31, -34, -35, -37, -51, -52, -110})
"""Unspecified, input/output, timeouts, busy: it may well work in a new session."""
_CLAIMED = -53


class Hiccup(DriverError):
    """The camera did not answer properly, which a new session may cure."""

    def __init__(self, text: str) -> None:
        """Unless it is cured only this file is concerned."""
        super().__init__("unreadable", text, errno.EIO)


class Session:
    """An opened camera. Folders are the library's own, such as `/store_00010001/DCIM`."""

    def __init__(self, address: bytes) -> None:
        """`address` is `usb:BUS,DEVICE` or `ptpip:HOST:PORT:PORT` (commands, events). Raises DriverError."""
        # Cameras tell the wall clock's time without a zone. Read as UTC it is the same number on every station and in
        # every season; what zone the camera's clock is in, its profile says.
        os.environ["TZ"] = "UTC"
        time.tzset()
        import gphoto2  # noqa: PLC0415 - heavy, and for these cameras only

        self._gphoto2: Any = gphoto2
        self._address = address.decode("ascii", "replace")
        self._node = self._look_at_node()
        self._camera: Any = None
        self._ports: Any = gphoto2.PortInfoList()
        """Kept: what is in it dies with it, and a camera that was opened by that takes the process along."""
        self._port, self._abilities = self._find()
        self._open()

    @property
    def is_usb(self) -> bool:
        """Whether the camera is at a USB port, where the kernel tells who it is."""
        return self._address.startswith(USB)

    def _find(self) -> tuple[Any, Any]:
        """The library's description of the port and of what may be there."""
        gp = self._gphoto2
        try:
            ports, models = self._ports, gp.CameraAbilitiesList()
            ports.load()
            models.load()
            port = ports.get_info(ports.lookup_path(self._address))
            kind = self._address.partition(":")[0]
            model = self._detected(models, ports) or models.lookup_model(_GENERIC.get(kind, ""))
            return port, models.get_abilities(model)
        except gp.GPhoto2Error as error:
            if self.is_usb and self._look_at_node() is None:
                raise DriverError("gone", "no such USB device", errno.ENODEV) from error
            # Also when its libusb could not start: it needs a thread, a netlink socket and /sys/bus/usb.
            raise DriverError("failed", f"libgphoto2 sees no such port: {error.string}") from error

    def _detected(self, models: Any, ports: Any) -> int | None:  # noqa: ANN401 - the library is untyped
        """The model by its USB id, whose quirks the library then knows; None when it is no known one."""
        if not self.is_usb:
            return None
        found = models.detect(ports)
        for index in range(found.count()):
            if found.get_value(index) == self._address:
                return int(models.lookup_model(found.get_name(index)))
        return None

    def _look_at_node(self) -> tuple[int, int] | None:
        """The USB device's node, which is another one whenever a device is plugged in."""
        if not self.is_usb:
            return None
        bus, _, device = self._address.removeprefix(USB).partition(",")
        try:
            facts = os.stat(f"{_NODE}{bus}/{device}")  # noqa: PTH116 - no pathlib in the reader
        except OSError:
            return None
        return facts.st_ino, facts.st_rdev

    def require_node(self) -> None:
        """Raise DriverError("gone") when the USB device has left. Costs no word with the camera; elsewhere nothing."""
        if self.is_usb and (self._node is None or self._look_at_node() != self._node):
            raise DriverError("gone", "the USB device has left", errno.ENODEV)

    def _open(self) -> None:
        self.require_node()
        camera = self._gphoto2.Camera()
        try:
            camera.set_port_info(self._port)
            camera.set_abilities(self._abilities)
            camera.init()
        except self._gphoto2.GPhoto2Error as error:
            self.require_node()
            if error.code == _CLAIMED:
                raise DriverError(
                    "failed", "another program holds the camera; stop it (gvfs?) and dock again"
                ) from error
            code = "failed" if self.is_usb else "gone"
            raise DriverError(code, f"the camera does not open: {error.string}", errno.EIO) from error
        self._camera = camera

    def renew(self) -> None:
        """Begin a new session, in which nothing is remembered. Raises DriverError."""
        self.close()
        self._open()

    def close(self) -> None:
        """End the session; idempotent, and harmless when the camera has left."""
        camera, self._camera = self._camera, None
        if camera is not None:
            try:
                camera.exit()
            except self._gphoto2.GPhoto2Error:
                return  # it left: there is nothing to end

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """Ask once. Raises Hiccup for what a new session may cure, else DriverError."""
        if self._camera is None:
            raise DriverError("window", "the camera is not entered")
        try:
            return question(self._camera)
        except self._gphoto2.GPhoto2Error as error:
            self.require_node()
            raise _trouble(error.code, error.string) from error

    def insist(self, work: Callable[[], Answer]) -> Answer:
        """Do something, and once more in a new session when the camera stumbles. Raises DriverError."""
        try:
            return work()
        except Hiccup:
            self.renew()
            return work()

    def names(self, folder: str) -> tuple[list[str], list[str]]:
        """The names of a folder's folders and of its files."""
        return (
            self.ask(lambda camera: _listed(camera.folder_list_folders(folder))),
            self.ask(lambda camera: _listed(camera.folder_list_files(folder))),
        )

    def state(self, folder: str, name: str) -> tuple[int, int]:
        """A file's size in bytes and its mtime in ns: what this session heard first."""
        facts = self.ask(lambda camera: camera.file_get_info(folder, name)).file
        return int(facts.size), int(facts.mtime) * 1_000_000_000

    def read(self, folder: str, name: str, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; return how many bytes came."""
        kind = self._gphoto2.GP_FILE_TYPE_NORMAL
        return int(self.ask(lambda camera: camera.file_read(folder, name, kind, offset, buffer)))

    def pour(self, folder: str, name: str, fd: int) -> None:
        """Write the whole file into `fd`, which the library closes."""
        kind = self._gphoto2.GP_FILE_TYPE_NORMAL
        self.ask(lambda camera: camera.file_get(folder, name, kind, self._gphoto2.CameraFile(fd)))

    def storages(self) -> list[Any]:
        """What the camera stores on; always asked of the camera, which makes it a sign of life."""
        return list(self.ask(lambda camera: camera.get_storageinfo()))

    def setting(self, name: str) -> str | None:
        """One of the camera's settings as text, None when it has no such."""
        try:
            value = self.ask(lambda camera: _value(camera.get_single_config(name)))
        except DriverError:
            return None
        return value.strip() or None if isinstance(value, str) else None


def _value(widget: Any) -> object:  # noqa: ANN401 - the library is untyped
    return None if widget is None else widget.get_value()  # it gives nothing for a setting that there is not


def _listed(names: Any) -> list[str]:  # noqa: ANN401 - the library is untyped
    return [names.get_name(index) for index in range(names.count())]


def _trouble(code: int, text: str) -> DriverError:
    if code in _PASSING:
        return Hiccup(text)
    if code in _MISSING:
        return DriverError("missing", "no such file", errno.ENOENT)
    if code == _TWICE:
        return DriverError("refused", "ambiguous_name")
    if code == _UNSUPPORTED:
        return DriverError("refused", "not_supported")
    if code == _NO_MEMORY:
        return DriverError("failed", "the camera lists more than this process may remember", errno.ENOMEM)
    return DriverError("unreadable", text)
