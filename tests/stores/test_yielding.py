"""Making room for others, on a real narrow line: the kernel's own queue in a network of the test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.stores.narrow_line import ALONE_S, OTHERS, RATE, SHARED_S

ROOT = Path(__file__).parents[2]
REACTION_S = 3.0
LIMIT_S = 100.0
Moments = list[dict[str, Any]]


def on_a_line_of_its_own(directory: Path, word: str) -> "subprocess.Popen[str]":
    (directory / word).mkdir()
    private = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command = [*private, sys.executable, "-m", "tests.stores.narrow_line", str(directory / word), word]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def on_both(directory: Path) -> dict[str, Moments]:
    """What was seen by a station that yields, and by one that holds its own, each on its own line."""
    running = {word: on_a_line_of_its_own(directory, word) for word in ("yields", "holds")}
    found = {}
    try:
        for word, process in running.items():
            out, told = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 0, told
            found[word] = json.loads(out)
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
    return found


def between(moments: Moments, begin_s: float, end_s: float) -> Moments:
    return [moment for moment in moments if begin_s <= moment["at_s"] < end_s]


def shared(moments: Moments) -> Moments:
    return between(moments, ALONE_S + REACTION_S, ALONE_S + SHARED_S)


@pytest.mark.slow
def test_a_station_that_yields_leaves_the_line_to_telephones_and_takes_it_back(tmp_path: Path) -> None:
    """One test, because the lines are dear."""
    seen = on_both(tmp_path)
    waits = {word: median(m["phone_s"] for m in shared(moments)) for word, moments in seen.items()}
    assert waits["holds"] > 0.1, "the line is so busy that it matters"
    assert waits["yields"] < 0.5 * waits["holds"]
    moments = seen["yields"]
    limits = [m["limit"] for m in shared(moments)]
    assert median(limits) < 1.2 * (1 - OTHERS) * RATE
    assert (moments[-1]["limit"] or RATE) > 1.5 * median(limits), "given back when the others have gone"
    assert {m["limit"] for m in seen["holds"]} == {None}
    assert moments[-1]["arrived_bytes"] > 3 * 10**6, "evidence moves all the time"
    assert all("to leave the line to others" in m["shown"] for m in shared(moments)), "people are told why"
