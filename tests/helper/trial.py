"""A helper whose sysfs and udev are files, and who finds no program that could touch this machine.

`python -m tests.helper.trial SOCKET TREE PATHS CONFIG WAIT_S [USER ...]`
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.helper import program
from agent.helper.bays import Bays
from agent.helper.child import Answer
from agent.helper.request import Request
from agent.helper.server import Server
from agent.helper.sysfs import Usb
from agent.helper.work import Places, perform


def main() -> None:
    where, tree, paths, config, wait_s, *users = sys.argv[1:]
    program._PATH = os.fspath(Path(where).parent / "bin")
    bays = Bays(Path(config))
    usb = Usb(Path(tree), json.loads(Path(paths).read_bytes()).get)
    places = Places(media=Path(where).parent / "media", state=Path(where).parent / "state")

    def prepare(request: Request) -> Callable[[], Answer]:
        return partial(perform, request, bays.topology(), usb, places)

    stop_fd, _never = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(where)
        listening.listen()
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        Server(listening, frozenset(map(int, users)), prepare, wait_s=float(wait_s)).run(stop_fd)


if __name__ == "__main__":
    main()
