"""A privileged helper that needs no privileges: the real protocol on a real socket, with real readers.

A "mount" is a symbolic link with a fresh number that leads to the directory which plays the card. A card has to lie on
another file system than the links (`card_place`): that is how a reader tells a mount from an empty folder.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from agent.devices.helper_wire import PACKET_BYTES
from agent.helper.child import Answer, answer, refusal_message
from agent.helper.refusal import Refusal
from agent.helper.request import Request, id_of, request_of
from agent.helper.work import TURNS

OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - a file system of its own on every Linux
LIMIT_S = 20.0

Program = Callable[[Request], list[str]]


def real_reader(_: Request) -> list[str]:
    """The command of a reader, to which `--connect` is added."""
    return [sys.executable, "-I", "-m", "agent.devices.reader"]


@contextlib.contextmanager
def card_place() -> Iterator[Path]:
    """A folder for cards, on a file system of its own."""
    place = Path(tempfile.mkdtemp(prefix="cards-", dir=OTHER_FILE_SYSTEM))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@dataclass
class Script:
    """What the helper finds on its machine, and how it behaves. Tests change it at any time."""

    devices: dict[str, str | None] = field(default_factory=dict)  # device: its bay, None where the port is no dock's
    numbers: dict[str, str] = field(default_factory=dict)  # device: the number that the kernel gave it last
    hubs: set[str] = field(default_factory=set)  # on the way to a bay
    characteristics: dict[str, int] = field(default_factory=dict)  # hub: wHubCharacteristics
    cards: dict[str, Path] = field(default_factory=dict)  # block device: what is on it
    read_only: set[str] = field(default_factory=set)  # block devices with a write-protect switch
    open_root_hubs: list[str] = field(default_factory=list)
    program: Program = real_reader
    authorised: Callable[[str, bool], None] = lambda _device, _on: None  # called from another thread
    powered: Callable[[str, str], None] = lambda _bay, _to: None  # as above


class FakeHelper:
    """Listens while it is entered; `asked` is everything that it was asked, in order."""

    def __init__(self, folder: Path, bays: tuple[str, ...] = ("1", "2")) -> None:
        self.path = folder / "helper.sock"
        self.readers = folder / "readers"
        self.media = folder / "media"
        self.readers.mkdir()
        self.media.mkdir()
        self.bays = bays
        self.script = Script()
        self.asked: list[Request] = []
        self.changed = threading.Condition()
        self._refusals: dict[str, Refusal] = {}
        self._hangs: dict[str, threading.Event] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mounted: dict[str, str] = {}  # bay: block device
        self._number = 0
        self._turns: dict[tuple[str, str], threading.Thread] = {}
        self._listening: socket.socket | None = None
        self.connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    # ---- what a test says and sees

    def refuse(self, verb: str, code: str, text: str = "the test says no") -> None:
        """From now on this verb is refused."""
        self._refusals[verb] = Refusal(code, text)

    def hang(self, verb: str) -> None:
        """From now on this verb is not done before `go_on`."""
        self._hangs[verb] = threading.Event()

    def go_on(self) -> None:
        """Everything is done again, and what hung is."""
        self._refusals.clear()
        for each in self._hangs.values():
            each.set()
        self._hangs.clear()

    def verbs(self, bay: str = "") -> list[str]:
        """What it was asked, of one bay or of all."""
        with self.changed:
            return [each.verb for each in self.asked if not bay or each.bay == bay]

    def wait_asked(self, verb: str, times: int = 1) -> None:
        """Block until it has been asked this so many times."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.verbs().count(verb) >= times, LIMIT_S), self.verbs()

    def mounts(self, bay: str) -> list[Path]:
        """What is mounted in a bay."""
        return sorted((self.media / bay).glob("*"))

    def reader(self, bay: str) -> "subprocess.Popen[bytes]":
        """The bay's reader that was started last; waits for the first."""
        with self.changed:
            assert self.changed.wait_for(lambda: bay in self._processes, LIMIT_S)
            return self._processes[bay]

    def running(self, bay: str) -> bool:
        """Whether the bay's reader runs."""
        process = self._processes.get(bay)
        return process is not None and process.poll() is None

    # ---- the socket

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for bay in list(self._processes):
            self._end(bay)

    def start(self) -> None:
        """Listen, anew if it was stopped."""
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(os.fspath(self.path))
        self._listening.listen()
        self._start_thread(self._accept, self._listening)

    def stop(self) -> None:
        """Go away: the socket is gone, and so are all connections. Readers and mounts stay."""
        self.go_on()
        if self._listening is not None:
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        self.path.unlink(missing_ok=True)
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT_S)
        self._threads.clear()

    def _start_thread(self, work: Callable[..., None], *what: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=what, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.connections.add(connection)
                self._start_thread(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while True:
                packet, _, flags, _ = connection.recvmsg(PACKET_BYTES)
                if not packet:
                    break
                try:
                    request = request_of(packet, whole=not flags & socket.MSG_TRUNC)
                except Refusal as refusal:
                    answer(connection, refusal_message(id_of(packet), refusal))
                else:
                    self._begin(request, connection)
        self.connections.discard(connection)

    def _begin(self, request: Request, connection: socket.socket) -> None:
        """Do it beside everything else, but after what was asked before of the same bay."""
        turn = (request.bay, TURNS[request.verb]) if request.verb in TURNS else None
        before = self._turns.get(turn) if turn else None
        with self.changed:
            self.asked.append(request)
            self.changed.notify_all()
        work = self._start_thread(self._do, request, connection, before)
        if turn is not None:
            self._turns[turn] = work

    def _do(self, request: Request, connection: socket.socket, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if hanging := self._hangs.get(request.verb):
            hanging.wait()
        try:
            if refusal := self._refusals.get(request.verb):
                raise refusal
            told = self._perform(request)
        except Refusal as refusal:
            message = refusal_message(request.id, refusal)
        else:
            message = {"id": request.id, "ok": told}
        with suppress(ValueError):  # who asked has hung up
            answer(connection, message)

    # ---- the verbs

    def _perform(self, request: Request) -> Answer:
        bay = request.bay
        match request.verb:
            case "guard":
                return {"guarded": ["usb1", "usb2"], "open": self.script.open_root_hubs}
            case "authorise":
                self._require_in(bay, request.device)
                if self.script.numbers.get(request.device) != request.number:
                    raise Refusal("gone", f"another device is in the port of bay {bay} now")
                self.script.authorised(request.device, request.on)
            case "authorise_hub" | "hub":
                return self._hub(request)
            case "mount":
                self._unmount(bay)
                if request.block not in self.script.cards:
                    raise Refusal("no_such_device", f"there is no disk {request.block}")
                return {"root": str(self._mount(bay, request.block))}
            case "window" | "renew":
                return {"root": str(self._mount_again(bay, request.verb))}
            case "unmount":
                self._unmount(bay)
            case "power":
                self._require(bay)
                self.script.powered(bay, request.to)
                return {"by": "sysfs"}
            case "reader":
                self._require(bay)
                self._start_reader(request)
            case "end_reader":
                self._end(bay)
            case _:  # blank
                for each in (*self._processes, *self._mounted):
                    self._end(each)
                    self._unmount(each)
        return {}

    def _hub(self, request: Request) -> Answer:
        known = self.script.hubs if request.verb == "authorise_hub" else self.script.characteristics
        if request.device not in known:
            raise Refusal("not_a_dock_port", f"no bay is reached over {request.device}")
        if request.verb == "hub":
            return {"characteristics": self.script.characteristics[request.device]}
        self.script.authorised(request.device, True)
        return {}

    def _require(self, bay: str) -> None:
        if bay not in (*self.bays, *self.script.devices.values()):
            raise Refusal("not_a_dock_port", f"there is no bay {bay}")

    def _require_in(self, bay: str, device: str) -> None:
        if device not in self.script.devices:
            raise Refusal("no_such_device", f"there is no USB device {device}")
        if self.script.devices[device] != bay:
            raise Refusal("not_a_dock_port", f"{device} is not in bay {bay}")

    def _mount(self, bay: str, block: str) -> Path:
        self._number += 1
        place = self.media / bay / str(self._number)
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(self.script.cards[block])
        self._mounted[bay] = block
        return place

    def _mount_again(self, bay: str, verb: str) -> Path:
        block = self._mounted.get(bay)
        if block is None:
            raise Refusal("not_mounted", f"nothing is mounted in bay {bay}")
        if block not in self.script.cards:
            raise Refusal("gone", f"{block} of bay {bay} is gone")
        self._unmount(bay)
        place = self._mount(bay, block)
        if verb == "window" and block in self.script.read_only:
            raise Refusal("read_only", f"{block} is write-protected")
        return place

    def _unmount(self, bay: str) -> None:
        self._mounted.pop(bay, None)
        for place in self.mounts(bay):
            place.unlink()

    def _start_reader(self, request: Request) -> None:
        bay = request.bay
        if request.kind == "usb":
            self._require_in(bay, request.device)
        self._end(bay)
        # Nothing of the test's own surroundings: what is made up for the agent is not for its readers.
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*self.script.program(request), "--connect", os.fspath(self.readers / f"{bay}.sock")],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
        )
        with self.changed:
            self._processes[bay] = process
            self.changed.notify_all()

    def _end(self, bay: str) -> None:
        if process := self._processes.get(bay):
            process.kill()
            process.wait()
