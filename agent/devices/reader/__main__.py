"""The reader process: `python -I -m agent.devices.reader FD`, where FD is its control socket."""

import resource
import sys

from agent.devices.reader.server import serve

MEMORY_BYTES = 512 << 20
"""Address space: the walk's caps keep it far below; a medium that gets past them ends its own reader only."""
DESCRIPTORS = 256
"""41 levels of directories at two each, and some."""


def main() -> None:
    """Limit this process, then serve."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),  # a core would hold footage
        (resource.RLIMIT_NPROC, 0),  # it needs no other process nor thread (root is not held by this)
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ):
        _soft, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or value <= hard:
            resource.setrlimit(limit, (value, value))
    serve(int(sys.argv[1]))


if __name__ == "__main__":
    main()
