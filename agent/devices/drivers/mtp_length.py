"""Notices a recording that is longer than its camera says, by the recording's own structure.

MP4 and MOV are chains of boxes, each with its length in front. A camera that cuts sizes to 32 bits shows 5 GiB as
1 GiB; the box of the frames still says how far it reaches. Other formats, and a cut file that looks like none, are not
noticed.
"""

import struct

from agent.devices.drivers.driver import DriverError

_CUT = 1 << 32
_HEAD = struct.Struct(">I4s")
_LONG = struct.Struct(">Q")
_HEAD_BYTES = 16
_FIRST = frozenset({b"ftyp", b"styp", b"wide", b"mdat", b"moov", b"free", b"skip"})


class LengthGuard:
    """Follows the chain of one file, whose bytes are shown to it in order."""

    def __init__(self, size_bytes: int) -> None:
        """`size_bytes` is what the camera says."""
        self._size = size_bytes
        self._offset = 0
        self._next = 0
        """Where the next box begins; beyond the size once there is nothing more to follow."""
        self._head = b""

    def look(self, block: memoryview) -> None:
        """Look at the next bytes. Raises DriverError("unreadable") when a box reaches where the size cannot."""
        end = self._offset + len(block)
        while self._next + len(self._head) < end:
            at = self._next + len(self._head) - self._offset
            self._head += bytes(block[at : at + _HEAD_BYTES - len(self._head)])
            if len(self._head) < _HEAD_BYTES:
                break
            self._follow()
        self._offset = end

    def _follow(self) -> None:
        length, kind = _HEAD.unpack_from(self._head)
        if self._next == 0 and kind not in _FIRST:
            length = 0  # some other format
        elif length == 1:
            (length,) = _LONG.unpack_from(self._head, _HEAD.size)
        reaches = self._next + length
        if self._size < _CUT <= reaches:
            raise DriverError("unreadable", f"size_untrusted: the camera says {self._size} bytes, it holds {reaches}")
        if length < _HEAD.size:
            reaches = max(self._size, _CUT)  # to the end, or nothing that can be followed
        self._head = self._head[length:] if _HEAD.size <= length else b""
        self._next = reaches
