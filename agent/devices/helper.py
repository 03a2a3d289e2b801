"""The agent's end of the privileged helper: asks for fixed verbs, and turns refusals into errors of ours.

Source of the verbs: `helper_wire`. Answers come in whatever order the work gets done; one that nobody waits for any
more is dropped, so a caller that was cancelled asks for the opposite (`unmount`, `end_reader`), which the helper does
after what it has begun for that bay.
"""

import asyncio
import os
import socket
from itertools import count
from pathlib import Path

from agent.core.errors import AgentError, CameraError, CameraGone, HelperUnreachable, MediumReadOnly
from agent.devices.helper_wire import PACKET_BYTES, message_of, packet_of

ANSWER_S = 60.0
"""A mount of a slow card takes seconds; a hung one is waited for until somebody cuts its port."""

Answer = dict[str, object]

_GONE = frozenset({"gone", "no_such_device", "not_mounted"})


class HelperSlow(CameraError):
    """No answer in time: what was asked may still be done, or hang in the kernel."""

    code = "helper.slow"


class HelperRefused(CameraError):
    """The helper did not do it; `reason` is one of `helper_wire.ERRORS`."""

    code = "helper.refused"

    def __init__(self, message: str, reason: str) -> None:
        """`message` says what was asked and what the helper said."""
        super().__init__(message)
        self.reason = reason


def _error_of(what: str, reason: str, text: str) -> AgentError:
    message = f"{what}: {text or reason}"
    if reason in _GONE:
        return CameraGone(f"the camera is no longer there: {message}")
    if reason == "read_only":
        return MediumReadOnly(message)
    return HelperRefused(message, reason)


class Helper:
    """One connection, made when it is first needed and made again when it broke."""

    def __init__(self, path: Path) -> None:
        """`path` is the helper's socket."""
        self._path = path
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._sock: socket.socket | None = None

    async def ask(self, verb: str, *, within_s: float = ANSWER_S, **fields: str | bool) -> Answer:
        """Ask and wait for the answer. Raises CameraGone, MediumReadOnly, HelperRefused, HelperUnreachable."""
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._send({"id": number, "verb": verb, **fields})
            self._waiting[number] = future  # only now: a connection that had to be made again has failed all before it
            async with asyncio.timeout(within_s):
                answer = await future
        except TimeoutError as error:
            raise HelperSlow(f"the helper gave no answer to {verb!r} within {within_s:g} s") from error
        finally:
            self._waiting.pop(number, None)
        match answer:
            case {"ok": dict(told)}:
                return told
            case {"error": {"code": str(reason), "text": str(text)}}:
                raise _error_of(f"{verb} {fields.get('bay', '')}".strip(), reason, text)
            case _:
                raise HelperUnreachable(f"the helper gives an answer to {verb!r} that is none")

    def tell(self, verb: str, **fields: str | bool) -> None:
        """Ask without waiting; whether it was done is not known. Raises HelperUnreachable when it cannot be asked."""
        self._send({"id": next(self._numbers), "verb": verb, **fields})

    def _send(self, message: dict[str, object]) -> None:
        packet = packet_of(message)
        try:
            try:
                self._connection().send(packet)
            except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError):
                self.close()  # it was restarted
                self._connection().send(packet)
        except OSError as error:
            self.close()
            text = error.strerror or type(error).__name__
            raise HelperUnreachable(f"the helper at {self._path} cannot be asked: {text}") from error

    def _connection(self) -> socket.socket:
        if self._sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            try:
                sock.connect(os.fspath(self._path))
            except OSError:
                sock.close()
                raise
            asyncio.get_running_loop().add_reader(sock.fileno(), self._take)
            self._sock = sock
        return self._sock

    def _take(self) -> None:
        if self._sock is None:
            return
        try:
            packet = self._sock.recv(PACKET_BYTES)
            message = message_of(packet) if packet else None
        except BlockingIOError:
            return
        except (OSError, ValueError):
            message = None
        if message is None:
            self.close()
            return
        number = message.get("id")
        future = self._waiting.pop(number, None) if isinstance(number, int) else None
        if future is not None and not future.done():
            future.set_result(message)

    def close(self) -> None:
        """Hang up; who waits for an answer gets HelperUnreachable. Idempotent."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        asyncio.get_running_loop().remove_reader(sock.fileno())
        sock.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(HelperUnreachable("the helper hung up"))
