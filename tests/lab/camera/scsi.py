"""A USB stick's inside: bulk-only transport and the SCSI commands that Linux asks a disk for.

Pure but for the medium: it is handed what comes out of the pipe to the camera and gives what goes in. Faults of the
medium are attributes, and may be changed at any moment.
"""

import os
import struct
from dataclasses import dataclass, field

BLOCK = 512

_MEDIUM_ERROR = (0x03, 0x11, 0x00)
_NOT_READY = (0x02, 0x3A, 0x00)
_NO_SUCH_COMMAND = (0x05, 0x20, 0x00)
_OUT_OF_RANGE = (0x05, 0x21, 0x00)
_NO_SUCH_FIELD = (0x05, 0x24, 0x00)
_WRITE_PROTECTED = (0x07, 0x27, 0x00)
_ABORTED = (0x0B, 0x00, 0x00)
_FINE = (0, 0, 0)

_WRAPPER = struct.Struct("<4sIIBBB")
_WRAPPER_BYTES = 31
_INWARD = 0x80


class Stalled(Exception):
    """The endpoint halts until the host clears it."""


@dataclass(slots=True)
class Medium:
    """What is on the card, and what is wrong with it."""

    descriptor: int
    """Of the image; -1: there is no card in the camera."""
    blocks: int
    write_protected: bool = False
    claimed_blocks: int | None = None
    """What it says its size is, when that is a lie."""
    bad: list[range] = field(default_factory=list)
    """Blocks that cannot be read."""
    stall: bool = False
    """The data of the next command that reads is refused."""
    bytes_read: int = 0
    bytes_written: int = 0
    reads: list[tuple[int, int]] = field(default_factory=list)
    """(first block, count) of every command to read that was carried out."""
    writes: list[tuple[int, int]] = field(default_factory=list)
    """(first block, count) of every command to write that was carried out."""


class Transport:
    """One time of being plugged in: commands, data and status, in turns."""

    def __init__(self, medium: Medium, maker: str, model: str) -> None:
        """`maker` and `model`: as the disk gives them."""
        self.medium = medium
        self._inquiry = maker.encode("ascii", "replace")[:8].ljust(8) + model.encode("ascii", "replace")[:16].ljust(16)
        self.reset()

    def reset(self) -> None:
        """Forget the command that is being carried out."""
        self._tag = 0
        self._left = b""
        self._empty = False  # the answer is an empty packet before the status
        self._stalling = False
        self._writing: tuple[int, int] | None = None  # next byte's place, bytes still to come
        self._missing = 0
        self._halted = False  # the data of a command that was refused
        self._failed = False
        self._sense = _FINE

    def take(self, data: bytes) -> None:
        """What the host sent. Raises Stalled."""
        if self._halted:
            self._halted = False
            raise Stalled
        if self._writing is not None:
            place, left = self._writing
            os.pwrite(self.medium.descriptor, data[:left], place)
            self.medium.bytes_written += len(data)
            left -= len(data)
            self._writing = (place + len(data), left) if left > 0 else None
            return
        if len(data) != _WRAPPER_BYTES or data[:4] != b"USBC":
            raise Stalled
        _, self._tag, wanted, flags, _, length = _WRAPPER.unpack_from(data)
        self._command(data[15 : 15 + length], wanted, inward=bool(flags & _INWARD))

    def give(self, length: int) -> bytes:
        """What the host asked for: the next data, or the status. Raises Stalled."""
        if self._stalling:
            self._stalling = False
            raise Stalled
        if self._left:
            data, self._left = self._left[:length], self._left[length:]
            return data
        if self._empty:
            self._empty = False
            return b""
        return struct.pack("<4sIIB", b"USBS", self._tag, self._missing, self._failed)

    def give_again(self, data: bytes) -> None:
        """Take back what was given last, because it did not go out."""
        self._left = data + self._left

    def _command(self, command: bytes, wanted: int, *, inward: bool) -> None:
        self._writing, self._failed = None, False
        if self.medium.stall and wanted and inward:
            self.medium.stall = False
            self._left, self._missing, self._stalling = b"", wanted, True
            self._refuse(_ABORTED)
            return
        data = self._answer(command)[:wanted]
        self._left = data
        self._missing = 0 if self._expects_data() else wanted - len(data)
        self._empty = bool(wanted) and inward and not data
        self._halted = self._failed and bool(wanted) and not inward

    def _expects_data(self) -> bool:
        return self._writing is not None

    def _refuse(self, sense: tuple[int, int, int]) -> bytes:
        self._sense, self._failed = sense, True
        return b""

    def _answer(self, command: bytes) -> bytes:  # one row for each command
        medium = self.medium
        match command[0]:
            case 0x12:
                return self._identify() if not command[1] & 1 else self._refuse(_NO_SUCH_FIELD)
            case 0x03:
                key, code, qualifier = self._sense
                self._sense = _FINE
                return bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0])
            case 0x1B | 0x1E | 0x35 | 0x2F:  # start or stop, lock, flush, verify
                return b""
            case _ if medium.descriptor < 0:
                return self._refuse(_NOT_READY)
            case 0x00:
                return b""
            case 0x25:
                return struct.pack(">II", min(self._blocks - 1, 0xFFFFFFFF), BLOCK)
            case 0x9E:
                return struct.pack(">QI", self._blocks - 1, BLOCK) + bytes(20)
            case 0x1A:
                return bytes([3, 0, 0x80 if medium.write_protected else 0, 0])
            case 0x5A:
                return bytes([0, 6, 0, 0x80 if medium.write_protected else 0, 0, 0, 0, 0])
            case 0x28:
                return self._read(*struct.unpack_from(">xxIxH", command))
            case 0x88:
                return self._read(*struct.unpack_from(">xxQI", command))
            case 0x2A:
                return self._write(*struct.unpack_from(">xxIxH", command))
            case 0x8A:
                return self._write(*struct.unpack_from(">xxQI", command))
            case _:
                return self._refuse(_NO_SUCH_COMMAND)

    @property
    def _blocks(self) -> int:
        return self.medium.blocks if self.medium.claimed_blocks is None else self.medium.claimed_blocks

    def _identify(self) -> bytes:
        return b"\0\x80\x04\x02\x1f\0\0\0" + self._inquiry + b"1.00"

    def _read(self, first: int, count: int) -> bytes:
        medium = self.medium
        if first + count > self._blocks:
            return self._refuse(_OUT_OF_RANGE)
        if first + count > medium.blocks or any(
            max(first, bad.start) < min(first + count, bad.stop) for bad in medium.bad
        ):
            return self._refuse(_MEDIUM_ERROR)
        medium.reads.append((first, count))
        medium.bytes_read += count * BLOCK
        return os.pread(medium.descriptor, count * BLOCK, first * BLOCK)

    def _write(self, first: int, count: int) -> bytes:
        medium = self.medium
        if medium.write_protected:
            return self._refuse(_WRITE_PROTECTED)
        if first + count > medium.blocks:
            return self._refuse(_OUT_OF_RANGE)
        medium.writes.append((first, count))
        self._writing = (first * BLOCK, count * BLOCK)
        return b""
