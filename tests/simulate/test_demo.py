"""The demo as a person runs it."""

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.cli.command import END_S, environment, start

STORY_S = 150


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says, up to these words."""
    assert process.stdout is not None
    deadline, said = time.monotonic() + STORY_S, b""
    while words.encode() not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        block = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert block, said.decode()
        said += block
    return said.decode()


@pytest.mark.slow
@pytest.mark.timeout(STORY_S + 2 * END_S)
def test_a_demo_that_was_kept_says_at_its_end_what_it_leaves() -> None:
    with tempfile.TemporaryDirectory(prefix="d") as short:  # a socket's path must be short
        process = start("demo", "--keep", env=environment(TMPDIR=short))
        try:
            said = read_until(process, "docks it")
        finally:
            process.send_signal(signal.SIGINT)  # it ends what it has started itself
            rest, _ = process.communicate(timeout=END_S)
        assert process.returncode == 0
        assert "Ctrl-C ends it" in said
        (left,) = Path(short).glob("dock-demo-*")
        told = re.search(r"What it wrote stays in (\S+); nothing needs it: rm -r (\S+)", rest)
        assert told is not None, rest
        assert {Path(told[1]), Path(told[2])} == {left}
