"""Signals end a command by an exception, so that it undoes what it has begun, and never in the middle of a step."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from agent.core.errors import AgentError, Remedy

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class Ended(AgentError):
    """A signal ended it; what was put in place was taken away again."""

    code, remedy, hint = "cli.ended", Remedy.RETRY, "Run it again."


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into Ended, so that what was begun is undone; a second one waits for that."""

    def end(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(f"It was ended by {signal.Signals(number).name}, and what it had done was undone.")

    # What is ignored already (nohup) stays so.
    before = {number: signal.getsignal(number) for number in _ENDINGS}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals wait until the block ends: a step and the note of how to undo it belong together."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDINGS, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def past_ending() -> None:
    """From here on SIGTERM and SIGHUP change nothing any more: all is in place. Call it undisturbed."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def all_or_nothing() -> Iterator[ExitStack]:
    """What takes back each step, run when the block does not come to its end."""
    undo = ExitStack()
    try:
        yield undo
    except BaseException:
        with undisturbed():
            undo.close()
        raise
