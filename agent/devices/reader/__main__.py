"""The reader process, `python -I -m agent.devices.reader`.

`FD` is its control socket, inherited from the agent; `--connect PATH` takes it from the agent's socket at PATH instead,
when systemd has started the process. `--threads` is for drivers whose libraries cannot do without.
"""

import resource
import socket
import sys

from agent.devices.reader.server import serve

PR_SET_DUMPABLE = 4
"""Source: prctl(2)."""
MEMORY_BYTES = 512 << 20
"""Address space: the walk's caps keep it far below; a medium that gets past them ends its own reader only."""
THREADS = 256
"""Of this user, who runs one reader for each bay."""
DESCRIPTORS = 256
"""41 levels of directories at two each, and some."""


def _be_private() -> None:
    """Let no other process of this user look into this one: each bay has its reader, and all are one user."""
    import ctypes  # noqa: PLC0415 - not every reader has to pay for it

    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)


def main() -> None:
    """Limit this process, then serve."""
    arguments = sys.argv[1:]
    threads = "--threads" in arguments
    for limit, value in (
        (resource.RLIMIT_CORE, 0),  # a core would hold footage
        # It needs no other process nor thread (root is not held by this).
        (resource.RLIMIT_NPROC, THREADS if threads else 0),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ):
        _soft, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or value <= hard:
            resource.setrlimit(limit, (value, value))
    if arguments[0] == "--connect":
        _be_private()
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.connect(arguments[1])
        serve(control.detach())
    else:
        serve(int(arguments[0]))


if __name__ == "__main__":
    main()
