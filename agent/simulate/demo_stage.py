"""The processes and files of the demo: a depot and a station, started and ended as a person would."""

import asyncio
import json
import shutil
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agent.simulate.demo_screen import Screen
from agent.simulate.rack import SimulatedCamera

STATION = "demo-station"
BAYS = 5
SERIALS = ("BWC1001", "BWC1002", "BWC1003", "BWC1004")


class DemoFailed(Exception):
    """The story could not be told to its end; the message says at which point."""


@dataclass(slots=True)
class Stage:
    """Where everything lies and what runs."""

    root: Path
    screen: Screen
    cameras: list[SimulatedCamera] = field(default_factory=list)
    depot: asyncio.subprocess.Process | None = None
    station: asyncio.subprocess.Process | None = None
    depot_port: int = 0
    page: str = ""
    view: dict[str, Any] = field(default_factory=dict)
    seen: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def config(self) -> Path:
        """The station's configuration."""
        return self.root / "agent.toml"

    def bay(self, number: int) -> Path:
        """The rack's bay."""
        return self.root / "rack" / str(number)


async def start_depot(stage: Stage) -> None:
    """Start the depot; the first time also enrol the station and write its configuration. Raises DemoFailed."""
    directory = stage.root / "depot"
    listen = f"127.0.0.1:{stage.depot_port}"
    stage.depot = await _spawn("depot", "--dir", str(directory), "--listen", listen, "--json", pipe=True)
    assert stage.depot.stdout is not None  # noqa: S101 - asked for as a pipe
    async with asyncio.timeout(20):
        line = await stage.depot.stdout.readline()
    if not line:
        raise DemoFailed("The depot did not start.")
    facts = json.loads(line)
    if not stage.depot_port:
        stage.depot_port = httpx.URL(facts["url"]).port or 0
        await _enrol(stage, directory, facts)


async def _enrol(stage: Stage, directory: Path, facts: dict[str, Any]) -> None:
    """Give the station its credential and write its configuration."""
    enrolling = await _spawn("depot", "--dir", str(directory), "--enrol", STATION, pipe=True)
    token, _ = await enrolling.communicate()
    credential = stage.root / "depot.credential"
    credential.touch(mode=0o600)
    credential.write_bytes(token)
    bays = "".join(f'[[bays]]\nname = "{n}"\nsimulated = "rack/{n}"\n' for n in range(1, BAYS + 1))
    stage.config.write_text(
        f"""[station]
id = "{STATION}"
state_dir = "state"
trial = true                 # the store is on this machine
allow_unsafe_spool = true    # a temporary folder may lie on any file system
allow_plain_spool = true     # and its footage is made up
{bays}
[[stores]]
name = "depot"
url = "tus+{facts["url"]}"
require = "signed"
receipt_key = "{facts["receipt_key"]}"
credential = "depot.credential"
[wipe]
enabled = true
[cameras]
enrolled = {json.dumps(SERIALS)}
[api]
listen = "127.0.0.1:{_free_port()}"
""",
        "utf-8",
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def start_station(stage: Stage) -> None:
    """Start the service and wait until it answers. Raises DemoFailed."""
    log = (stage.root / "station.log").open("wb")
    stage.station = await _spawn("run", "--config", str(stage.config), stderr=log.fileno())
    log.close()
    address = next(line for line in stage.config.read_text("utf-8").splitlines() if line.startswith("listen"))
    stage.page = f"http://{json.loads(address.partition('=')[2].strip())}/"
    async with asyncio.timeout(20):
        while not (stage.root / "state" / "api.sock").exists():
            if stage.station.returncode is not None:
                raise DemoFailed(f"The station did not start; see {stage.root / 'station.log'}.")
            await asyncio.sleep(0.05)


async def _spawn(*words: str, pipe: bool = False, stderr: int | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if pipe else asyncio.subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )


async def stop_process(process: asyncio.subprocess.Process | None) -> None:
    """End a process that the demo started; harmless when it has ended."""
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def tidy(stage: Stage, *, keep: bool) -> None:
    """End what was started; the folder stays only with --keep or for a look after a failure."""
    await stop_process(stage.station)
    await stop_process(stage.depot)
    failed = sys.exc_info()[0] is not None
    if not keep and not failed:
        await asyncio.to_thread(shutil.rmtree, stage.root, ignore_errors=True)
