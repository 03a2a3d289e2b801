"""The agent's end of a reader's control socket: whole lines, bounded, whatever the other side sends.

Nothing is lost when a waiting caller is cancelled: lines are taken off the socket by the event loop itself and kept
until someone asks.
"""

import asyncio
import socket
from collections import deque

from agent.core.errors import ReaderFailed, ReaderStalled
from agent.devices.reader.wire import LINE_BYTES

_MOST_LINES = 16
"""A reader answers each question once; more lines than this were never asked for."""


class Control:
    """One control socket. Closing it makes a well-behaved reader end."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`; call from within the running loop."""
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._lines: deque[bytes] = deque()
        self._partial = b""
        self._end: str | None = None
        self._news = asyncio.Event()
        self._loop.add_reader(sock.fileno(), self._take)

    def send(self, line: bytes, fd: int | None = None) -> None:
        """Send one line, with a descriptor if given. Raises ReaderFailed, ReaderStalled."""
        if self._sock.fileno() < 0:
            raise ReaderFailed("the reader is closed")
        if len(line) > LINE_BYTES:
            raise ReaderFailed(f"a request of {len(line)} bytes is too long for the reader")
        try:
            sent = socket.send_fds(self._sock, [line], [] if fd is None else [fd])
        except BlockingIOError as error:
            raise ReaderStalled("the reader no longer takes requests") from error
        except OSError as error:
            raise ReaderFailed(f"the reader takes no request: {error.strerror}") from error
        if sent != len(line):
            raise ReaderStalled("the reader no longer takes requests")

    async def line(self) -> bytes:
        """Wait for the next line. Raises ReaderFailed when there will be none. Cancellation loses nothing."""
        while not self._lines:
            if self._end is not None:
                raise ReaderFailed(self._end)
            self._news.clear()
            await self._news.wait()
        return self._lines.popleft()

    def _take(self) -> None:
        try:
            block = self._sock.recv(LINE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(f"the reader hung up: {error.strerror}")
            return
        if not block:
            self._finish("the reader hung up")
            return
        *lines, self._partial = (self._partial + block).split(b"\n")
        self._lines.extend(lines)
        if len(self._partial) > LINE_BYTES or len(self._lines) > _MOST_LINES:
            self._lines.clear()
            self._finish("the reader says more than it was asked")
        self._news.set()

    def _finish(self, why: str) -> None:
        self._end = why
        self._partial = b""
        self._loop.remove_reader(self._sock.fileno())
        self._news.set()

    def close(self) -> None:
        """Hang up; idempotent. Who waits for a line gets ReaderFailed."""
        if self._sock.fileno() < 0:
            return
        if self._end is None:
            self._finish("the reader was closed")
        self._sock.close()
