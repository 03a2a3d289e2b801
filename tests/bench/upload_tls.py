"""How fast an object leaves the spool over TLS, hashed again on its way, against `curl -T` of the same file.

Both sides send to the same sink, with the same cipher, in turn; ratios are taken round by round. Processor time is that
of the whole process: the client's without its start, curl's with it (some 20 ms).
"""

import asyncio
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.ports import Shipment
from agent.stores.endpoint import Endpoint
from agent.stores.remote import Remote
from agent.stores.tls import client_context
from agent.stores.tus import TusStore
from tests.bench.cards import BLOCK_BYTES
from tests.bench.places import places
from tests.bench.processor import cpu_s_of, timed
from tests.bench.result import Bar, Result, Row, median_ratio
from tests.bench.shipments import send, stock
from tests.stores.certificates import Authority

SIZE_BYTES = 1 << 30
ROUNDS = 5


def measure() -> Result:
    """Run the benchmark."""
    with places() as found:
        shipment = stock(found.disk, SIZE_BYTES)
        authority = Authority(found.memory, "ca")
        with _sink(authority) as sink:
            rows = [_round(shipment, sink, authority.path) for _ in range(ROUNDS + 1)][1:]  # the first one warms up
    for row in rows:
        row["curl_and_hash_cpu_s"] = round(row["curl_cpu_s"] + row["hash_cpu_s"], 3)
    return Result(
        name="tls",
        rows=rows,
        bars={
            "share_of_curl": Bar(median_ratio(rows, "curl_s", "upload_s"), 0.8),
            "cpu_of_curl_and_hash": Bar(median_ratio(rows, "upload_cpu_s", "curl_and_hash_cpu_s"), 1.4, most=True),
        },
        tools={"curl": _curl_version(), "tls": sink.cipher},
    )


@dataclass(slots=True)
class _Sink:
    """The running sink; `cipher` is known once it has ended."""

    port: int
    pid: int
    cipher: str = ""


@contextmanager
def _sink(authority: Authority) -> Iterator[_Sink]:
    command: list[str | Path] = [sys.executable, "-m", "tests.bench.sink", *authority.issue("sink")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        sink = _Sink(json.loads(process.stdout.readline())["port"], process.pid)
        try:
            yield sink
        finally:
            said, _ = process.communicate(timeout=10)
    (sink.cipher,) = json.loads(said)["ciphers"]  # both clients must have agreed on the same one


def _round(shipment: Shipment, sink: _Sink, ca: Path) -> Row:
    row: Row = {}
    row["hash_s"], row["hash_cpu_s"] = timed(lambda: _hash(shipment.file))
    row["curl_s"], row["curl_cpu_s"] = timed(lambda: _curl(shipment.file, sink, ca))
    before = cpu_s_of(sink.pid)
    row["upload_s"], row["upload_cpu_s"] = timed(lambda: asyncio.run(_upload(shipment, sink, ca)))
    row["sink_cpu_s"] = cpu_s_of(sink.pid) - before
    return {name: round(value, 3) for name, value in row.items()}


def _hash(file: Path) -> None:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])


def _curl(file: Path, sink: _Sink, ca: Path) -> None:
    options = ["--silent", "--show-error", "--fail", "--http1.1", "--header", "Expect:", "--output", "/dev/null"]
    command: list[str | Path] = [
        "curl",
        *options,
        "--cacert",
        ca,
        "--upload-file",
        file,
        f"https://127.0.0.1:{sink.port}/files/one",
    ]
    subprocess.run(command, check=True)  # noqa: S603


async def _upload(shipment: Shipment, sink: _Sink, ca: Path) -> None:
    endpoint = Endpoint.of(f"https://127.0.0.1:{sink.port}/files/")
    store = TusStore(Remote("sink", endpoint, "hub7", lambda: datetime.now(UTC), client_context(ca, None, None)))
    await send(store, shipment)
    await store.close()


def _curl_version() -> str:
    done = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    found = re.match(r"curl ([\d.]+)", done.stdout)
    return found[1] if found else "unknown"
