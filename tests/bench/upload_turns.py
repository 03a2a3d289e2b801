"""Clients in turn against one store: each round has a turn of everybody, in an order that moves on by one.

Figures of a turn are those of the whole process less those of its mere start. BENCH_ROUNDS sets how many rounds there
are, BENCH_ONLY (names with commas) which clients take part, BENCH_SCALE (such as 0.25) how much of it is done; who is
left out stands in the result, with the reason.
"""

import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench.result import Bar, Row
from tests.bench.upload_clients import ROOT, Client, Task, environment
from tests.bench.upload_run import RunFailed, run
from tests.bench.upload_stores import Store

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LIMIT_S = 600.0
START_LIMIT_S = 60.0

OpenStore = Callable[[Path], AbstractContextManager[Store]]
Turn = Callable[[Client, Task, Store], Row]
"""What one client does in one round; its figures, without its name."""


@dataclass(slots=True)
class Comers:
    """Who takes part; `tools` says with which version and what it hashes, or why somebody is left out."""

    clients: list[Client]
    tools: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, clients: list[Client]) -> "Comers":
        """Ask each for its version: one that has none is not installed."""
        found, only = cls([]), os.environ.get("BENCH_ONLY")
        for client in clients:
            try:
                version = client.version()
            except (OSError, subprocess.CalledProcessError) as error:
                found.leave_out(client, f"not installed ({type(error).__name__})")
                continue
            if only is not None and client.name not in ("agent", *only.split(",")):
                found.leave_out(client, "not in BENCH_ONLY")
                continue
            found.clients.append(client)
            found.tools[client.name] = f"{version}; hashes {client.hashes}".removeprefix("; ")
        return found

    @property
    def bars(self) -> dict[str, Bar]:
        """None, unless the agent itself failed."""
        return {} if "agent" in (client.name for client in self.clients) else {"agent_done": Bar(0, 1)}

    def leave_out(self, client: Client, why: str) -> None:
        """From now on it takes no turns."""
        self.clients = [other for other in self.clients if other is not client]
        self.tools[client.name] = f"left out: {why}"


def take_turns(comers: Comers, open_store: OpenStore, root: Path, folder: Path, turn: Turn) -> list[Row]:
    """One row for each round; it is told on standard error who is at it. Who fails is left out from then on."""
    rows = []
    for number in range(ROUNDS):
        row: Row = {}
        with open_store(root / "store") as store:
            at = number % max(1, len(comers.clients))
            for client in comers.clients[at:] + comers.clients[:at]:
                print(f"round {number + 1} of {ROUNDS}: {client.name}", file=sys.stderr)
                state = root / f"state-{client.name}"
                state.mkdir()
                os.sync()  # nobody pays for what the one before left to be written
                try:
                    figures = turn(client, Task(client.name, store.url, folder, state), store)
                    row |= {f"{client.name}_{key}": round(value, 3) for key, value in figures.items()}
                except RunFailed as error:
                    comers.leave_out(client, str(error))
                finally:
                    shutil.rmtree(state)
                    store.clear()
        rows.append(row)
    return rows


def scaled(amount: int) -> int:
    """How much is done of what is meant, where BENCH_SCALE says so."""
    return max(1, int(amount * float(os.environ.get("BENCH_SCALE", "1"))))


def sent_whole(client: Client, task: Task, store: Store, url: str | None = None) -> Row:
    """Send everything, over another `url` if there is one; time, processor time and memory. Raises RunFailed."""
    over = replace(task, url=url or task.url)
    start = run(client.start(over), environment(), ROOT, START_LIMIT_S)
    done = run(client.command(over), environment(), ROOT, LIMIT_S)
    must_have(client, task, store)
    return {
        "s": done.seconds - start.seconds,
        "cpu_s": done.cpu_s - start.cpu_s,
        "start_s": start.seconds,
        "start_cpu_s": start.cpu_s,
        "mib": done.peak_mib,
    }


def must_have(client: Client, task: Task, store: Store) -> None:
    """Look whether the store has everything at its full size. Raises RunFailed."""
    wanted = sorted(Path(file).stat().st_size for file in task.files)
    if (held := store.sizes(client.name)) != wanted:
        raise RunFailed(
            f"the store has {len(held)} objects of {sum(held)} bytes, {len(wanted)} of {sum(wanted)} wanted"
        )


def best(rows: list[Row], names: list[str], figure: str) -> str | None:
    """Who of these has the least in the middle of the rounds; None when nobody has any."""
    middles = {
        name: statistics.median(found)
        for name in names
        if (found := [row[f"{name}_{figure}"] for row in rows if f"{name}_{figure}" in row])
    }
    return min(middles, key=lambda name: middles[name]) if middles else None


def ratios(rows: list[Row], over: str, under: str) -> list[float]:
    """Of the rounds that have both, smallest first."""
    return sorted(round(row[over] / row[under], 3) for row in rows if over in row and under in row)


def above_noise(found: list[float]) -> float:
    """The upper quartile of speeds: on a shared machine one is missed only if most rounds are below it."""
    return found[math.ceil(0.75 * len(found)) - 1]
