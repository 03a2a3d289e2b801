"""Turns failures into one sentence for a person and an exit code for a script."""

import os
from enum import IntEnum
from types import TracebackType

from agent.cli.terminal import say_error
from agent.core.errors import AgentError, ConfigError, LedgerNewer, Remedy, SpoolUnsafe

DEBUG = "DOCK_AGENT_DEBUG"
"""Set to 1, this environment variable shows where an unexpected error arose."""


class Exit(IntEnum):
    """The exit codes that scripts rely on (75 and 78 as in sysexits.h)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNCONFIRMED = 75
    BAD_CONFIG = 78
    INTERRUPTED = 130


_LASTING = (ConfigError, SpoolUnsafe, LedgerNewer)
"""What another start does not mend: the service is not restarted."""


class NotRunning(AgentError):
    """No service answers on this station."""

    code, remedy = "cli.not_running", Remedy.HALT
    hint = "Start it with `systemctl start dock-agent`, or by hand with `dock-agent run`."


def report(error: AgentError) -> Exit:
    """Say what happened and what to do next."""
    problems = getattr(error, "problems", None)
    if isinstance(error, ConfigError) and problems:
        say_problems(problems)
    else:
        say_error(error.told())
    return Exit.BAD_CONFIG if isinstance(error, _LASTING) else Exit.FAILED


def say_problems(problems: list[object]) -> None:
    """One line for each mistake in the configuration: file, key, reason."""
    for problem in problems:
        key = getattr(problem, "key", "")
        parts = [getattr(problem, "file", ""), *([key] if key else []), getattr(problem, "reason", problem)]
        say_error(": ".join(map(str, parts)))


def report_system_error(error: OSError) -> Exit:
    """Say what the operating system refused."""
    about = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
    what = error.strerror or str(error) or type(error).__name__
    say_error(
        f"The system refused: {what}{about}. Check that it exists, whom it belongs to, and the space on its disk."
    )
    return Exit.FAILED


def expected_in(group: BaseExceptionGroup[BaseException]) -> AgentError | None:
    """The first failure in a group that has words for a person, if each of them has."""
    known, unknown = group.split(AgentError)
    if known is None or unknown is not None:
        return None
    first: BaseException = known
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first if isinstance(first, AgentError) else None


def report_unexpected(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Stand in for the interpreter's traceback, which helps no operator (a `sys.excepthook`)."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    say_error(
        f"Internal error: {type(error).__name__}: {error}. Nothing that was safe is less so."
        f" Run it again with {DEBUG}=1 to see where, and report that."
    )
