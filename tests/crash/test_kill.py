"""The service as a process of its own: killed while it starts, and started twice. A whole life: `test_rounds.py`."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.checker import faults
from tests.crash.life import recorded_by
from tests.crash.processes import until
from tests.crash.world import World, read_world
from tests.scenarios.shift import Shift

if TYPE_CHECKING:
    from collections.abc import Callable

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
        await until((self.shift.root / "state" / "api.sock").exists, "a service that answers")

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


def look(shift: Shift) -> World:
    """Let the outside checker look, while no service runs."""
    world = read_world(
        [file for camera in shift.cameras for file in recorded_by(camera)],
        state=shift.root / "state",
        depot=shift.depot.directory,
        receipt_key=Path(shift.depot.facts["receipt_key"]),
        scratch=shift.root / "copies",
        station="hub7",
    )
    assert faults(world) == []
    return world


async def finish(shift: Shift, service: Service) -> None:
    """Let the service carry on by itself until everything is confirmed and cleared."""
    await service.start()
    await service.ready()
    wanted = set.union(*map(shift.truth, shift.cameras))
    try:
        await until(
            lambda: wanted <= set(shift.depot.held()) and not any(map(shift.aboard, shift.cameras)), "all wiped"
        )
    finally:
        code = await service.stop()
    assert code == 0
    ends = {(row["custody"], row["copy"]) for row in look(shift).ledger["clips"]}
    assert ends == {("confirmed", "gone")}


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
            await until(reached, f"step {number}", ask_again_s=0)
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
