"""A reader as the agent sees it: asked, and ended in bounded time even when the camera hangs.

A reader whose camera has stopped answering may sit in uninterruptible sleep, where even SIGKILL waits until the
camera's port loses power. `close` gives up on such a process; nothing of ours waits for it.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from agent.core.errors import ReaderFailed, ReaderStalled
from agent.devices.reader.answers import Answer, Problem, answer_of
from agent.devices.reader.control import Control
from agent.devices.reader.wire import line_of

START_S = 10.0
"""A reader starts in a fraction of a second; a busy machine may take longer."""

_HANG_UP_S = 0.5
_JUST_ENDING_S = 0.2


class Life(Protocol):
    """The process behind a control socket, however it was started."""

    pid: int
    ended: asyncio.Event

    def kill(self) -> None:
        """Kill it and what it has started, without waiting; harmless when it is gone."""
        ...

    def last_words(self) -> list[str]:
        """What it left behind: how it ended and the end of what it said, as far as that is known."""
        ...

    async def force(self) -> None:
        """Make it end, first kindly, and return within a few seconds, whether or not it is gone; idempotent."""
        ...


class ReaderProcess:
    """One reader: one question at a time, each with an answer or an end."""

    def __init__(self, life: Life, control: Control) -> None:
        """`control` is this process's socket."""
        self._life = life
        self._control = control
        self._asked = 0

    @property
    def pid(self) -> int:
        """The process's id, for people and tests."""
        return self._life.pid

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
            async with asyncio.timeout(_JUST_ENDING_S):  # it may only just be ending by itself
                await self._life.ended.wait()
        facts = self._life.last_words()
        self.kill()
        return ReaderFailed(f"{error} ({'; '.join(facts)})") if facts else error

    def kill(self) -> None:
        """Kill the process and its children; harmless when it is gone."""
        self._life.kill()

    async def close(self) -> None:
        """Hang up, then ask, then force; returns within a few seconds whatever happens. Idempotent."""
        self._control.close()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HANG_UP_S):
                    await self._life.ended.wait()
        finally:
            await self._life.force()
