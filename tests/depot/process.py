"""A depot in a process of its own, which a test may kill."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30


@dataclass(frozen=True, slots=True)
class DepotProcess:
    """A running depot and what it said when it was ready."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def url(self) -> str:
        url: str = self.said["url"]
        return url

    def kill(self) -> None:
        """End it as a power cut would end the process: nothing is tidied up."""
        self.process.kill()
        self.process.wait(READY_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(READY_S)


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "agent.depot", *arguments]
    return subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", env=environment
    )


@contextmanager
def depot_process(place: Path) -> Iterator[DepotProcess]:
    """Start a depot in `place` and wait until it says that it is ready."""
    process = start("--dir", str(place), "--json")
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], READY_S)[0], "the depot said nothing"
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield DepotProcess(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=READY_S)


def wait_until_on_disk(place: Path, at_least: int) -> None:
    """Until the one unfinished upload has so many bytes."""
    deadline = time.monotonic() + READY_S
    while sum(path.stat().st_size for path in (place / "incoming").iterdir()) < at_least:
        assert time.monotonic() < deadline, "the bytes did not reach the disk"
        time.sleep(0.005)
