"""One run of a client in a process of its own: its time, its processor time and its memory, children included."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.005
_KIB = 1024
_MIB = 1 << 20


class RunFailed(Exception):
    """A client that did not finish; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process needed. `peak_mib` is the largest resident size of it or of a child that it waited for."""

    seconds: float
    cpu_s: float
    peak_mib: float
    was_killed: bool


def run(
    command: list[str],
    environment: Mapping[str, str],
    folder: Path,
    limit_s: float,
    meanwhile: Callable[[], bool] = lambda: False,
) -> Run:
    """Run to the end, or until `meanwhile`, asked all the time, says that the process shall be killed.

    Raises RunFailed when it ends with another code than 0, or not within `limit_s`.
    """
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - a program that setup installed
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        killed = late = False
        pid, status, used = 0, 0, resource.getrusage(resource.RUSAGE_SELF)
        try:
            while not pid:
                if not killed and (meanwhile() or time.monotonic() - began > limit_s):
                    late = time.monotonic() - began > limit_s
                    killed = True
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(LOOK_S)
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
        finally:
            if not pid:  # we were ended ourselves
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if late or (process.returncode and not killed):
            said.seek(max(0, said.tell() - _KIB))
            words = said.read().decode("utf-8", "replace").strip()
            raise RunFailed(f"{'not done in time' if late else f'ended with {process.returncode}'}: {words[-300:]}")
    return Run(seconds, _cpu_s(used), used.ru_maxrss * _KIB / _MIB, killed)


def _cpu_s(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime
