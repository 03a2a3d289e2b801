"""Carries PTP/IP (ISO 15740 over TCP) to a responder's USB pipes, and breaks when told to.

libgphoto2's address for it is `ptpip:127.0.0.1:PORT:PORT`: the second port is that of the events, which the library
does not derive from the first.
"""

import os
import select
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.mtp.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Callable

_INIT_COMMAND, _COMMAND_ACK, _INIT_EVENT, _EVENT_ACK = 1, 2, 3, 4
_COMMAND, _RESPONSE, _START, _DATA, _END, _PING, _PONG = 6, 7, 9, 10, 12, 13, 14
_COMMAND_BLOCK, _DATA_BLOCK = 1, 2
_PIECE = 1 << 18
_END_S = 5

GET_DEVICE_INFO, GET_OBJECT_INFO = 0x1001, 0x1008
GET_PARTIAL_OBJECT, GET_PARTIAL_OBJECT_64 = 0x101B, 0x95C1
GET_STORAGE_INFO = 0x1005
GET_OBJECT = 0x1009
_FILE_DATA = (GET_OBJECT, GET_PARTIAL_OBJECT, GET_PARTIAL_OBJECT_64)


class Cut(Exception):
    """The cable was pulled in the middle."""


class Bridge:
    """Listens on loopback; one connection at a time is what a camera has, and what this has."""

    def __init__(self, responder: Responder) -> None:
        self.file_bytes = 0
        """Bytes of files that went over the wire."""
        self.cuts: list[int] = []
        """Where, in terms of `file_bytes`, the connection is cut next."""
        self.cut_now = False
        """Cut the connection at the next answer, whatever it is."""
        self.refuses_connections = False
        self.rewrite: Callable[[int, bytes], bytes] = lambda _operation, data: data
        """Alters what the responder says, but for the bytes of files."""
        self.before: Callable[[int], None] = lambda _operation: None
        """Called when an operation has arrived, before the responder hears of it."""
        self.seen: list[tuple[int, tuple[int, ...]]] = []
        """Every operation with its parameters."""
        self._responder = responder
        self._stop = os.eventfd(0)
        self._turn = threading.Lock()
        self._sessions: dict[socket.socket, socket.socket | None] = {}
        """Connections for commands, and the one for events that came after each."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._run(self._listen)

    @property
    def address(self) -> str:
        return f"ptpip:127.0.0.1:{self.port}:{self.port}"

    def pull(self) -> None:
        """Cut every connection and take no other."""
        self.refuses_connections = True
        for client in list(self._sessions):
            self._hang_up(client)

    def close(self) -> None:
        self.pull()
        os.eventfd_write(self._stop, 1)
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(_END_S)
        os.close(self._stop)

    def _hang_up(self, client: socket.socket) -> None:
        for each in (client, self._sessions.get(client)):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _run(self, work: "Callable[..., None]", *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="mtp-bridge", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.refuses_connections:
                    client.close()
                    continue
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._greet(client)

    def _greet(self, client: socket.socket) -> None:
        kind, body = _packet(client)
        if kind == _INIT_EVENT:
            self._sessions[list(self._sessions)[-1]] = client
            _send(client, _EVENT_ACK, b"")
            return
        self._sessions[client] = None
        name = "BodyCam Two\0".encode("utf-16-le")
        _send(client, _COMMAND_ACK, struct.pack("<I", 1) + body[:16] + name + struct.pack("<HH", 0, 1))
        self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            while True:
                kind, body = _packet(client)
                if kind == _PING:
                    _send(client, _PONG, b"")
                elif kind == _COMMAND:
                    with self._turn:
                        self._transact(client, body)
        except (OSError, Cut):
            self._hang_up(client)
        finally:
            events = self._sessions.pop(client, None)
            for each in (client, events):
                if each is not None:
                    each.close()

    def _transact(self, client: socket.socket, body: bytes) -> None:
        """One operation; whatever happens, the responder's answer is read to its end."""
        direction, operation, number = struct.unpack_from("<IHI", body)
        assert direction == 1, "this bridge carries no data to the camera"
        parameters = body[10:]
        self.seen.append((operation, struct.unpack(f"<{len(parameters) // 4}I", parameters)))
        self.before(operation)
        command = struct.pack("<IHHI", 12 + len(parameters), _COMMAND_BLOCK, operation, number) + parameters
        os.write(self._responder.commands, command)
        out = _Out(client)
        if self.cut_now:
            self.cut_now, out.trouble = False, Cut()
        while True:
            length, kind, code, _ = struct.unpack("<IHHI", self._take(12))
            if kind != _DATA_BLOCK:
                out.send(_RESPONSE, struct.pack("<HI", code, number) + self._take(length - 12))
                break
            if operation in _FILE_DATA:
                self._carry_file(out, number, length - 12)
            else:
                data = self.rewrite(operation, self._take(length - 12))
                out.send(_START, struct.pack("<IQ", number, len(data)))
                out.send(_END, struct.pack("<I", number) + data)
        if out.trouble is not None:
            raise out.trouble

    def _carry_file(self, out: "_Out", number: int, left: int) -> None:
        out.send(_START, struct.pack("<IQ", number, left))
        while left:
            piece = self._take(min(left, _PIECE))
            left -= len(piece)
            if self.cuts and out.trouble is None and self.file_bytes >= self.cuts[0]:
                self.cuts.pop(0)
                out.trouble = Cut()
            if out.trouble is None:
                self.file_bytes += len(piece)
            out.send(_DATA if left else _END, struct.pack("<I", number) + piece)

    def _take(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            ready, _, _ = select.select([self._responder.answers, self._stop], [], [])
            if self._stop in ready:
                raise Cut
            got += os.read(self._responder.answers, count - len(got))
        return bytes(got)


class _Out:
    """The way back, silent once it is broken."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.trouble: OSError | Cut | None = None

    def send(self, kind: int, body: bytes) -> None:
        if self.trouble is None:
            try:
                _send(self._client, kind, body)
            except OSError as error:
                self.trouble = error


def _send(client: socket.socket, kind: int, body: bytes) -> None:
    client.sendall(struct.pack("<II", 8 + len(body), kind) + body)


def _packet(client: socket.socket) -> tuple[int, bytes]:
    length, kind = struct.unpack("<II", _receive(client, 8))
    return kind, _receive(client, length - 8)


def _receive(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        some = client.recv(count - len(got))
        if not some:
            raise ConnectionError("the other side has hung up")
        got += some
    return got
