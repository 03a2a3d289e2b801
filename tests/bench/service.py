"""`dock-agent run` as a process of its own, watched from outside."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.scenarios.shift import Shift

_KIB = 1024
_LIMIT_S = 600


class Service:
    """The running service of a shift's station, and what it and its readers cost."""

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.reader_peak_bytes = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> float:
        """Start it; seconds until it answers on its socket."""
        socket = self.shift.root / "state" / "api.sock"
        socket.unlink(missing_ok=True)
        words = ["-m", "agent", "run", "--config", str(self.shift.config)]
        start = time.perf_counter()
        with (self.shift.root / "service.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=log, stderr=log)
        await self.until(socket.exists, 0.002)
        return time.perf_counter() - start

    async def stop(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def until(self, true: Callable[[], bool], ask_again_s: float = 0.1) -> None:
        """Ask from outside until it is so, and look at the readers meanwhile."""
        async with asyncio.timeout(_LIMIT_S):
            while not true():
                assert self._process is not None
                assert self._process.returncode is None, (self.shift.root / "service.log").read_text()[-2000:]
                readers = filter(is_reader, children(self.pid))
                self.reader_peak_bytes = max([self.reader_peak_bytes, *map(peak_bytes, readers)])
                await asyncio.sleep(ask_again_s)

    async def idle_share(self, seconds: float) -> float:
        """Share of one core that it and its readers use from now on."""
        everyone = [self.pid, *children(self.pid)]
        before = sum(map(cpu_s, everyone))
        await asyncio.sleep(seconds)
        return (sum(map(cpu_s, everyone)) - before) / seconds


def children(pid: int) -> Iterator[int]:
    """The processes that this one has started."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            yield from map(int, (task / "children").read_text().split())


def is_reader(pid: int) -> bool:
    """Whether it is a reader by now: for a moment after the fork a child still looks as large as its parent."""
    try:
        return b"agent.devices.reader" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def peak_bytes(pid: int) -> int:
    """The largest resident size so far; 0 when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:")), 0)


def cpu_s(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
