"""A real MTP responder, Debian's uMTP-Responder, without a USB stack.

It normally speaks through four files of FunctionFS. Here the control endpoint is a terminal, on which we say what the
kernel would say, and the three others are FIFOs.

Rule: it never ends by itself, and without its terminal it spins. So the kernel kills it when the test run dies.
"""

import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tty
from contextlib import ExitStack
from pathlib import Path

_HELLO_S = 20
_EVENT = "<8xB3x"
_BIND, _ENABLE = 0, 2
_PACKET = 512
_CONFIGURATION = """loop_on_disconnect 0
{storages}
manufacturer "ACME"
product "BodyCam Two"
serial "BC2-0001"
firmware_version "4.1.0"
interface "MTP"
usb_vendor_id 0x1D6B
usb_product_id 0x0100
usb_class 0x6
usb_subclass 0x1
usb_protocol 0x1
usb_dev_version 0x0410
usb_functionfs_mode 0x1
usb_dev_path "{work}/ep0"
usb_epin_path "{work}/ep1"
usb_epout_path "{work}/ep2"
usb_epint_path "{work}/ep3"
usb_max_packet_size 0x200
show_hidden_files 0x1
no_inotify 0x1
"""


def is_installed() -> bool:
    return shutil.which("umtprd") is not None


class Responder:
    """One running `umtprd` that serves some folders."""

    def __init__(self, work: Path, stores: dict[str, Path]) -> None:
        """`work` is an empty folder of its own; `stores` are the storages' names and what they hold."""
        with ExitStack() as ending:
            controller, terminal = pty.openpty()
            ending.callback(os.close, controller)
            ending.callback(os.close, terminal)
            tty.setraw(controller)
            tty.setraw(terminal)
            (work / "ep0").symlink_to(os.ttyname(terminal))
            pipes = []
            for name in ("ep1", "ep2", "ep3"):
                os.mkfifo(work / name)
                pipes.append(os.open(work / name, os.O_RDWR))
                ending.callback(os.close, pipes[-1])
            self.answers, self.commands, _ = pipes
            storages = "\n".join(f'storage "{path}" "{name}" "rw"' for name, path in stores.items())
            (work / "umtprd.conf").write_text(_CONFIGURATION.format(storages=storages, work=work), "utf-8")
            self._process = _start(work)
            ending.callback(self._process.wait)
            ending.callback(self._process.kill)
            _take_descriptors(controller)
            os.write(controller, struct.pack(_EVENT, _BIND))
            os.write(controller, struct.pack(_EVENT, _ENABLE))
            self._ending = ending.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def freeze(self, _block: memoryview | None = None, /) -> None:
        """Hang, as a camera whose firmware has crashed."""
        self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        self._ending.close()


def _start(work: Path) -> subprocess.Popen[bytes]:
    """Version 1.3.10 takes no path of a configuration: it gets its own /etc/umtprd/umtprd.conf."""
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    # Last of all: the kernel forgets the signal when the process gets other rights, as by `unshare -r`.
    script = 'mount --bind "$0/umtprd.conf" /etc/umtprd/umtprd.conf && exec setpriv --pdeathsig KILL umtprd'
    with (work / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - no foreign input
            [*private, "sh", "-c", script, str(work)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "TZ": "UTC"},
        )


def _take_descriptors(controller: int) -> None:
    """Read what a gadget tells the kernel first: its descriptors and its strings, each with its length in front."""
    for _ in range(2):
        head = _exactly(controller, 8)
        _exactly(controller, struct.unpack("<II", head)[1] - len(head))


def _exactly(fd: int, count: int) -> bytes:
    got = b""
    while len(got) < count:
        ready, _, _ = select.select([fd], [], [], _HELLO_S)
        if not ready:
            raise TimeoutError("umtprd does not say hello")
        got += os.read(fd, count - len(got))
    return got


if __name__ == "__main__":
    # A run that starts one, says which, and waits to be killed.
    responder = Responder(Path(sys.argv[1]), {})
    sys.stdout.write(f"{responder.pid}\n")
    sys.stdout.flush()
    sys.stdin.read()
