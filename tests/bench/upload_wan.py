"""A distant store: 50 ms there and back, 100 Mbit/s. How much of the line the file's bytes use.

The time is that of the whole run less that of the client's mere start.
"""

import statistics

from tests.bench.result import Bar, Result, Row
from tests.bench.upload_clients import Client, Task
from tests.bench.upload_line import Line
from tests.bench.upload_over import Trial, size_of
from tests.bench.upload_stores import Store
from tests.bench.upload_turns import scaled, sent_whole

SIZE_BYTES = scaled(128 << 20)
RATE_BIT_S = 100e6


def measure() -> Result:
    """Run the benchmark."""
    return Trial("wan", SIZE_BYTES, ("--latency", "25ms", "--rate", "100mbit"), _turn).measure(_bars)


def _turn(client: Client, task: Task, store: Store, line: Line) -> Row:
    figures = sent_whole(client, task, store, line.carry(task.url))
    return {**figures, "share_of_line": size_of(task) * 8 / RATE_BIT_S / figures["s"]}


def _bars(_kind: str, rows: list[Row]) -> dict[str, Bar]:
    return {"share_of_line": Bar(statistics.median(row["agent_share_of_line"] for row in rows), 0.95)}
