"""One machine of the lab: Debian in QEMU, with hubs to plug cameras into and a store that it can reach.

`Machine.restore(state, folder)` gives a machine in a second, as a context manager. Where a test fails inside of `with`,
the error carries what the machine said last: its console, its kernel, and the journal of our units.
"""

import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.lab.channel import Channel, MachineEnded
from tests.lab.guest_side import CommandFailed, Guest
from tests.lab.image import LabError
from tests.lab.qemu import Disks, Monitor, hardware
from tests.lab.usb import Usb

NO_STORE = 9
"""Nothing listens at the discard port: the store is out of reach."""

BOOT_S = 120.0
LOAD_S = 60.0
QUIT_S = 10.0
SHUT_DOWN_S = 120.0
_REPORT = "dmesg | tail -n 40; journalctl --no-pager -o short-monotonic -n 80 -u 'dock-*'"


@dataclass(frozen=True, slots=True)
class State:
    """A machine that was saved: what it stood on, and its memory."""

    image: Path
    payload: Path
    spool: Path
    memory: Path | None
    """None: there is nothing to restore, the machine boots."""
    root: Path | None = None
    """A disk from which machines boot, each with what it writes on a layer of its own; None: the image's."""


class Machine(Guest, Usb):
    """A running machine. Commands run in the guest as root."""

    running: ClassVar[list["Machine"]] = []

    def __init__(
        self,
        state: State,
        workdir: Path,
        store_port: int,
        disk: Path | None,
        at_start: Callable[["Machine"], None] | None,
    ) -> None:
        """Use `restore` or `boot`."""
        workdir.mkdir(parents=True, exist_ok=True)
        self.workdir = workdir
        self.disk = disk or _overlay(state.spool, workdir / "spool.qcow2")
        """The spool disk. It outlives the machine: another one can be given it."""
        self.root = None if state.root is None else _overlay(state.root, workdir / "root.qcow2")
        self._sockets = Path(tempfile.mkdtemp(prefix="lab-"))  # the path of a socket must be short
        disks = Disks(state.image, state.payload, self.disk, self.root)
        monitor, command, self._process = _start(
            hardware(disks, store_port), workdir, incoming=state.memory is not None
        )
        self._channels = [
            Channel(monitor, "QEMU's monitor", self._last_words),
            Channel(command, "the guest's command agent", self._last_words),
        ]
        Machine.running.append(self)
        try:
            self.monitor = Monitor(self._channels[0])
            Guest.__init__(self, self._channels[1])
            Usb.__init__(self, self.monitor, self._sockets)
            self.monitor("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
            if at_start is not None:
                at_start(self)
            if state.memory is None:
                self.wait_boot(BOOT_S)
            else:
                self._load(state.memory)
            self.set_clock(time.time())
        except BaseException:
            self.close()
            raise

    @classmethod
    def restore(cls, state: State, workdir: Path, store_port: int = NO_STORE, disk: Path | None = None) -> Self:
        """A machine as it was when the state was saved, but for the clock, which is right.

        `workdir`: its logs and its spool disk, a fresh one unless `disk` is given. `store_port`: the port of this
        host that the guest reaches as 10.0.2.100:8443; it reaches nothing else.
        """
        return cls(state, workdir, store_port, disk, None)

    @classmethod
    def boot(
        cls,
        state: State,
        workdir: Path,
        store_port: int = NO_STORE,
        at_start: Callable[["Machine"], None] | None = None,
    ) -> Self:
        """A machine that boots from layers over the disks of `state`; `at_start` plugs in what is there from then on.

        Its own disks, for a machine that goes on where this one ends, are in `left`.
        """
        return cls(state, workdir, store_port, None, at_start)

    def left(self, state: State) -> State:
        """The same state with the disks as this machine leaves them. It must have ended before they are used."""
        return replace(state, spool=self.disk, root=self.root)

    def _load(self, memory: Path) -> None:
        self.monitor("migrate-incoming", uri=f"exec:cat {shlex.quote(str(memory))}")
        self._wait_moved()
        self.monitor("cont")

    def _wait_moved(self) -> None:
        ends = ("completed", "failed")
        moved = self.monitor.wait_event("MIGRATION", lambda data: data["status"] in ends, LOAD_S)
        if moved["data"]["status"] == "failed":
            raise LabError(f"QEMU could not save or restore its memory; {self._last_words()}")

    def save(self, memory: Path) -> None:
        """Write the memory to a file and end the machine; its disk then belongs to that memory."""
        self.monitor("stop")
        self.monitor("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.monitor("migrate", uri=f"exec:cat > {shlex.quote(str(memory))}")
        self._wait_moved()
        self.close()

    def power_off(self) -> None:
        """Cut the power: nothing is synced, nothing is told. The disk keeps what the guest had handed to it."""
        self.close()

    def shut_down(self) -> None:
        """Have the guest stop its services, sync and end. Raises TimeoutError."""
        with suppress(MachineEnded):
            self.sh("systemctl --no-block poweroff")
        self.wait_end(SHUT_DOWN_S)
        self.close()

    def wait_end(self, timeout: float) -> None:
        """Return once the guest has ended by itself. Raises TimeoutError."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the guest did not end in {timeout:g} s; {self._last_words()}") from None

    def close(self) -> None:
        """End the machine; idempotent."""
        if self in Machine.running:
            Machine.running.remove(self)
        if self._process.poll() is None:
            with suppress(MachineEnded, TimeoutError, AttributeError):
                self.monitor("quit", QUIT_S)
            try:
                self._process.wait(QUIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for channel in self._channels:
            channel.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _last_words(self) -> str:
        said = (self.workdir / "qemu.log").read_text("utf-8", "replace")[-2000:]
        return f"QEMU said:\n{said}\nthe console said:\n{self.console()[-2000:]}"

    def console(self) -> str:
        """Everything that came out of the guest's serial port."""
        path = self.workdir / "serial.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def report(self) -> str:
        """What there is to know after a failure. Raises nothing."""
        parts = [f"--- console\n{self.console()[-2000:]}"]
        if self._process.poll() is None:
            try:
                parts.append(f"--- dmesg, journal\n{self.sh(_REPORT, timeout=10, check=False)}")
            except (CommandFailed, TimeoutError, MachineEnded) as error:
                parts.append(f"--- the guest tells no more: {error}")
        return "\n".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.report())
        self.close()


def _overlay(disk: Path, path: Path) -> Path:
    kind = "raw" if disk.suffix == ".raw" else "qcow2"
    made = subprocess.run(  # noqa: S603 - our own words
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", disk.absolute(), path],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise LabError(f"no disk could be laid over {disk}: {made.stderr}")
    return path


def _start(
    words: list[str], workdir: Path, *, incoming: bool
) -> tuple[socket.socket, socket.socket, subprocess.Popen[bytes]]:
    """Start QEMU with a socket for its monitor and one for the guest's command agent."""
    ours_monitor, its_monitor = socket.socketpair()
    ours_command, its_command = socket.socketpair()
    own = [
        *("-chardev", f"socket,id=monitor,fd={its_monitor.fileno()}", "-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=command,fd={its_command.fileno()}"),
        *("-serial", f"file:{workdir}/serial.log"),
    ]
    if incoming:
        own += ["-incoming", "defer"]
    with its_monitor, its_command, (workdir / "qemu.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            # A test run that is killed outright takes its machines along.
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *own, *words],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(its_monitor.fileno(), its_command.fileno()),
            start_new_session=True,  # Ctrl-C is for the test run, which ends its machines itself
        )
    return ours_monitor, ours_command, process
