"""What a hub says about the power of its ports: one question to the hub, two bytes of its answer.

Source: USB 2.0 specification, 11.23.2.1, and USB 3.2, 10.15.2.1 (hub descriptors); linux/usbdevice_fs.h. Every program
that lists USB devices asks the same; it changes nothing.
"""

import ctypes
import fcntl
import os
from pathlib import Path

from agent.helper.refusal import Refusal, said

_CONTROL = 0xC0185500  # USBDEVFS_CONTROL
_TO_HUB_IN, _GET_DESCRIPTOR = 0xA0, 6
_HUB, _HUB_OF_USB_3 = 0x29, 0x2A
_HEAD_BYTES = 5  # length, type, number of ports, characteristics
_ANSWER_MS = 2000
_LIKE_USB_3 = 3
"""`bDeviceProtocol` of the faster half."""


class _Transfer(ctypes.Structure):
    _fields_ = (
        ("request_type", ctypes.c_uint8),
        ("request", ctypes.c_uint8),
        ("value", ctypes.c_uint16),
        ("index", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("timeout_ms", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


def characteristics(node: Path, protocol: int) -> int:
    """`wHubCharacteristics` of the hub with this device node and `bDeviceProtocol`. Raises Refusal."""
    kind = _HUB_OF_USB_3 if protocol == _LIKE_USB_3 else _HUB
    try:
        return characteristics_in(_descriptor(node, kind), kind)
    except OSError as error:
        raise Refusal("failed", f"the hub at {node} does not say what it can do: {said(error)}") from error
    except ValueError as error:
        raise Refusal("failed", f"the hub at {node} does not say what it can do: {error}") from error


def characteristics_in(raw: bytes, kind: int) -> int:
    """Take it out of a hub descriptor of this kind. Raises ValueError."""
    if len(raw) < _HEAD_BYTES or raw[1] != kind:
        raise ValueError("its answer is no hub descriptor")
    return int.from_bytes(raw[3:5], "little")


def _descriptor(node: Path, kind: int) -> bytes:
    answer = ctypes.create_string_buffer(_HEAD_BYTES)
    question = _Transfer(_TO_HUB_IN, _GET_DESCRIPTOR, kind << 8, 0, _HEAD_BYTES, _ANSWER_MS, ctypes.addressof(answer))
    fd = os.open(node, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        length = fcntl.ioctl(fd, _CONTROL, question)
    finally:
        os.close(fd)
    return answer.raw[:length]
