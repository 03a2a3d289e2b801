"""Work in threads that nothing has to wait for."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.devices.apart import run_apart

ROOT = Path(__file__).parent.parent.parent
EXIT_S = 2.0

STUCK_DRAIN = """
import asyncio, os, threading
from agent.devices.reader.drain import Drain, open_pipe

async def main():
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()
    def sink(block):
        loop.call_soon_threadsafe(stuck.set)
        threading.Event().wait()
    read_end, write_end = open_pipe()
    os.write(write_end, b"clip")
    os.close(write_end)
    global reading
    reading = asyncio.ensure_future(Drain("1").run(read_end, sink, most_bytes=4, stall_s=60))
    await stuck.wait()

asyncio.new_event_loop().run_until_complete(main())
print("leaving", flush=True)
"""

STUCK_LOOK = """
import asyncio, threading
from pathlib import Path
from agent.core.clip import BayName
from agent.devices import folders

def hang(*_):
    threading.Event().wait()

async def main():
    folders.LOOK_S = 0.05
    folders._see_folder = hang
    watch = folders.FolderWatch({BayName("1"): folders.FolderBay(Path("/"))})
    snapshots = watch.snapshots()
    print(dict(await anext(snapshots)))
    await snapshots.aclose()

asyncio.run(main())
print("leaving", flush=True)
"""


def leave(script: str) -> tuple[list[str], float]:
    """Run `script`; return what it printed, and how long it took to end after its last word."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] not in ("leaving\n", ""):
            lines.append(process.stdout.readline())
        begun = time.monotonic()
        try:
            assert process.wait(EXIT_S * 5) == 0
        finally:
            process.kill()
        return [line.strip() for line in lines], time.monotonic() - begun


def test_a_process_exits_though_a_sink_is_stuck() -> None:
    lines, took_s = leave(STUCK_DRAIN)
    assert lines == ["leaving"]
    assert took_s < EXIT_S


def test_a_process_exits_though_a_look_at_a_bay_is_stuck() -> None:
    lines, took_s = leave(STUCK_LOOK)
    assert lines == ["{}", "leaving"]
    assert took_s < EXIT_S


def test_what_the_work_returns_is_in_the_future() -> None:
    assert run_apart("t", divmod, 7, 2).result(10) == (3, 1)


@pytest.mark.parametrize("failure", [OSError("disk"), SystemExit(3), KeyboardInterrupt()])
def test_whatever_the_work_raises_is_in_the_future(failure: BaseException) -> None:
    def fail() -> None:
        raise failure

    assert run_apart("t", fail).exception(10) is failure


def test_hung_work_holds_up_no_other() -> None:
    go_on = threading.Event()
    hung = [run_apart("t", go_on.wait, 20) for _ in range(20)]
    assert run_apart("t", int, "7").result(10) == 7
    assert not any(each.done() for each in hung)
    go_on.set()
    assert all(each.result(10) for each in hung)


def test_running_work_cannot_be_cancelled() -> None:
    go_on = threading.Event()
    work = run_apart("t", go_on.wait, 20)
    assert not work.cancel()
    go_on.set()
    assert work.result(10)
