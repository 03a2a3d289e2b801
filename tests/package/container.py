"""A container with a running systemd of its own and no network, made from a copy of the base."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.package.base import base

BOOT_S = 90
COMMAND_S = 120
STOP_S = 30


class Failed(AssertionError):
    """A command in the container failed; the text has all that it said."""


class Container:
    """`with Container() as machine: machine.sh(...)`; the copy goes when the block ends."""

    def __init__(self, debian: int = 12) -> None:
        """Nothing runs yet."""
        self._debian = debian
        # Beside nothing of the project's: a copy of a whole system takes 200 MB.
        self._folder = Path(tempfile.mkdtemp(prefix="dock-package-"))
        self.root = self._folder / "root"
        self._log = self._folder / "nspawn.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        subprocess.run(["cp", "-a", base(self._debian), self.root], check=True)  # noqa: S603, S607 - our own words
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _boot(self) -> None:
        options = ("--register=no", "--keep-unit", "--timezone=off", "--resolv-conf=off", "--private-network")
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(  # noqa: S603 - our own words
                ["systemd-nspawn", *options, "--quiet", "-D", self.root, "-b"],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._init = 0
        until(self._has_begun, "no container appeared")
        until(self._is_up, "systemd in the container did not come up", seconds=BOOT_S)

    def _has_begun(self) -> bool:
        """Find the container's first process; what nspawn has beside it while it starts ends again."""
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        for pid in children.read_text().split():
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                (seen,) = (line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
                if len(seen) > 1 and seen[-1] == "1":
                    self._init = int(pid)
        return self._init != 0

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise Failed(f"the container ended: {self._log.read_text('utf-8', 'replace')}")
        return self.run("systemctl is-system-running").stdout.strip() in {"running", "degraded"}

    def run(self, command: str, *, seconds: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in the container, as root."""
        inside = ("nsenter", "-t", str(self._init), *("-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w"))
        return subprocess.run(  # noqa: S603 - what the test says
            [*inside, "/bin/sh", "-c", command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def sh(self, command: str, *, seconds: float = COMMAND_S) -> str:
        """Run a line of shell that must succeed; what it printed."""
        done = self.run(command, seconds=seconds)
        if done.returncode:
            raise Failed(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def put(self, path: str, text: str) -> None:
        """Write a file that everybody may read, on the disk: /run and /tmp are the container's own memory."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")

    def show(self, unit: str, key: str) -> str:
        """One property of a unit."""
        return self.sh(f"systemctl show --value -p {key} {unit}")

    def reboot(self) -> None:
        """Shut down in good order and start again; its disk stays."""
        self._stop()
        self._boot()

    def _end(self) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._nspawn is not None and self._nspawn.poll() is None:
            if self._init:
                with suppress(ProcessLookupError):
                    os.kill(self._init, signal.SIGRTMIN + 4)  # its systemd is asked to switch off
            try:
                self._nspawn.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()


def until(true: Callable[[], object], otherwise: str, *, seconds: float = 60) -> None:
    """Wait until something is true, at most so long. Raises Failed."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Failed(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(0.2)
