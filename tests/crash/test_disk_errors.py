"""Disk errors in the running agent and depot: nothing is lost, people are told, and it carries on by itself.

The errors are injected by strace at the real processes' system calls; for a file that cannot grow the kernel itself is
asked. An agent that ends over its ledger is started again, as a service manager does.
"""

import asyncio
import random
import resource
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.life import Life
from tests.crash.plans import AGENT, DEPOT
from tests.crash.processes import Program, Trace, until
from tests.crash.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@dataclass(frozen=True, slots=True)
class Scene:
    """Which call of whom fails, with what, from when on, and what is then said where.

    `file` restricts it to one file, below the state directory or the depot's. Numbers count in each thread. `restart`:
    the next start carries on, since a bay whose ledger is broken stays as it is until then, and a full store is left
    alone for ten minutes.
    """

    target: str
    call: str
    error: str
    numbers: str
    words: str
    file: str | None = None
    restart: bool = False


SCENES = {
    "spool fsync": Scene(AGENT, "fsync", "EIO", "1..2", "could not keep a clip: Input/output error"),
    "spool rename": Scene(AGENT, "renameat2", "ENOSPC", "1..2", "disk is full: it could not keep a clip"),
    "spool chmod": Scene(AGENT, "fchmod", "EROFS", "1..2", "could not keep a clip: Read-only file system"),
    "log full": Scene(AGENT, "pwrite64", "ENOSPC", "60..63", "database or disk is full", "ledger.sqlite-wal"),
    "log broken": Scene(AGENT, "pwrite64", "EIO", "60..63", "disk I/O error", "ledger.sqlite-wal", restart=True),
    "log unsynced": Scene(AGENT, "fdatasync", "EIO", "9..11", "disk I/O error", "ledger.sqlite-wal", restart=True),
    "depot full": Scene(DEPOT, "write", "ENOSPC", "1..2", "store disk full (507)", restart=True),
    "depot fsync": Scene(DEPOT, "fsync", "EIO", "1..3", "answered 500"),
    "depot rename": Scene(DEPOT, "renameat2", "EIO", "1..2", "answered 500"),
    "catalogue full": Scene(DEPOT, "pwrite64", "ENOSPC", "9..11", "answered 500", "catalogue.sqlite-journal"),
    "catalogue unsynced": Scene(DEPOT, "fdatasync", "EIO", "4..5", "answered 500", "catalogue.sqlite"),
}


async def begun(root: Path) -> tuple[Life, Program]:
    life = Life(root, random.Random(1), Tally())  # noqa: S311 - unused
    await life.begin()
    await life.run_depot()
    agent = await life.start(AGENT)
    await until(lambda: "agent.ready" in agent.log.read_text(), "a ready agent", ask_again_s=0.003)
    return life, agent


async def said(life: Life, agent: Program) -> str:
    """The agent's log and what its bays show."""
    text = agent.log.read_text()
    with suppress(OSError):  # it may have ended
        reader, writer = await asyncio.open_unix_connection(life.root / "state" / "api.sock")
        writer.write(b"GET /api/v1/bays HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text += (await reader.read()).decode()
        writer.close()
    return text


async def until_said(life: Life, agent: Program, words: str) -> None:
    async with asyncio.timeout(60):
        while words not in await said(life, agent):  # noqa: ASYNC110 - another process rings no bell
            await asyncio.sleep(0.1)


async def play(root: Path, scene: Scene) -> None:
    life, agent = await begun(root)
    try:
        target = agent if scene.target == AGENT else await life.start(DEPOT)
        options = ["-e", f"inject={scene.call}:error={scene.error}:when={scene.numbers}"]
        if scene.file is not None:
            place = root / "state" if scene.target == AGENT else life.shift.depot.directory
            options += ["-P", str(place / scene.file)]
        trace = await Trace.attach(target.pid, [scene.call], root / "trace", *options)
        assert trace is not None
        await until_said(life, agent, scene.words)
        assert "(INJECTED)" in trace.log.read_text()
        await trace.end()
        if scene.restart:
            await agent.kill()
        await life.settle()
    finally:
        await life.end()


async def no_file_may_grow(root: Path) -> None:
    """The kernel refuses to make any file of the agent longer than its large clips are."""
    life, agent = await begun(root)
    try:
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        await until_said(life, agent, "could not write a clip: File too large")
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await life.settle()
    finally:
        await life.end()


async def no_line_can_be_logged(root: Path) -> None:
    """The disk behind the agent's log is full: nobody can read what it does, and it does it all the same."""
    life, agent = await begun(root)
    try:
        rule = ("-e", "inject=write:error=ENOSPC:when=1+", "-P", str(agent.log))
        trace = await Trace.attach(agent.pid, ["write"], root / "trace", *rule)
        assert trace is not None
        await until(life.is_done, "everything wiped and at the depot")
        assert agent.is_alive()
        assert "(INJECTED)" in trace.log.read_text()
        await trace.end()
        await life.settle()
    finally:
        await life.end()


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_failing_disk_costs_nothing_and_it_carries_on(tmp_path: Path) -> None:
    """All side by side: most of their time is waiting for the next try."""
    plays: list[Callable[[Path], Coroutine[None, None, None]]] = [
        no_file_may_grow,
        no_line_can_be_logged,
        *(partial(play, scene=scene) for scene in SCENES.values()),
    ]
    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(plays):  # short names: a socket's path has about a hundred characters
            group.create_task(each(tmp_path / str(number)))
