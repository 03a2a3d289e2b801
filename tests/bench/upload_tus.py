"""One GiB to the official tus server: what the agent's adapter needs, against the official clients and curl.

Of the agent's processor time one pass of hashlib over the same bytes is taken off where it is compared, because nobody
else hashes. Against the server's S3 store, the same where that is installed.
"""

import hashlib
import statistics
from pathlib import Path

from tests.bench.cards import BLOCK_BYTES
from tests.bench.places import places
from tests.bench.processor import timed
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import folder_of
from tests.bench.upload_clients import Client, Task, tus_clients
from tests.bench.upload_stores import Store, tus_on_s3_store, tus_store, without_tus_on_s3
from tests.bench.upload_turns import Comers, above_noise, best, ratios, scaled, sent_whole, take_turns

SIZE_BYTES = scaled(1 << 30)


def measure() -> Result:
    """Run the benchmark."""
    rows: list[Row] = []
    bars: dict[str, Bar] = {}
    tools: dict[str, str] = {}
    with places() as found:
        folder = folder_of(found.memory, 1, SIZE_BYTES)
        for name, open_store, why_not in (("files", tus_store, None), ("s3", tus_on_s3_store, without_tus_on_s3())):
            if why_not is not None:
                tools[f"tus_server_{name}"] = f"left out: {why_not}"
                continue
            comers = Comers.of(tus_clients())
            taken = take_turns(comers, open_store, found.disk, folder, _turn)
            bars |= {f"{name}_{key}": bar for key, bar in _bars(taken, comers).items()}
            rows += [{f"{name}_{key}": value for key, value in row.items()} for row in taken]
            tools |= comers.tools
    return Result("tus", rows, bars, tools)


def _bars(rows: list[Row], comers: Comers) -> dict[str, Bar]:
    """Processor time against the best client that goes on by itself, and speed against the fastest of all."""
    bars = comers.bars
    peers = [client for client in comers.clients if client.name != "agent"]
    thriftiest = best(rows, [client.name for client in peers if client.full], "cpu_s")
    if thriftiest and (found := ratios(rows, "agent_cpu_without_hash_s", f"{thriftiest}_cpu_s")):
        bars[f"cpu_of_best_{thriftiest}"] = Bar(statistics.median(found), 1.0, most=True)
    fastest = best(rows, [client.name for client in peers], "s")
    if fastest and (found := ratios(rows, f"{fastest}_s", "agent_s")):
        bars[f"speed_of_best_{fastest}"] = Bar(above_noise(found), 0.9)
    return bars


def _turn(client: Client, task: Task, store: Store) -> Row:
    figures = sent_whole(client, task, store)
    if client.name == "agent":
        _, figures["hash_cpu_s"] = timed(lambda: _hash(task.files))
        figures["cpu_without_hash_s"] = figures["cpu_s"] - figures["hash_cpu_s"]
    return figures


def _hash(files: list[str]) -> None:
    buffer = memoryview(bytearray(BLOCK_BYTES))
    for file in files:
        digest = hashlib.sha256()
        with Path(file).open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
