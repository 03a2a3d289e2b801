"""The usbredir protocol, as far as a camera of our own needs it: packets to and from QEMU's `usb-redir` device.

Everything is little-endian. Ids have 64 bits once both ends have said hello. Transfers are answered under their id.
"""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self


class Kind(IntEnum):
    """What a packet is."""

    HELLO = 0
    CONNECT = 1
    DISCONNECT = 2
    RESET = 3
    INTERFACES = 4
    ENDPOINTS = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION = 8
    SET_ALTERNATE = 9
    GET_ALTERNATE = 10
    ALTERNATE = 11
    START_INTERRUPTS = 15
    STOP_INTERRUPTS = 16
    INTERRUPTS = 17
    CANCEL = 21
    CONTROL = 100
    BULK = 101


class Status(IntEnum):
    """How a transfer ended."""

    OK = 0
    CANCELLED = 1
    INVALID = 2
    FAILED = 3
    STALL = 4


_VERSION, _MAX_PACKET, _LONG_IDS, _LONG_BULK = 1 << 1, 1 << 4, 1 << 5, 1 << 6
_ABLE = _VERSION | _MAX_PACKET | _LONG_IDS | _LONG_BULK
_HELLO = struct.Struct("<64sI")
_CONTROL = struct.Struct("<BBBBHHH")
_BULK = struct.Struct("<BBHIH")
FULL_SPEED = 1
"""The speed of QEMU's hub; a faster device could not hang there. Bulk packets then have 64 bytes."""
BULK_PACKET = 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint that is not the control endpoint."""

    address: int  # with the direction in its highest bit
    kind: int  # 2 bulk, 3 interrupt
    interface: int
    packet: int


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface by its three codes."""

    number: int
    codes: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Control:
    """A request on the control endpoint."""

    id: int
    endpoint: int
    request: int
    kind: int
    value: int
    index: int
    length: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Bulk:
    """A transfer on a bulk endpoint. `length`: what is asked for when it goes in."""

    id: int
    endpoint: int
    stream: int
    length: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """Any other packet."""

    kind: int
    id: int
    body: bytes


class Wire:
    """One connection: one time of being plugged in."""

    def __init__(self, connection: socket.socket) -> None:
        """Over a fresh connection."""
        self._socket = connection
        self._stream = connection.makefile("rb", buffering=1 << 18)
        self._long_ids = False

    @classmethod
    def connect(cls, path: Path) -> Self:
        """Connect and exchange hellos. Raises ConnectionError, FileNotFoundError: the machine is gone."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            wire = cls(connection)
            wire.send(Kind.HELLO, 0, _HELLO.pack(b"scripted camera", _ABLE))
            wire.packet()  # the other hello
        except BaseException:
            connection.close()
            raise
        wire._long_ids = True  # QEMU can; it would have to be older than any that we start
        return wire

    def tear(self) -> None:
        """End the connection, from any thread; idempotent. Whoever waits for a packet gets ConnectionError."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give up what is left of it; by the thread that reads."""
        self._stream.close()
        self._socket.close()

    def _exactly(self, length: int) -> bytes:
        data: bytes = self._stream.read(length)
        if len(data) < length:
            raise ConnectionError("the other end has closed")
        return data

    def packet(self) -> Control | Bulk | Packet:
        """The next packet. Raises ConnectionError at the end."""
        head = struct.Struct("<IIQ" if self._long_ids else "<III")
        kind, length, number = head.unpack(self._exactly(head.size))
        body = self._exactly(length)
        if kind == Kind.CONTROL:
            endpoint, request, request_kind, _, value, index, size = _CONTROL.unpack_from(body)
            return Control(number, endpoint, request, request_kind, value, index, size, body[_CONTROL.size :])
        if kind == Kind.BULK:
            endpoint, _, low, stream, high = _BULK.unpack_from(body)
            return Bulk(number, endpoint, stream, low | high << 16, body[_BULK.size :])
        return Packet(kind, number, body)

    def send(self, kind: Kind, number: int, body: bytes) -> None:
        """Send one packet. Raises OSError when the connection has ended."""
        head = struct.pack("<IIQ" if self._long_ids else "<III", kind, len(body), number)
        self._socket.sendall(head + body)

    def answer_control(self, asked: Control, status: Status, data: bytes = b"") -> None:
        """Answer a request; `data` only where it asked for some."""
        data = data[: asked.length]
        length = len(data) if asked.kind & 0x80 else asked.length
        head = _CONTROL.pack(
            asked.endpoint, asked.request, asked.kind, status, asked.value, asked.index, length if status == 0 else 0
        )
        self.send(Kind.CONTROL, asked.id, head + data)

    def answer_bulk(self, asked: Bulk, status: Status, data: bytes = b"") -> None:
        """Answer a transfer; `data` only where it goes in."""
        length = len(data) if asked.endpoint & 0x80 else len(asked.data)
        if status != Status.OK:
            length = 0
        head = _BULK.pack(asked.endpoint, status, length & 0xFFFF, asked.stream, length >> 16)
        self.send(Kind.BULK, asked.id, head + data)

    def announce(self, interfaces: list[Interface], endpoints: list[Endpoint]) -> None:
        """Say what the device is made of."""
        none = bytes(32 - len(interfaces))
        rows = [bytes(interface.codes[at] for interface in interfaces) + none for at in range(3)]
        numbers = bytes(interface.number for interface in interfaces) + none
        self.send(Kind.INTERFACES, 0, struct.pack("<I", len(interfaces)) + numbers + b"".join(rows))
        kinds, intervals, owners, packets = [255] * 32, [0] * 32, [0] * 32, [0] * 32
        for control in (0, 16):
            kinds[control], packets[control] = 0, 64
        for endpoint in endpoints:
            at = (endpoint.address & 0x80) >> 3 | endpoint.address & 0x0F
            kinds[at], owners[at], packets[at] = endpoint.kind, endpoint.interface, endpoint.packet
            intervals[at] = 10 if endpoint.kind == 3 else 0
        body = bytes(kinds) + bytes(intervals) + bytes(owners) + struct.pack("<32H", *packets)
        self.send(Kind.ENDPOINTS, 0, body)

    def plug_in(self, vendor: int, product: int, version: int) -> None:
        """Say that the device is there now."""
        self.send(Kind.CONNECT, 0, struct.pack("<BBBBHHH", FULL_SPEED, 0, 0, 0, vendor, product, version))
