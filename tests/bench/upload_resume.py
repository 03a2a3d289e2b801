"""A client is killed when half of the file has gone over the line, and started again: how much was sent in all.

Bytes are counted in the line, heads of requests included. 512 MiB at 400 Mbit/s, so that half is hit closely.
"""

from dataclasses import replace

from tests.bench.result import Result, Row
from tests.bench.upload_clients import ROOT, Client, Task, environment
from tests.bench.upload_line import Line
from tests.bench.upload_over import Trial, most_sent, size_of
from tests.bench.upload_run import RunFailed, run
from tests.bench.upload_stores import Store
from tests.bench.upload_turns import LIMIT_S, must_have, scaled

SIZE_BYTES = scaled(512 << 20)


def measure() -> Result:
    """Run the benchmark."""
    return Trial("resume", SIZE_BYTES, ("--rate", "400mbit"), _turn, full_only=True).measure(most_sent)


def _turn(client: Client, task: Task, store: Store, line: Line) -> Row:
    size_bytes = size_of(task)
    over = replace(task, url=line.carry(task.url))
    first = run(client.command(over), environment(), ROOT, LIMIT_S, lambda: line.sent_bytes >= size_bytes / 2)
    if not first.was_killed:
        raise RunFailed("it was done before it could be killed")
    before = line.sent_bytes
    second = run(client.command(over), environment(), ROOT, LIMIT_S)
    must_have(client, task, store)
    sent = line.sent_bytes
    return {"sent_of_file": sent / size_bytes, "killed_at": before / size_bytes, "second_s": second.seconds}
