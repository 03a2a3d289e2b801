"""`python -m agent.helper`: takes its listening socket from systemd, or makes one for a trial."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.devices.helper_wire import MEDIA
from agent.helper.bays import Bays, say
from agent.helper.child import Answer
from agent.helper.peer import trusted_users
from agent.helper.request import Request
from agent.helper.server import Server
from agent.helper.sysfs import Usb, ask_udev
from agent.helper.work import Places, perform

_PASSED_FD = 3
_BACKLOG = 16
_STATE = "/run/dock-helper"


def _passed_socket() -> socket.socket | None:
    """The socket that systemd listens on for us. Source: sd_listen_fds(3)."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_PASSED_FD, False)  # noqa: FBT003 - the system's own signature
    return socket.socket(fileno=_PASSED_FD)


def _own_socket(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    listening.bind(os.fspath(path))
    os.umask(before)
    listening.listen(_BACKLOG)
    return listening


def main() -> int:
    """Serve until SIGTERM; 0 when stopped, 2 when there is nothing to listen on."""
    parser = argparse.ArgumentParser(prog="python -m agent.helper", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the agent's configuration; its [[bays]] are served")
    parser.add_argument("--socket", type=Path, help="listen here, for a trial without systemd")
    parser.add_argument("--media", type=Path, default=Path(MEDIA), help="where cameras are mounted")
    parser.add_argument("--sys", type=Path, default=Path("/sys"), help="where sysfs is")
    parser.add_argument(
        "--state", type=Path, default=Path(os.environ.get("RUNTIME_DIRECTORY", _STATE)), help="what is remembered"
    )
    given = parser.parse_args()

    os.umask(0o022)  # readers, of another user, pass through the folders that are made here
    listening = _passed_socket() if given.socket is None else _own_socket(given.socket)
    if listening is None:
        say("no socket was passed: start dock-helper.socket, or give --socket for a trial")
        return 2
    if listening.type != socket.SOCK_SEQPACKET:
        say("the socket that was passed is not one for packets (ListenSequentialPacket=)")
        return 2

    bays, usb = Bays(given.config), Usb(given.sys)
    places = Places(media=given.media, state=given.state)

    def prepare(request: Request) -> Callable[[], Answer]:
        return partial(perform, request, bays.topology(), usb, places)

    stop_fd, wake_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake_fd)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    bays.topology()
    ask_udev()
    say(f"serving users {sorted(trusted_users())}")
    Server(listening, trusted_users(), prepare).run(stop_fd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
