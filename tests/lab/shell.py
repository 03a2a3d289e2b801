"""A station to play with: cameras are plugged in and pulled out by hand, and the agent is watched."""

import cmd
import shlex
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.camera import Identity, ScriptedCamera
from tests.lab.channel import MachineEnded
from tests.lab.depot import LabDepot
from tests.lab.guest_side import CommandFailed, Job
from tests.lab.image import LabError
from tests.lab.machine import Machine
from tests.lab.media import card
from tests.lab.qemu import HUB_PORTS, MonitorRefused

FILE_SYSTEMS = ("vfat", "exfat", "ext4")
KINDS = (*FILE_SYSTEMS, "locked", "keyboard")
CLIP_BYTES = 20_000_000
_FAILURES = (CommandFailed, MachineEnded, LabError, MonitorRefused, TimeoutError, ValueError, OSError)


class Refused(Exception):
    """A line that cannot be carried out, in words for whoever typed it."""


class Shell(cmd.Cmd):
    """The prompt. Every verb's first line of help is `usage: what it does`."""

    intro = "A station in a machine, and its store. Ports are 1.1 to 1.8 and 2.1 to 2.8; `help` lists what you can do."
    prompt = "lab> "

    def __init__(self, depot: LabDepot, workdir: Path, machine: Machine | None = None) -> None:
        """`workdir` takes the cards; without a `machine` only what needs none can be done."""
        super().__init__()
        self._workdir = workdir
        self._depot = depot
        self._held = machine
        self._cameras: dict[str, ScriptedCamera] = {}
        self._made = 0

    @property
    def _machine(self) -> Machine:
        if self._held is None:
            raise Refused("no machine runs")
        return self._held

    def _say(self, text: str) -> None:
        self.stdout.write(text.rstrip("\n") + "\n")
        self.stdout.flush()

    def onecmd(self, line: str) -> bool:
        """One line; what goes wrong is said and the prompt goes on."""
        try:
            return bool(super().onecmd(line))
        except Refused as error:
            self._say(str(error))
        except _FAILURES as error:
            self._say(f"{type(error).__name__}: {error}")
        return False

    def emptyline(self) -> bool:
        """Nothing is repeated."""
        return False

    def default(self, line: str) -> None:
        """What is no verb."""
        raise Refused(f"there is no verb {line.split(maxsplit=1)[0]}; `help` lists what there is")

    def do_help(self, arg: str) -> None:
        """help [VERB]: this list, or what one verb does."""
        verbs = [arg] if arg else [name[3:] for name in self.get_names() if name.startswith("do_") and name.islower()]
        told = [_help_of(self, verb).partition(": ") for verb in verbs]
        width = max(len(usage) for usage, _, _ in told)
        for usage, _, what in told:
            self._say(f"{usage:{width}}  {what}")

    def do_plug(self, line: str) -> None:
        """plug KIND PORT [SERIAL]: plug in a camera with two clips; KIND is vfat, exfat, ext4, locked or keyboard."""
        kind, port, *rest = self._words(line, "plug", 2, 3)
        if kind not in KINDS:
            raise Refused(f"there is no kind {kind}; known are: {', '.join(KINDS)}")
        _check_port(port)
        if port in self._cameras:
            raise Refused(f"there is a camera in {port}; unplug it first")
        self._made += 1
        serial = rest[0] if rest else f"BWC{self._made:04}"
        data = bytes([self._made % 256]) * CLIP_BYTES
        files = {f"DCIM/100BWC/{serial}_{number}.MP4": bytes([number]) + data for number in (1, 2)}
        fs = next((known for known in FILE_SYSTEMS if known == kind), "vfat")
        machine = self._machine
        image = card(self._workdir / f"{self._made}.img", files, fs)  # type: ignore[arg-type]
        camera = ScriptedCamera(image, Identity(serial=serial, keyboard=kind == "keyboard"), locked=kind == "locked")
        camera.plug(machine, port)
        self._cameras[port] = camera
        self._say(f"{serial} is in port {port}")

    def do_unplug(self, line: str) -> None:
        """unplug PORT: pull the camera out, whatever it is doing."""
        port, camera = self._camera(line, "unplug")
        del self._cameras[port]
        camera.close()

    def do_hang(self, line: str) -> None:
        """hang PORT: the camera stops answering."""
        self._camera(line, "hang")[1].hang()

    def do_unhang(self, line: str) -> None:
        """unhang PORT: the camera answers again."""
        self._camera(line, "unhang")[1].unhang()

    def do_power(self, line: str) -> None:
        """power PORT on|off|cycle: switch the power of a port, as the kernel does it."""
        port, to = self._words(line, "power", 2, 2)
        _check_port(port)
        if to not in ("on", "off", "cycle"):
            raise Refused(f"power is switched on, off or cycle, not {to}")
        hub, number = port.split(".")
        self._say(self._machine.run("uhubctl", "-l", f"1-{hub}", "-p", number, "-a", to))

    def do_store(self, line: str) -> None:
        """store [start|stop]: start or stop the evidence store; without a word, whether it runs and what it holds."""
        match self._words(line, "store", 0, 1):
            case ["start"]:
                if self._depot.runs:
                    raise Refused("the store runs already")
                self._depot.start()
                self._say("the store runs")
            case ["stop"]:
                if not self._depot.runs:
                    raise Refused("the store does not run")
                self._depot.stop()
                self._say("the store is gone; cameras are copied all the same, and cleared once it is back")
            case []:
                runs = "runs" if self._depot.runs else "does not run"
                self._say(f"the store {runs} and holds {len(self._depot.held())} objects, each as its name says")
            case words:
                raise Refused(f"the store can start or stop, not {words[0]}")

    def do_cameras(self, _: str) -> None:
        """cameras: what is plugged in, and what was read and written."""
        if not self._cameras:
            self._say("no camera is plugged in")
        for port, camera in sorted(self._cameras.items()):
            counts = (
                f"read {camera.bytes_read} bytes, written {camera.bytes_written}, power cycles {camera.power_cycles}"
            )
            self._say(f"{port}  {camera.identity.serial!r}  plugged: {camera.plugged}  hung: {camera.hung}  {counts}")

    def do_guest(self, line: str) -> None:
        """guest COMMAND...: run a line of shell in the guest, as root."""
        self._say(self._machine.sh(f"{{ {line}\n}} 2>&1", timeout=300, check=False))

    def do_watch(self, line: str) -> None:
        """watch [COMMAND...]: show what the agent's units say, or a command's lines, until Enter is pressed."""
        job = self._machine.spawn(line or "exec journalctl --no-pager -o cat -f -n 30 -u 'dock-*'")
        end = threading.Event()
        show = threading.Thread(target=self._show, args=(job, end), daemon=True)
        show.start()
        self.stdin.readline()
        end.set()
        job.kill()
        show.join()

    def _show(self, job: Job, end: threading.Event) -> None:
        while not end.is_set():
            try:
                self._say(job.wait_line(lambda _: True, timeout=1.0))
            except TimeoutError:
                continue
            except CommandFailed:
                return

    def do_quit(self, _: str) -> bool:
        """quit: end the machine. So does Ctrl-D."""
        return True

    do_EOF = do_quit  # noqa: N815 - the name that cmd asks for

    def _words(self, line: str, verb: str, least: int, most: int) -> list[str]:
        words = shlex.split(line)
        if not least <= len(words) <= most:
            raise Refused(f"say it as: {_help_of(self, verb)}")
        return words

    def _camera(self, line: str, verb: str) -> tuple[str, ScriptedCamera]:
        (port,) = self._words(line, verb, 1, 1)
        camera = self._cameras.get(port)
        if camera is None:
            raise Refused(f"there is no camera in {port}; there are some in: {', '.join(self._cameras) or 'no port'}")
        return port, camera

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for camera in self._cameras.values():
            camera.close()


def _help_of(shell: Shell, verb: str) -> str:
    text: str | None = getattr(getattr(shell, f"do_{verb}", None), "__doc__", None)
    if text is None:
        raise Refused(f"there is no verb {verb}; `help` lists what there is")
    return text


def _check_port(port: str) -> None:
    if port not in HUB_PORTS:
        raise Refused(f"there is no port {port}; there are 1.1 to 1.8 and 2.1 to 2.8")
