"""A station's life under kills: docked cameras, agent, readers, depot, until everything is confirmed and wiped.

After each kill the others are stopped, so that the outside checker sees one moment; then they go on by themselves.
Nothing is ever repaired by the harness: it only starts again what it killed.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.core.profile import Role
from agent.simulate.rack import SimulatedCamera, make_camera
from tests.crash import plans
from tests.crash.checker import faults
from tests.crash.plans import AGENT, ALL, DEPOT, READER, Plan
from tests.crash.processes import Program, Trace, at_work_below, go_on, halt, until
from tests.crash.states import states_of
from tests.crash.tally import Tally
from tests.crash.world import Recorded, World, read_world
from tests.scenarios.shift import Shift

PATIENCE_S = 3.0
"""How long a planned call may take to come; then the target is killed where it stands."""
SETTLE_S = 90.0
ENDS = {("confirmed", "gone"), ("confirmed", "missing")}
"""Where every clip ends. `missing`: the file was unlinked, and the kill came before anybody could say so."""


class Life:
    """One station from docking to the last wipe. `root` must not exist."""

    def __init__(self, root: Path, rng: random.Random, tally: Tally) -> None:
        """Use `begin` next."""
        root.mkdir(parents=True)
        self.root = root
        self.shift = Shift(root, keep_hours=0.0)
        self.recorded: list[Recorded] = []
        self.agent: Program | None = None
        self.depot: Program | None = None
        self._rng = rng
        self._tally = tally
        self._story: list[str] = []
        self._starts = 0

    async def begin(self) -> None:
        """Make the depot, enrol the station, dock the cameras. Nothing runs afterwards."""
        try:
            await self.shift.depot.start()
            self.shift.write_config()
        finally:
            await self.shift.depot.stop()
        for bay, (kind, clips, clip_bytes, rate) in enumerate(
            (("plain-dcim", 6, 100_000, None), ("novatek-ro", 2, 1_500_000, 6_000_000)), start=1
        ):
            serial = f"CAM{bay}"
            made = make_camera(self.root / "shelf", kind, serial=serial, seed=bay, clips=clips, clip_bytes=clip_bytes)
            made.script(rate_bytes_s=rate)
            made.dock(self.shift.bay(bay))
            self.recorded += recorded_by(made)

    async def live(self) -> None:
        """Kill and look until the run has had enough or this life is done; then let it end well."""
        try:
            while not self.is_done() and not self._tally.is_enough():
                await self._round(plans.choose(self._rng, self._tally.missing(), begun=bool(self._story)))
            await self.settle()
        finally:
            await self.end()
        shutil.rmtree(self.root)

    async def end(self) -> None:
        """Let nothing run any more."""
        await self._end(self.agent)
        await self._end(self.depot)

    def is_done(self) -> bool:
        """Whether every recorded file has left its camera and lies at the depot."""
        if any(file.place.exists() for file in self.recorded):
            return False
        objects = self.shift.depot.directory / "objects"
        return all((objects / file.sha256).exists() for file in self.recorded)

    async def _round(self, plan: Plan) -> None:
        self._story.append(str(plan))
        if plan.target == READER:
            await self._kill_reader(plan)
        elif plan.target == ALL:
            await self._kill_all(plan)
        else:
            await self._kill_program(plan)

    async def _kill_program(self, plan: Plan) -> None:
        """Kill the agent or the depot."""
        if plan.from_start:
            await self._end(self.agent if plan.target == AGENT else self.depot)
        if plan.target == AGENT:
            await self.run_depot()
        target = await self.start(plan.target, stopped=plan.from_start)
        trace = await self._arm(plan, target.pid)
        go_on([target.pid])
        if plan.target == DEPOT:
            await self.start(AGENT)
        await self._wait(plan, target, trace)
        await self._look(plan, target, trace)

    async def _kill_reader(self, plan: Plan) -> None:
        await self.run_depot()
        agent = await self.start(AGENT)
        readers: list[int] = []

        def has_reader() -> bool:
            readers[:] = agent.children()
            return bool(readers) or self.is_done()

        await until(has_reader, "a reader")
        if not readers:
            return
        reader = self._rng.choice(readers)
        trace = await self._arm(plan, reader, follow=False)
        if plan.call is None:
            await asyncio.sleep(plan.wait_s)
        elif trace is not None:
            await self._patiently(lambda: trace.has_killed() or reader not in agent.children())
        with suppress(ProcessLookupError):
            os.kill(reader, signal.SIGKILL)
        await self._look(plan, agent, trace)

    async def _kill_all(self, plan: Plan) -> None:
        """The agent, its readers and the depot die at one moment."""
        await self.run_depot()
        agent = await self.start(AGENT)
        await asyncio.sleep(plan.wait_s)
        assert self.depot is not None
        for pid in await halt([agent.pid, self.depot.pid, *agent.children()]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._end(self.depot)
        await self._look(plan, agent, None)

    async def _arm(self, plan: Plan, pid: int, *, follow: bool = True) -> Trace | None:
        if plan.call is None:
            return None
        rule = f"inject={plan.call}:signal=KILL:when={plan.number}"
        log = self.root / f"trace-{self._tally.rounds}-{len(self._story)}"
        return await Trace.attach(pid, [plan.call], log, "-e", rule, follow=follow)

    async def _wait(self, plan: Plan, target: Program, trace: Trace | None) -> None:
        """Wait for the death of the target or of its reader; what does not come in time is killed where it stands."""
        if plan.call is None:
            await asyncio.sleep(plan.wait_s)
            await target.kill()
            return
        if trace is not None:
            await self._patiently(lambda: not target.is_alive() or trace.has_killed())
            await trace.end()
        if trace is not None and trace.has_killed():
            with suppress(AssertionError):  # if it goes on, it was a reader that made the call
                await until(lambda: not target.is_alive(), "its end", limit_s=0.5)
        else:
            await target.kill()

    async def _patiently(self, true: Callable[[], bool]) -> None:
        with suppress(AssertionError):
            await until(lambda: true() or self.is_done(), "the planned call", limit_s=PATIENCE_S)

    async def _look(self, plan: Plan, target: Program, trace: Trace | None) -> None:
        """Stop everybody else, let the checker look, count, and let them go on."""
        how = plan.call if plan.call and trace is not None and trace.has_killed() else "at a moment"
        if trace is not None:
            await trace.end()
        running = [p for p in (self.agent, self.depot) if p is not None and p.is_alive()]
        stopped = await halt([p.pid for p in running])
        try:
            if self.agent in running and self.agent is not None:
                stopped += await halt(self.agent.children())
            else:
                await self._readers_gone()
            world = self.world()
            found = faults(world)
            assert not found, "\n".join([*found, self._told()])
            whom = plan.target if plan.target in (READER, ALL) or not target.is_alive() else READER
            self._tally.count(whom, how, states_of(world))
        finally:
            go_on(stopped)

    async def _readers_gone(self) -> None:
        """Readers end by themselves when their agent is dead; only then is the camera at rest."""
        places = (self.root / "rack", self.root / "shelf")
        await until(lambda: not any(map(at_work_below, places)), "the readers' end")

    def world(self) -> World:
        """Read everything as it lies on disk; nobody may be writing."""
        return read_world(
            self.recorded,
            state=self.root / "state",
            depot=self.shift.depot.directory,
            receipt_key=Path(self.shift.depot.facts["receipt_key"]),
            scratch=self.root / "copies",
            station="hub7",
        )

    async def settle(self) -> None:
        """Without further kills it comes to its end by itself, and nothing is left over."""
        await self.run_depot()
        agent = await self.start(AGENT)
        deadline = time.monotonic() + SETTLE_S
        while not (self.is_done() and (await self._ends(agent)) <= ENDS):
            assert time.monotonic() < deadline, f"not everything is confirmed and wiped {self._told()}"
            await asyncio.sleep(0.1)
        await until(lambda: "agent.ready" in agent.log.read_text(), "a ready agent")  # only then it takes signals
        code = await agent.stop()
        assert code == 0, f"the agent ended with {code} {self._told()}"
        await self._end(self.depot)
        world = self.world()
        found = [*faults(world), *(f"left in the spool: {part.path}" for part in world.parts)]
        assert not found, "\n".join([*found, self._told()])
        self._tally.lives += 1

    async def _ends(self, agent: Program) -> set[tuple[str, str]]:
        """States of all clips in the ledger, while the agent stands still."""
        stopped = await halt([agent.pid])
        try:
            return {(row["custody"], row["copy"]) for row in self.world().ledger["clips"]}
        finally:
            go_on(stopped)

    def _told(self) -> str:
        """What led here: the kills, and the end of what the agent said."""
        log = self.agent.log.read_text(errors="replace")[-3000:] if self.agent is not None else ""
        return "\n".join(["after these kills:", *self._story, log])

    async def start(self, name: str, *, stopped: bool = False) -> Program:
        """Start the agent or the depot unless it runs."""
        running = self.agent if name == AGENT else self.depot
        if running is not None and running.is_alive():
            return running
        if name == AGENT:
            words = ["run", "--config", str(self.shift.config)]
            self.agent = started = Program(words, self._log(name), stopped=stopped)
        else:
            depot = self.shift.depot
            words = ["depot", "--dir", str(depot.directory), "--listen", f"127.0.0.1:{depot.port}"]
            self.depot = started = Program(words, self._log(name), stopped=stopped)
        if stopped:
            await started.is_held()
        return started

    def _log(self, name: str) -> Path:
        self._starts += 1
        return self.root / f"{name}-{self._starts}.log"

    async def run_depot(self) -> None:
        """Start the depot unless it runs, and wait until it answers."""
        await self.start(DEPOT)
        await until(self._depot_answers, "the depot's answer")

    def _depot_answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.shift.depot.port), timeout=1):
            return True
        return False

    async def _end(self, program: Program | None) -> None:
        if program is not None:
            await program.kill()
        if program is self.agent:
            await self._readers_gone()


def recorded_by(camera: SimulatedCamera) -> list[Recorded]:
    """What a camera has recorded and must reach the depot."""
    return [
        Recorded(camera.truth.serial, camera.card, f.path, f.size, f.mtime_ns, f.sha256)
        for f in camera.truth.files
        if f.role in (Role.CLIP, Role.SIDECAR)
    ]
