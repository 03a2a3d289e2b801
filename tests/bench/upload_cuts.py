"""A line that is cut again and again: 500 MB at 20 Mbit/s, every 30 s. Who gets through, and how much was sent in all.

By default all is five times as fast, the cuts and the agent's pauses included: as many cuts, after as many bytes.
BENCH_FULL=1 takes the time that it takes. Bytes are counted in the line, heads of requests included.
"""

import os
import time
from dataclasses import replace

from tests.bench.result import Result, Row
from tests.bench.upload_clients import ROOT, Client, Task, environment
from tests.bench.upload_line import Line
from tests.bench.upload_over import Trial, most_sent, size_of
from tests.bench.upload_run import run
from tests.bench.upload_stores import Store
from tests.bench.upload_turns import must_have, scaled

SIZE_BYTES = scaled(477 << 20)  # 500 MB
FASTER = 1 if os.environ.get("BENCH_FULL") else 5
EVERY_S = 30 / FASTER
RATE_MBIT_S = 20 * FASTER
PATIENCE = 5
"""So many times what the line takes for the bytes; who needs longer has not got through."""


def measure() -> Result:
    """Run the benchmark."""
    return Trial("cuts", SIZE_BYTES, ("--rate", f"{RATE_MBIT_S}mbit"), _turn, full_only=True).measure(most_sent)


def _turn(client: Client, task: Task, store: Store, line: Line) -> Row:
    size_bytes = size_of(task)
    line_s = size_bytes * 8e-6 / RATE_MBIT_S
    over, cuts, began = replace(task, url=line.carry(task.url), faster=FASTER), 0, time.monotonic()

    def cut_when_due() -> bool:
        nonlocal cuts
        if time.monotonic() - began >= (cuts + 1) * EVERY_S:
            line.cut()
            cuts += 1
        return False

    done = run(client.command(over), environment(), ROOT, PATIENCE * line_s, cut_when_due)
    must_have(client, task, store)
    sent = line.sent_bytes
    return {"sent_of_file": sent / size_bytes, "of_line_s": done.seconds / line_s, "cuts": float(cuts)}
