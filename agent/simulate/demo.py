"""The demo: a depot, a station and four cameras on this machine, as real processes, telling one shift's story.

Nothing leaves the machine and nothing outside one temporary folder is touched.
"""

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from agent.simulate.demo_report import Report, examine
from agent.simulate.demo_screen import Screen
from agent.simulate.demo_stage import SERIALS, DemoFailed, Stage, start_depot, start_station, stop_process, tidy
from agent.simulate.rack import make_camera

KINDS = dict(zip(SERIALS, ("plain-dcim", "dahua-dsj", "novatek-ro", "motorola-export"), strict=True))
CLIPS, CLIP_BYTES = 6, 3_000_000
RATE_BYTES_S = 5_000_000  # slow enough to watch
PULL_AT_SHARE = 0.3
AWAY_AFTER_CLIPS = 4
STORE_AWAY_S = 3.0
LIMIT_S = 120.0


def run(*, keep: bool, as_json: bool, console: Console) -> int:
    """Run the demo; returns the exit code: 0 all is as it should be, 1 it is not, 130 interrupted."""
    code = 1
    try:
        code = asyncio.run(tell(keep=keep, as_json=as_json, console=console))
    except* DemoFailed as failures:
        console.print(f"The demo failed: {failures.exceptions[0]}", markup=False)
    return code


async def tell(*, keep: bool, as_json: bool, console: Console) -> int:
    """Run the demo; returns the exit code. With `keep` it goes on until interrupted."""
    root = Path(tempfile.mkdtemp(prefix="dock-demo-"))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        screen = stack.enter_context(Screen(console, quiet=as_json))
        stage = Stage(root, screen)
        stack.push_async_callback(tidy, stage, keep=keep)
        report = await _until_stopped(_story(stage), stop)
        if report is None:
            screen.close()
            console.print("Interrupted: the demo's processes are ended, and its folder is removed.")
            return 130
        report.seconds = time.monotonic() - started
        screen.close()
        if as_json:
            console.out(json.dumps(report.as_json()), highlight=False)
        else:
            report.show(console)
            report.how_to_go_on(console, stage.root, stage.page, keep=keep)
        if keep:
            await stop.wait()
            if not as_json:
                console.print(
                    f"\nEnding. What it wrote stays in {root}; nothing needs it: rm -r {root}", soft_wrap=True
                )
        return 0 if report.ok else 1


async def _until_stopped(story: Coroutine[None, None, Report], stop: asyncio.Event) -> Report | None:
    """Run the story, or give up when a person interrupts it."""
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(story)
        stopping = group.create_task(stop.wait())
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not telling.done():
            telling.cancel()
            return None
    return telling.result()


async def _story(stage: Stage) -> Report:
    say = stage.screen.say
    say("Four cameras are loaded with real MP4 footage (H.264 and AAC), each in another maker's layout.")
    await asyncio.to_thread(_load_cameras, stage)
    await start_depot(stage)
    say(f"An evidence store (depot) runs on this machine, port {stage.depot_port}. Hence TRIAL: not for evidence.")
    await start_station(stage)
    say("The station runs with wiping ON: cameras are cleared once the store has proved what it holds.")
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(_watch(stage))
        try:
            async with asyncio.timeout(LIMIT_S):
                await _shift_end(stage)
        except TimeoutError as error:
            raise DemoFailed(f"The cameras were not done after {LIMIT_S:.0f} s; see {stage.root}.") from error
        finally:
            watcher.cancel()
    say("Now an outside check: the depot's files are hashed again and compared with what the cameras recorded.")
    return await asyncio.to_thread(examine, stage.root, stage.cameras, stage.view)


async def _shift_end(stage: Stage) -> None:
    say = stage.screen.say
    for number, camera in enumerate(stage.cameras, start=1):
        camera.dock(stage.bay(number))
    say("Shift end: all four cameras are docked at once.")
    pulled = stage.cameras[1]
    await _wait(stage, lambda: PULL_AT_SHARE < _share(stage, "2") < 1)
    pulled.undock()
    say(f"Somebody pulls {pulled.truth.serial} out of bay 2 in the middle of a clip ...")
    await _wait(stage, lambda: not _bay(stage, "2").get("occupied"))
    pulled.dock(stage.bay(5))
    say("... and puts it into bay 5. What was copied stays, the broken-off clip starts again.")
    await _wait(stage, lambda: _confirmed(stage) >= AWAY_AFTER_CLIPS)
    await stop_process(stage.depot)
    say("The evidence store goes away. Copying goes on; nothing is wiped without its proof.")
    await _wait(stage, lambda: any(not s["ok"] for s in stage.view["station"]["stores"]))
    await asyncio.sleep(STORE_AWAY_S)
    await start_depot(stage)
    say("The store is back. Uploads go on where they stopped.")
    occupied = ("1", "5", "3", "4")
    await _wait(stage, lambda: all(_bay(stage, b).get("advice") == "take" for b in occupied))
    say("All bays say: take.")


def _load_cameras(stage: Stage) -> None:
    shelf = stage.root / "shelf"
    shelf.mkdir()
    (stage.root / "rack").mkdir()
    for seed, (serial, kind) in enumerate(KINDS.items()):
        camera = make_camera(shelf, kind, serial=serial, seed=seed, clips=CLIPS, clip_bytes=CLIP_BYTES)
        camera.script(rate_bytes_s=RATE_BYTES_S)
        stage.cameras.append(camera)


async def _watch(stage: Stage) -> None:
    """Follow the station's own event stream."""
    transport = httpx.AsyncHTTPTransport(uds=str(stage.root / "state" / "api.sock"))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://station", timeout=30) as client,
        client.stream("GET", "/api/v1/stream") as answer,
    ):
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                async with stage.seen:
                    stage.view = json.loads(line.removeprefix("data:"))
                    stage.screen.update(stage.view)
                    stage.seen.notify_all()


async def _wait(stage: Stage, true: Callable[[], bool]) -> None:
    async with stage.seen:
        await stage.seen.wait_for(lambda: bool(stage.view) and true())


def _bay(stage: Stage, name: str) -> dict[str, Any]:
    return next((b for b in stage.view.get("bays", []) if b["bay"] == name), {})


def _share(stage: Stage, name: str) -> float:
    bay = _bay(stage, name)
    return float(bay.get("done_bytes", 0) / (bay.get("total_bytes") or 1))


def _confirmed(stage: Stage) -> int:
    return int(stage.view["station"]["totals"]["clips"].get("confirmed", {}).get("clips", 0))
