"""A sysfs of our own with udev's events, for programs that are started by `umockdev-wrapper`."""

import ctypes

_TEXT = ctypes.c_char_p


class Testbed:
    """USB devices that come and go as a test wants. One for each process."""

    def __init__(self) -> None:
        # Holds the interpreter while it works: the library does not bear that another thread looks at /sys meanwhile.
        self._library = ctypes.PyDLL("libumockdev.so.0")
        self._library.umockdev_testbed_new.restype = ctypes.c_void_p
        self._library.umockdev_testbed_add_devicev.restype = _TEXT
        self._bed = ctypes.c_void_p(self._library.umockdev_testbed_new())

    def add(self, name: str, parent: str | None = None, **properties: str) -> str:
        """Plug in; what is told of it is an `add` event. Its path in sysfs."""
        pairs = [part for pair in properties.items() for part in pair]
        made = self._library.umockdev_testbed_add_devicev(
            self._bed, b"usb", name.encode(), parent.encode() if parent else None, _texts(), _texts(*pairs)
        )
        return str(made.decode())

    def link(self, device: str, name: str, target: str) -> None:
        """Make a symbolic link in a device's folder."""
        self._library.umockdev_testbed_set_attribute_link(self._bed, device.encode(), name.encode(), target.encode())

    def take_out(self, device: str) -> None:
        """Tell that it goes, and remove it."""
        self._library.umockdev_testbed_uevent(self._bed, device.encode(), b"remove")
        self._library.umockdev_testbed_remove_device(self._bed, device.encode())


def _texts(*texts: str) -> "ctypes.Array[ctypes.c_char_p]":
    return (_TEXT * (len(texts) + 1))(*(text.encode() for text in texts), None)
