"""One GiB to SeaweedFS: what the agent's adapter needs, against the clients that people use.

The agent hashes twice, the object and each part, and its parts carry their SHA-256; what the others do stands in
`tools`. Nobody reads back.
"""

import statistics

from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import folder_of
from tests.bench.upload_clients import s3_clients
from tests.bench.upload_stores import s3_store
from tests.bench.upload_turns import Comers, above_noise, best, ratios, scaled, sent_whole, take_turns

SIZE_BYTES = scaled(1 << 30)


def measure() -> Result:
    """Run the benchmark."""
    comers = Comers.of(s3_clients())
    with places() as found:
        folder = folder_of(found.memory, 1, SIZE_BYTES)
        rows = take_turns(comers, s3_store, found.disk, folder, sent_whole)
    return Result("s3", rows, bars_of(rows, comers, 0.9), comers.tools)


def bars_of(rows: list[Row], comers: Comers, speed: float, obstore: float | None = 1.4) -> dict[str, Bar]:
    """Processor time against two of them, and speed against the fastest."""
    bars = comers.bars
    for name, bar in (("rclone", 0.5), ("obstore", obstore)):
        if bar is not None and (found := ratios(rows, "agent_cpu_s", f"{name}_cpu_s")):
            bars[f"cpu_of_{name}"] = Bar(statistics.median(found), bar, most=True)
    fastest = best(rows, [client.name for client in comers.clients if client.name != "agent"], "s")
    if fastest is not None and (found := ratios(rows, f"{fastest}_s", "agent_s")):
        bars[f"speed_of_best_{fastest}"] = Bar(above_noise(found), speed)
    return bars
