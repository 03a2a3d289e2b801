"""A station with simulated cameras and a real depot process, for tests that play a shift."""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from agent.app import Agent, _follow_changes, assemble, follow_limits
from agent.config import load_config
from agent.core.clip import BayName, Clip
from agent.core.profile import Role
from agent.depot.command import enrol
from agent.ledger import custody, doubts
from agent.ledger.rows import CLIP_COLUMNS, clip_of
from agent.services.audit import watch_over
from agent.services.slot import Slot
from agent.simulate.rack import SimulatedCamera, make_camera

LIMIT_S = 45.0
CLIP_BYTES = 300_000


class Depot:
    """A depot in a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.facts: dict[str, Any] = {}
        self.options: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        words = ["--dir", str(self.directory), "--listen", f"127.0.0.1:{self.port}", "--json", *self.options]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.depot", *words, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            self.facts = json.loads(await self._process.stdout.readline())
        self.port = int(self.facts["url"].split(":")[2].split("/")[0])

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def held(self) -> dict[str, str]:
        """Each object's name, and the digest of its bytes as they lie on disk."""
        folder = self.directory / "objects"
        if not folder.is_dir():
            return {}
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


class Shift:
    """Builds and runs one station. `root` holds everything."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.depot = Depot(root / "depot")
        self.cameras: list[SimulatedCamera] = []
        usual = {"wiping": True, "enrolled": ["CAM*"], "workers": 2, "keep_hours": 24.0, "bays": 4, "plain": True}
        self.options: dict[str, Any] = usual | options
        (root / "shelf").mkdir()
        (root / "rack").mkdir()

    @property
    def config(self) -> Path:
        return self.root / "agent.toml"

    def camera(self, serial: str, kind: str = "plain-dcim", *, clips: int = 3, **script: Any) -> SimulatedCamera:
        seed = len(self.cameras) + 1
        made = make_camera(self.root / "shelf", kind, serial=serial, seed=seed, clips=clips, clip_bytes=CLIP_BYTES)
        made.script(**script)
        self.cameras.append(made)
        return made

    def bay(self, number: int) -> Path:
        return self.root / "rack" / str(number)

    def write_config(self, **changes: Any) -> None:
        self.options |= changes
        credential = self.root / "credential"
        if not credential.exists():
            credential.touch(mode=0o600)
            credential.write_text(enrol(self.depot.directory, "hub7"))
        bays = "".join(f'[[bays]]\nname = "{n}"\nsimulated = "rack/{n}"\n' for n in range(1, self.options["bays"] + 1))
        key = self.options.get("receipt_key", self.depot.facts["receipt_key"])
        self.config.write_text(
            f"""[station]
id = "hub7"
state_dir = "state"
trial = true
allow_unsafe_spool = true
allow_plain_spool = {str(self.options["plain"]).lower()}
reserve_bytes = 0
keep_hours = {self.options["keep_hours"]}
{bays}
{self.options.get("more", "")}
[[stores]]
name = "central"
url = "tus+{self.depot.facts["url"]}"
require = "signed"
receipt_key = "{key}"
credential = "credential"
connect_s = 2
stall_s = 5
{self.options.get("network", "")}
[wipe]
enabled = {str(self.options["wiping"]).lower()}
[cameras]
enrolled = {json.dumps(self.options["enrolled"])}
[upload]
workers = {self.options["workers"]}
[api]
listen = "127.0.0.1:0"
"""
        )

    @asynccontextmanager
    async def station(self) -> AsyncIterator["Running"]:
        """Run the agent without its web side until the block ends."""
        async with assemble(load_config(self.config)) as agent, asyncio.TaskGroup() as group:
            flows = [
                group.create_task(agent.uploader.run()),
                group.create_task(agent.announcer.run()),
                group.create_task(agent.desk.drain.run()),
                group.create_task(watch_over(agent.kit)),
                group.create_task(agent.station.run()),
                group.create_task(_follow_changes(agent)),
                group.create_task(follow_limits(agent.kit)),
            ]
            try:
                running = Running(self, agent)
                await running.until(running.audited, "the audit of the ledger")
                yield running
            finally:
                for flow in flows:
                    flow.cancel()

    def truth(self, camera: SimulatedCamera) -> set[str]:
        """Digests of everything on a camera that must reach the store."""
        return {f.sha256 for f in camera.truth.files if f.role in (Role.CLIP, Role.SIDECAR)}

    def aboard(self, camera: SimulatedCamera) -> set[bytes]:
        """What of it still lies on the camera."""
        wanted = [f for f in camera.truth.files if f.role in (Role.CLIP, Role.SIDECAR)]
        return {f.path for f in wanted if (Path(str(camera.card)) / f.path.decode(errors="surrogateescape")).exists()}

    def nothing_lost(self) -> None:
        """Every recorded byte is on its camera or, under its digest, in the depot; the outside check."""
        held = self.depot.held()
        assert all(name == found for name, found in held.items())
        for camera in self.cameras:
            for file in camera.truth.files:
                if file.role not in (Role.CLIP, Role.SIDECAR):
                    continue
                place = Path(str(camera.card)) / file.path.decode(errors="surrogateescape")
                on_camera = place.exists() and hashlib.sha256(place.read_bytes()).hexdigest() == file.sha256
                assert on_camera or file.sha256 in held, (camera.truth.serial, file.path)


class Running:
    """The running station of a shift."""

    def __init__(self, shift: Shift, agent: Agent) -> None:
        self.shift = shift
        self.agent = agent

    async def until(self, true: Callable[[], Any], what: str = "") -> None:
        """Wait for something to become true; asks again after each change that the agent announces."""
        deadline = time.monotonic() + LIMIT_S
        while not (found := true()) or (asyncio.iscoroutine(found) and not await found):
            assert time.monotonic() < deadline, f"not reached: {what} {await self.agent.desk.bays()}"
            seen = self.agent.kit.change.rings
            await self.agent.kit.change.wait(seen, 0.1)

    async def doubts(self) -> dict[str, str]:
        """Why the ledger is not trusted."""
        return await self.agent.kit.database.run(doubts.doubts)

    async def audited(self) -> bool:
        """Whether the audit of this start has ended, well or not."""
        found = await self.doubts()
        return doubts.UNAUDITED not in found or doubts.DAMAGED in found

    def bays(self) -> set[str]:
        """The occupied bays."""
        return set(self.agent.station.slots)

    def slot(self, bay: str) -> Slot:
        """The occupied bay of this name."""
        return self.agent.station.slots[BayName(bay)]

    async def advice(self, bay: str) -> tuple[str | None, str]:
        view = next((b for b in await self.agent.desk.bays() if b["bay"] == bay), {"advice": None, "reason": ""})
        advice = view["advice"]
        return (None if advice is None else str(advice), str(view["reason"]))

    async def until_advice(self, bay: str, advice: str | None, reason: str = "") -> None:
        async def says() -> bool:
            found = await self.advice(bay)
            return found[0] == advice and reason in found[1]

        await self.until(says, f"bay {bay} says {advice} {reason}")

    async def until_kept(self, bay: str, reasons: dict[str, int]) -> None:
        """Wait until the bay says that so many clips stay on the camera, and why."""

        async def says() -> bool:
            return next(b for b in await self.agent.desk.bays() if b["bay"] == bay).get("not_wiped") == reasons

        await self.until(says, f"bay {bay} keeps {reasons}")

    async def clips(self, camera: SimulatedCamera | None = None) -> list[Clip]:
        sql = f"SELECT {CLIP_COLUMNS} FROM clips ORDER BY number"  # noqa: S608
        rows = await self.agent.kit.database.run(lambda tx: tx.conn.execute(sql).fetchall())
        found = [clip_of(row) for row in rows]
        return [c for c in found if camera is None or c.camera == camera.truth.serial]

    async def events(self, name: str) -> list[dict[str, Any]]:
        lines = await self.agent.kit.database.run(lambda tx: list(custody.lines(tx)))
        return [e for e in map(json.loads, lines) if e["event"] == name]

    async def chain_holds(self) -> None:
        report = await self.agent.kit.database.run(custody.verify)
        assert report.fault is None
        assert report.events > 0

    async def ask(self, action: str, **body: Any) -> dict[str, Any]:
        return await self.agent.desk.act(action, {"actor": "sergeant", "reason": "test", **body})
