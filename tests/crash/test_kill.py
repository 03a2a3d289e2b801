"""kill -9 of the real service at chosen and at random moments; an outside look after each."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.core.custody import verify_chain
from tests.scenarios.shift import Shift

PHASES = (
    ("listed", "present"),
    ("spooled", "present"),
    ("confirmed", "present"),
    ("confirmed", "wipe_intended"),
    ("confirmed", "gone"),
)
ROUNDS = 6
TRIES = 10
"""How often a kill may come too late before the test gives up: another process is never stopped to the instant."""


class Service:
    """`dock-agent run` as a process."""

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        (self.shift.root / "state" / "api.sock").unlink(missing_ok=True)
        words = ["-m", "agent", "run", "--config", str(self.shift.config)]
        log = (self.shift.root / "service.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=log, stderr=log)
        log.close()

    async def ready(self) -> None:
        """Wait until it answers on its socket."""
        await until((self.shift.root / "state" / "api.sock").exists)

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        async with asyncio.timeout(30):
            return await self.process.wait()


async def until(true: Callable[[], bool], *, ask_again_s: float = 0.02) -> None:
    """Ask about another process until it is so."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - another process rings no bell
            await asyncio.sleep(ask_again_s)


def look(shift: Shift) -> Counter[tuple[str, str]]:
    """Read the ledger as an outsider, while no service runs: states of all clips. Checks the chain."""
    path = shift.root / "state" / "ledger.sqlite"
    if not path.exists():
        return Counter()
    connection = sqlite3.connect(path)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            return Counter()
        report = verify_chain(line for (line,) in connection.execute("SELECT line FROM events ORDER BY seq"))
        assert report.fault is None
        confirmed = connection.execute("SELECT sha256 FROM clips WHERE custody = 'confirmed'").fetchall()
        spooled = connection.execute("SELECT DISTINCT sha256 FROM clips WHERE custody = 'spooled'").fetchall()
        states = Counter(connection.execute("SELECT custody, copy FROM clips").fetchall())
    finally:
        connection.close()
    held = shift.depot.held()
    assert {sha256 for (sha256,) in confirmed} <= set(held), "confirmed, but not in the depot"
    for (sha256,) in spooled:
        assert (shift.root / "state/spool/objects" / sha256[:2] / sha256).is_file(), "spooled, but not in the spool"
    shift.nothing_lost()
    return states


async def finish(shift: Shift, service: Service) -> None:
    """Let the service carry on by itself until everything is confirmed and cleared."""
    await service.start()
    await service.ready()
    wanted = set.union(*map(shift.truth, shift.cameras))
    try:
        await until(lambda: wanted <= set(shift.depot.held()) and not any(map(shift.aboard, shift.cameras)))
    finally:
        code = await service.stop()
    assert code == 0
    states = look(shift)
    assert set(states) == {("confirmed", "gone")}, states


@pytest.mark.timeout(300)
async def test_killed_at_random_moments_it_loses_nothing_and_carries_on(shift: Shift) -> None:
    rng = random.Random(20261123)  # noqa: S311 - a repeatable choice of moments
    cameras = [
        shift.camera(f"CAM{n}", kind, clips=3, rate_bytes_s=1_500_000)
        for n, kind in enumerate(("plain-dcim", "novatek-ro"), start=1)
    ]
    for number, camera in enumerate(cameras, start=1):
        camera.dock(shift.bay(number))
    service, reached = Service(shift), Counter[tuple[str, str]]()
    for _ in range(ROUNDS):
        await service.start()
        await service.ready()
        await asyncio.sleep(rng.uniform(0.0, 0.6))
        await service.kill()
        reached += look(shift)
    assert len(reached) >= 2, f"the kills met only {reached}"
    await finish(shift, service)


@pytest.mark.timeout(180)
async def test_killed_in_each_phase_it_carries_on(shift: Shift) -> None:
    """One life with a kill in each phase, found from outside; what was seen on disk before a kill is there after it."""
    camera = shift.camera("CAM1", "novatek-ro", clips=4, rate_bytes_s=1_500_000)
    camera.dock(shift.bay(1))
    service = Service(shift)
    for phase in PHASES:
        for _ in range(TRIES):
            await service.start()
            seen = await first_with(shift, phase)
            await service.kill()
            assert lines_of(shift.root / "state" / "ledger.sqlite")[: len(seen)] == seen
            if look(shift)[phase]:
                break
        else:
            pytest.fail(f"no kill met {phase}")
    await finish(shift, service)


async def first_with(shift: Shift, phase: tuple[str, str]) -> list[str]:
    """The event lines on disk as soon as some clip is in this phase."""
    async with asyncio.timeout(60):
        while True:
            states, lines = snapshot(shift)
            if states[phase]:
                return lines
            await asyncio.sleep(0.005)


def snapshot(shift: Shift) -> tuple[Counter[tuple[str, str]], list[str]]:
    """States and event lines in a copy of the ledger: the agent forbids a second connection to the live file."""
    ledger = shift.root / "state" / "ledger.sqlite"
    folder = shift.root / "snapshot"
    folder.mkdir(exist_ok=True)
    copy = folder / ledger.name
    try:
        for suffix in ("", "-wal"):
            Path(f"{copy}{suffix}").write_bytes(Path(f"{ledger}{suffix}").read_bytes())
        return states_of(copy), lines_of(copy)
    except (sqlite3.Error, FileNotFoundError):
        return Counter(), []  # nothing there yet, or copied in the middle of a write
    finally:
        for file in folder.iterdir():
            file.unlink()


def states_of(ledger: Path) -> Counter[tuple[str, str]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return Counter(connection.execute("SELECT custody, copy FROM clips").fetchall())


def lines_of(ledger: Path) -> list[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        return [line for (line,) in connection.execute("SELECT line FROM events ORDER BY seq")]


@pytest.mark.timeout(180)
async def test_killed_while_it_starts_it_starts_again(shift: Shift) -> None:
    """Killed as soon as each thing is there that a start makes, in its order; each start finds what the last left."""
    shift.camera("CAM1").dock(shift.bay(1))
    service, state = Service(shift), shift.root / "state"
    lock, ledger, address = (state / name for name in ("ledger.lock", "ledger.sqlite", "api.sock"))
    wal = Path(f"{ledger}-wal")

    def begun() -> bool:
        return wal.exists() and b'"event":"agent.started"' in wal.read_bytes()

    steps: list[tuple[Callable[[], bool], Callable[[], bool]]] = [
        (lock.exists, begun),
        (ledger.exists, begun),
        (begun, address.exists),
        (address.exists, lambda: False),
    ]
    for number, (reached, too_late) in enumerate(steps):
        for _ in range(TRIES):
            if reached():
                shutil.rmtree(state)  # a step can only be watched where it was not made before
            await service.start()
            await until(reached, ask_again_s=0)
            await service.kill()
            if not too_late():
                break
        else:
            pytest.fail(f"every kill came too late for step {number}")
        look(shift)
    await finish(shift, service)


async def test_a_second_service_on_the_same_state_is_refused(shift: Shift) -> None:
    first, second = Service(shift), Service(shift)
    await first.start()
    await first.ready()
    await second.start()
    assert second.process is not None
    async with asyncio.timeout(20):
        assert await second.process.wait() == 1
    assert "in use by another process" in (shift.root / "service.log").read_text()
    assert await first.stop() == 0
