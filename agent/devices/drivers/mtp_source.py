"""One file of a camera, read in large pieces; a reading goes on where it stood when the camera stumbles.

Memory is bounded by one piece, whatever the file's size.
"""

import binascii
import os
import select

from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.mtp_length import LengthGuard
from agent.devices.drivers.mtp_names import State
from agent.devices.drivers.mtp_session import Hiccup
from agent.devices.drivers.mtp_tree import Tree
from agent.devices.drivers.mtp_walk import refusal

PIECE_BYTES = 4 << 20
"""How much is asked for at once. Source: measured; 64 KiB gives 2 MB/s, 1 MiB 50 to 100, 4 MiB 150 and more."""


def mark_of(path: bytes, state: State) -> str:
    """Tell a file from others and from itself once its size or time has changed.

    MTP tells no more: a camera that rewrites a file and puts its time back, or does so within the same second, is not
    noticed. While it is docked nothing but its own firmware can write to it.
    """
    return f"{binascii.crc32(path):08x}:{state[0]}:{state[1]}"


def _is_given_up(pipe: int) -> bool:
    """Whether nobody reads from the pipe's other end any more."""
    waiting = select.poll()
    waiting.register(pipe, 0)
    return any(event & select.POLLERR for _fd, event in waiting.poll(0))


class MtpSource:
    """A file opened for reading. Implements `driver.Source`."""

    def __init__(self, tree: Tree, path: bytes) -> None:
        """Look at it in a new session. Raises DriverError."""
        self._tree = tree
        self._path = path
        self._folder, self._child, self._state = tree.look(path)
        if reason := refusal(self._state[0], None):
            raise DriverError("refused", reason)
        self._looked = True
        self._offset = 0
        self._piece = memoryview(b"")
        self._buffer = memoryview(b"")
        self._guard = LengthGuard(self._state[0])
        self._stumbled_at = -1

    def state(self) -> State:
        """Ask the camera again: size in bytes and mtime in ns, unless nothing was read since it was asked last."""
        if not self._looked:
            self._folder, self._child, self._state = self._tree.look(self._path)
            self._looked = True
        return self._state

    def mark(self) -> str:
        """Which file this is, as it was when it was last looked at."""
        return mark_of(self._path, self._state)

    def send(self, pipe: int, limit: int) -> int:
        """Send the next bytes; 0 at the end. Raises BrokenPipeError, DriverError."""
        self._looked = False
        if not self._piece and self._offset < self._state[0]:
            try:
                self._fetch()
            except DriverError as error:
                if self._offset or (error.code, error.text) != ("refused", "not_supported"):
                    raise
                return self._pour(pipe)
        count = os.write(pipe, self._piece[:limit]) if self._piece else 0
        self._piece = self._piece[count:]
        return count

    def _fetch(self) -> None:
        """Bring the next piece, in a new session when it fails in this one."""
        if not self._buffer:
            self._buffer = memoryview(bytearray(min(PIECE_BYTES, self._state[0])))
        wanted = self._buffer[: self._state[0] - self._offset]
        try:
            count = self._tree.session.read(self._folder, self._child.name, self._offset, wanted)
        except Hiccup as error:
            self._go_on_after(error)
            count = self._tree.session.read(self._folder, self._child.name, self._offset, wanted)
        self._piece = self._buffer[: min(count, len(wanted))]
        self._guard.look(self._piece)
        self._offset += len(self._piece)

    def _go_on_after(self, error: Hiccup) -> None:
        """Begin a new session at the same offset of the same file, once for each piece."""
        if self._stumbled_at == self._offset:
            raise error
        self._stumbled_at = self._offset
        self._folder, self._child, state = self._tree.look(self._path)
        if state != self._state:
            raise DriverError("changed", "it changed while it was read") from error

    def _pour(self, pipe: int) -> int:
        """Send all of it at once, from a camera that cannot give parts: nothing can be resumed then.

        Returns what the camera should have sent; whoever empties the pipe counts what came.
        """
        try:
            self._tree.session.pour(self._folder, self._child.name, os.dup(pipe))
        except DriverError as error:
            if _is_given_up(pipe):
                raise BrokenPipeError from error
            raise
        self._offset = self._state[0]
        return self._offset

    def close(self) -> None:
        """Forget the file."""
        self._piece = self._buffer = memoryview(b"")
