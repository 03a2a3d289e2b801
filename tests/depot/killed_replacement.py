"""Replace a station again and again, each time in a copy of the depot, and die one line of code later than before.

A program of its own, because it forks, which a process with threads should not: `DEPOT TRIALS`. Each folder in TRIALS
is then what one kill left. It ends with the first replacement that came to its end.
"""

import os
import shutil
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from agent.depot.replacement import replace_station
from agent.files import durable, kernel

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WATCHED = {str(Path(durable.__file__).parent.parent / "depot" / name) for name in ("replacement.py", "stations.py")}
WATCHED |= {durable.__file__, kernel.__file__}


def main(depot: Path, trials: Path) -> None:
    """Go on until nothing was left to be killed."""
    lines = 0
    while True:
        lines += 1
        trial = trials / f"{lines:04}"
        shutil.copytree(depot, trial / "depot")
        child = os.fork()
        if child == 0:
            replace(trial, lines)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, status
            return


def replace(trial: Path, lines: int) -> None:
    """Replace the station and die before line `lines` of what is watched runs."""
    left = lines

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in WATCHED:
            return None
        left -= event == "line"
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    code = 1
    try:
        replace_station(trial / "depot", "hub7", "hub7b", trial / "hub7b.token", NOW)
        code = 0
    except BaseException:  # noqa: BLE001 - told, and never passed on: this is a fork
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
