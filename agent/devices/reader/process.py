"""A reader process as the agent sees it: started, asked, and ended in bounded time even when the camera hangs.

A reader whose camera has stopped answering may sit in uninterruptible sleep, where even SIGKILL waits until the
camera's port loses power. `close` gives up on such a process: the event loop's child watcher reaps it whenever the
kernel lets it go, and nothing of ours waits for it. What it has started itself goes with it: a reader leads a process
group of its own.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from agent.core.errors import ReaderFailed, ReaderStalled
from agent.devices.reader.answers import Answer, Problem, answer_of
from agent.devices.reader.control import Control
from agent.devices.reader.wire import line_of

READER_ARGV = (sys.executable, "-I", "-m", "agent.devices.reader")
START_S = 10.0
"""A reader starts in a fraction of a second; a busy machine may take longer."""

_PATIENCE_S = ((None, 0.5), (signal.SIGTERM, 0.5), (signal.SIGKILL, 1.0))
"""What is done to end a reader, and how long each step may take."""
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

    def last_words(self) -> str:
        text = self._words.decode("utf-8", "backslashreplace").strip()
        last = text.splitlines()[-1] if text else ""
        return "".join(c if c.isprintable() else "?" for c in last)


class ReaderProcess:
    """One reader: one question at a time, each with an answer or an end."""

    def __init__(self, transport: asyncio.SubprocessTransport, witness: _Witness, control: Control) -> None:
        """Use `start`."""
        self._transport = transport
        self._witness = witness
        self._control = control
        self._asked = 0

    @classmethod
    async def start(cls, argv: Sequence[str] = READER_ARGV) -> Self:
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
        return cls(transport, witness, Control(ours))

    @property
    def pid(self) -> int:
        """The process's id, for people and tests."""
        return self._transport.get_pid()

    async def ask(self, question: dict[str, object], *, within_s: float, fd: int | None = None) -> Answer | Problem:
        """Ask and wait for the answer.

        Raises ReaderStalled when none comes in time, ReaderFailed when there will be none or it is nonsense; the
        process is killed then. Cancellation: the answer is skipped when it comes.
        """
        self._asked += 1
        try:
            self._control.send(line_of({"id": self._asked, **question}), fd)
            async with asyncio.timeout(within_s):
                return await self._answer()
        except TimeoutError as error:
            self.kill()
            raise ReaderStalled(f"the reader gave no answer to {question['verb']!r} within {within_s:g} s") from error
        except ReaderFailed as error:
            raise await self._with_last_words(error) from error
        except ReaderStalled:
            self.kill()
            raise

    async def _answer(self) -> Answer | Problem:
        while True:
            number, answer = answer_of(await self._control.line())
            if number == self._asked:
                return answer
            if number > self._asked:
                raise ReaderFailed("the reader answers what it was not asked")

    async def _with_last_words(self, error: ReaderFailed) -> ReaderFailed:
        """Add what the process left behind; if it still runs it is ended, since it talks nonsense."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):  # it may only just be ending by itself
                await self._witness.ended.wait()
        code = self._transport.get_returncode()
        self.kill()
        words = self._witness.last_words()
        facts = ([] if code is None else [f"exit status {code}"]) + ([words] if words else [])
        return ReaderFailed(f"{error} ({'; '.join(facts)})") if facts else error

    def kill(self) -> None:
        """Kill the process and its children; harmless when it is gone."""
        self._witness.signal(signal.SIGKILL)

    async def close(self) -> None:
        """Hang up, then ask, then force; returns within two seconds whatever happens. Idempotent."""
        self._control.close()
        try:
            for number, patience_s in _PATIENCE_S:
                if number is not None:
                    self._witness.signal(number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self._witness.ended.wait()
                        break
        finally:
            self._transport.close()  # kills what is left, waits for nothing
