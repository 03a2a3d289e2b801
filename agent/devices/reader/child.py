"""A reader that is a child of the agent: in development, for folders, and wherever no privileged helper is needed.

It leads a process group of its own, and what it has started goes with it. The event loop's child watcher reaps it
whenever the kernel lets it go.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.core.errors import ReaderFailed
from agent.devices.reader.control import Control
from agent.devices.reader.process import START_S, ReaderProcess

_PACKAGED = Path(__file__).resolve().parents[3] / "python"
"""Where the Debian package put it, this starts modules of the agent with the agent's own libraries."""
READER_ARGV = (
    (str(_PACKAGED), "agent.devices.reader")
    if _PACKAGED.is_file()
    else (sys.executable, "-I", "-m", "agent.devices.reader")
)

_FORCE_S = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 1.0))
"""What is done to end a reader that does not go by itself, and how long each step may take."""
_LAST_WORDS_BYTES = 2048
_WORDS_BYTES = 256 << 10
"""A reader that says more than this on stderr is ended: the event loop serves the other bays, too."""
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}


class _Witness(asyncio.SubprocessProtocol):
    """Keeps the end of what the process said on stderr, and when it ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._words = b""
        self._heard_bytes = 0
        self._pid = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101 - for the type checker
        self._pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - only stderr is a pipe
        self._words = (self._words + data)[-_LAST_WORDS_BYTES:]
        self._heard_bytes += len(data)
        if self._heard_bytes > _WORDS_BYTES:
            self.signal(signal.SIGKILL)

    def process_exited(self) -> None:
        self.signal(signal.SIGKILL)  # what it has left behind; its number stays theirs as long as one of them lives
        self._pid = 0
        self.ended.set()

    def signal(self, number: int) -> None:
        """Send a signal to the process and whatever it has started; harmless when it is gone."""
        if self._pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, number)

    def words(self) -> str:
        text = self._words.decode("utf-8", "backslashreplace").strip()
        last = text.splitlines()[-1] if text else ""
        return "".join(c if c.isprintable() else "?" for c in last)


class Child:
    """Implements `process.Life`."""

    def __init__(self, transport: asyncio.SubprocessTransport, witness: _Witness) -> None:
        """Use `start_child`."""
        self._transport = transport
        self._witness = witness
        self.pid = transport.get_pid()
        self.ended = witness.ended

    def kill(self) -> None:
        """Kill the process and its children."""
        self._witness.signal(signal.SIGKILL)

    def last_words(self) -> list[str]:
        """Its exit status and the last line it said."""
        code, words = self._transport.get_returncode(), self._witness.words()
        return ([] if code is None else [f"exit status {code}"]) + ([words] if words else [])

    async def force(self) -> None:
        """Ask, then kill; what is left behind is reaped when the kernel lets it go."""
        try:
            for number, patience_s in _FORCE_S:
                if self.ended.is_set():
                    return
                self._witness.signal(number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self.ended.wait()
        finally:
            self._transport.close()  # kills what is left, waits for nothing


async def start_child(argv: Sequence[str] = READER_ARGV) -> ReaderProcess:
    """Start `argv` with the number of its control socket as last argument. Raises ReaderFailed.

    The process gets the socket and /dev/null, no terminal, no other descriptor and no environment.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(START_S):
            transport, witness = await asyncio.get_running_loop().subprocess_exec(
                _Witness,
                *argv,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                env=_ENVIRONMENT,
            )
    except (OSError, TimeoutError) as error:
        ours.close()
        raise ReaderFailed(f"the reader process could not be started: {error}") from error
    except asyncio.CancelledError:
        ours.close()
        raise
    finally:
        theirs.close()
    return ReaderProcess(Child(transport, witness), Control(ours))
