"""Time by the clock, and of the processor."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time of this process and of the children that ended meanwhile."""
    start, cpu = time.perf_counter(), _own_cpu_s()
    work()
    return time.perf_counter() - start, _own_cpu_s() - cpu


def cpu_s_of(pid: int) -> float:
    """Processor time of another process so far, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _own_cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
