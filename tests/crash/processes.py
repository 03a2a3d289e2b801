"""Real processes that start in a few milliseconds, are traced by strace, killed, and stopped as a whole.

Most of a start is importing: the processes are forked from a server that has done it (`programs.py`). Everything
after that is the same as in a process of its own, and each has its own descriptors, threads and signals.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.crash import programs

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.crash.programs"])
LIMIT_S = 60.0


async def until(true: Callable[[], object], what: str, *, limit_s: float = LIMIT_S, ask_again_s: float = 0.01) -> None:
    """Ask about another process until it is so."""
    try:
        async with asyncio.timeout(limit_s):
            while not true():  # noqa: ASYNC110 - another process rings no bell
                await asyncio.sleep(ask_again_s)
    except TimeoutError:
        raise AssertionError(f"not reached within {limit_s:g} s: {what}") from None


class Program:
    """One `dock-agent WORDS`, or another of `programs.py`."""

    def __init__(
        self, words: Sequence[str], log: Path, *, stopped: bool = False, run: Callable[..., None] = programs.command
    ) -> None:
        """Start it; `stopped` holds it before its first step."""
        log.touch()
        self._process = _FORKS.Process(target=run, args=(list(words), str(log), stopped), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.log = log

    async def is_held(self) -> None:
        """Wait until it stands before its first step."""
        await until(lambda: _states(self.pid) == {"T"}, f"{self.pid} standing still", ask_again_s=0.002)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    async def kill(self) -> None:
        """End it at once; harmless when it is dead."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await until(lambda: not self.is_alive(), f"the end of {self.pid}")

    async def stop(self) -> int | None:
        """Ask it to end; returns its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        await until(lambda: not self.is_alive(), f"the orderly end of {self.pid}")
        return self._process.exitcode

    async def ended(self) -> int | None:
        """Wait until it ends by itself; returns its exit code."""
        await until(lambda: not self.is_alive(), f"the end of {self.pid}", ask_again_s=0.003)
        return self._process.exitcode

    def children(self) -> list[int]:
        """The processes that it has started and that run: readers, for an agent."""
        found: list[int] = []
        for task in _tasks(self.pid):
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
        return [pid for pid in found if _states(pid) - {"Z"}]


class Trace:
    """A strace that hangs on to a running process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        """Use `attach`."""
        self._process = process
        self.log = log

    @classmethod
    async def attach(
        cls, pid: int, calls: Iterable[str], log: Path, *options: str, follow: bool = True
    ) -> "Trace | None":
        """Trace `calls` of a process, and of its children with `follow`. None when the process is gone already."""
        words = ["-f"] if follow else []
        words += ["-y", "-p", str(pid), "-o", str(log), "-e", f"trace={','.join(calls)}", *options]
        process = await asyncio.create_subprocess_exec(
            "strace",
            *words,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await until(lambda: process.returncode is not None or _is_traced(pid), f"a tracer at {pid}", ask_again_s=0.003)
        return None if process.returncode is not None else cls(process, log)

    def has_killed(self) -> bool:
        """Whether any tracee was killed."""
        return "+++ killed by SIGKILL" in self.log.read_text(errors="replace")

    async def end(self) -> None:
        """Let go of what still runs.

        By SIGKILL: a strace that is asked politely may wait for ever for the last thread of a killed tracee.
        """
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()


def go_on(pids: Iterable[int]) -> None:
    """Let stopped processes run."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def halt(pids: Iterable[int]) -> list[int]:
    """Stop these processes with all their threads; returns them. As on disk, it is as if they were killed."""
    stopped = list(pids)
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    await until(lambda: all(_states(pid) <= {"T", "Z", "X"} for pid in stopped), "a standstill", ask_again_s=0.002)
    return stopped


def at_work_below(root: Path) -> list[int]:
    """Processes that hold something open below `root`: how a reader is found whose agent was killed."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(str(_link(fd)).startswith(f"{root}/") for fd in (entry / "fd").iterdir()):
                    found.append(int(entry.name))
    return found


def _link(fd: Path) -> str:
    with suppress(OSError):
        return os.readlink(fd)  # noqa: PTH115 - may be no path
    return ""


def _tasks(pid: int) -> list[Path]:
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _states(pid: int) -> set[str]:
    """The states of all threads; empty when the process is gone."""
    found = set()
    for task in _tasks(pid):
        with suppress(OSError):
            found.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return found


def _is_traced(pid: int) -> bool:
    with suppress(OSError):
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    return False
