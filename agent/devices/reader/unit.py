"""A reader that systemd runs, as another user and shut off from everything but its own camera.

The helper starts the unit; the reader then connects to a socket that exists for this bay and this start only, in a
folder that readers alone can enter.
"""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

from agent.core.errors import CameraError, ReaderFailed
from agent.devices.helper import Helper
from agent.devices.peer import peer_of
from agent.devices.reader.control import Control
from agent.devices.reader.process import ReaderProcess

_FORCE_S = 4.0
_START_S = 90.0
"""systemd has to set up what the reader is shut off with; a busy station starts many at once."""


class Unit:
    """Implements `process.Life`."""

    def __init__(self, helper: Helper, bay: str, pid: int) -> None:
        """The unit's main process is `pid`; call from within the running loop."""
        self._helper = helper
        self._bay = bay
        self.pid = pid
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pidfd = -1
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            self.ended.set()
        else:
            self._loop.add_reader(self._pidfd, self._note_end)

    def _note_end(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self.ended.set()

    def kill(self) -> None:
        """Have the helper kill the unit."""
        if not self.ended.is_set():
            with suppress(CameraError):
                self._helper.tell("end_reader", bay=self._bay)

    def last_words(self) -> list[str]:
        """The journal has them."""
        return [f"more in the journal of dock-reader*@{self._bay}"]

    async def force(self) -> None:
        """Have the helper end the unit; one whose camera hangs goes when its port loses power."""
        try:
            if not self.ended.is_set():
                with suppress(CameraError):
                    await self._helper.ask("end_reader", within_s=_FORCE_S, bay=self._bay)
        finally:
            self._note_end()


async def start_unit(helper: Helper, sockets: Path, bay: str, kind: str, device: str = "") -> ReaderProcess:
    """Start the bay's reader of this kind and wait until it has connected. Raises CameraError."""
    place = sockets / f"{bay}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listening:
        try:
            place.unlink(missing_ok=True)
            listening.bind(os.fspath(place))
            place.chmod(0o666)  # the folder says who may come near
            listening.listen(1)
        except OSError as error:
            raise ReaderFailed(f"no socket for the reader of bay {bay} at {place}: {error.strerror}") from error
        fields = {"device": device} if device else {}
        control: socket.socket | None = None
        try:
            await helper.ask("reader", bay=bay, kind=kind, within_s=_START_S, **fields)
            async with asyncio.timeout(_START_S):
                control, _ = await asyncio.get_running_loop().sock_accept(listening)
        except TimeoutError as error:
            raise ReaderFailed(f"the reader of bay {bay} did not come up within {_START_S:g} s") from error
        finally:
            place.unlink(missing_ok=True)
            if control is None:
                with suppress(CameraError):
                    helper.tell("end_reader", bay=bay)  # it may come up all the same
    return ReaderProcess(Unit(helper, bay, peer_of(control).pid), Control(control))
