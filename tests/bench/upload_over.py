"""Uploads over a bad line to both kinds of store: what the three benchmarks of lines have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import folder_of
from tests.bench.upload_clients import Client, Task, s3_clients, tus_clients
from tests.bench.upload_line import Line, line
from tests.bench.upload_stores import Store, s3_store, tus_store
from tests.bench.upload_turns import Comers, take_turns

Over = Callable[[Client, Task, Store, Line], Row]
"""A turn over a line; the task's URL is the store's own, so it is carried first."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One file of `size_bytes` by each client over a line; `full_only`: without those that cannot go on."""

    name: str
    size_bytes: int
    shape: tuple[str, ...]
    turn: Over
    full_only: bool = False

    def measure(self, bars: Callable[[str, list[Row]], dict[str, Bar]]) -> Result:
        """Measure with S3 and with tus; `bars` is given the kind and its rows."""
        rows: list[Row] = []
        found_bars: dict[str, Bar] = {}
        tools: dict[str, str] = {}
        with places() as found:
            folder = folder_of(found.memory, 1, self.size_bytes)
            for kind, clients, open_store in (("s3", s3_clients(), s3_store), ("tus", tus_clients(), tus_store)):
                comers = Comers.of([client for client in clients if client.full or not self.full_only])
                tools |= {
                    c.name: "left out: does not go on by itself" for c in clients if self.full_only and not c.full
                }
                taken = take_turns(comers, open_store, found.disk, folder, self._over_a_line)
                rows += [{f"{kind}_{key}": value for key, value in row.items()} for row in taken]
                found_bars |= {f"{kind}_{key}": bar for key, bar in (comers.bars or bars(kind, taken)).items()}
                tools |= {f"{kind}_{key}": text for key, text in comers.tools.items()}
        return Result(self.name, rows, found_bars, tools)

    def _over_a_line(self, client: Client, task: Task, store: Store) -> Row:
        with line(store.url, *self.shape) as bad:
            return self.turn(client, task, store, bad)


def size_of(task: Task) -> int:
    """Bytes that are to be sent."""
    return sum(Path(file).stat().st_size for file in task.files)


def most_sent(kind: str, rows: list[Row]) -> dict[str, Bar]:
    """The most of all rounds, in files: of tus at most 1.05, of S3, which loses parts, at most 1.10."""
    return {
        "sent_of_file": Bar(max(row["agent_sent_of_file"] for row in rows), 1.05 if kind == "tus" else 1.1, most=True)
    }
