"""What the started processes run: the command line itself. Imported once, in the server that they are forked from."""

import json
import mmap
import os
import resource
import signal
import sys
from pathlib import Path

import agent.app
import agent.cli.depot
import agent.cli.run
import agent.depot.server
import agent.web.serve
from agent.cli.main import main
from agent.core.errors import SpoolError
from agent.ledger.spool import Spool

PRELOADED = (agent.app, agent.cli.depot, agent.cli.run, agent.depot.server, agent.web.serve)
BLOCK_BYTES = 25 * 4096
LARGE_BYTES = 4 << 20
"""From here on a copy goes past the page cache, in blocks of 1 MiB, as a reader's pipe gives them."""


def command(words: list[str], log: str, stopped: bool) -> None:
    """Be `dock-agent WORDS` with its output in `log`; `stopped` waits for SIGCONT first, so that a tracer can come."""
    _begin(log, stopped)
    sys.argv = ["dock-agent", *words]
    sys.exit(main())


def copies(words: list[str], log: str, stopped: bool) -> None:
    """Bring the file `words[0]` into the spool below `words[1]`, twice, as an agent does; tell each outcome in `log`.

    The first time no file may grow beyond `words[2]` bytes, when it is given: a disk that runs full.
    """
    source, root, *limit = words
    content = mmap.mmap(-1, Path(source).stat().st_size)  # begins at a page, as the agent's own buffers do
    content[:] = Path(source).read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    _begin(log, stopped)
    for attempt in range(2):
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before[1] if attempt else int(limit[0]), before[1]))
        try:
            stored = _copy(content, Spool.open(Path(root), allow_unsafe=True, reserve_bytes=0))
        except SpoolError as error:
            outcome = {"error": type(error).__name__, "message": str(error)}
        else:
            outcome = {"stored": stored}
        sys.stdout.write(f"{json.dumps(outcome)}\n")
        sys.stdout.flush()


def _copy(content: mmap.mmap, spool: Spool) -> str:
    block = 1 << 20 if len(content) >= LARGE_BYTES else BLOCK_BYTES
    view = memoryview(content)
    with spool.begin(len(content)) as part:
        for start in range(0, len(content), block):
            part(view[start : start + block])
        return part.finish().sha256


def _begin(log: str, stopped: bool) -> None:
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    if stopped:
        os.kill(os.getpid(), signal.SIGSTOP)
