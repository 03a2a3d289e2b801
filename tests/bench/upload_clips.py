"""Two hundred clips of 10 MiB to both kinds of store, by one run of each client. What was sent one by one by curl would
be a measurement of starting processes; it is left out.
"""

from tests.bench.places import places
from tests.bench.result import Bar, Result, Row
from tests.bench.shipments import folder_of
from tests.bench.upload_clients import s3_clients, tus_clients
from tests.bench.upload_s3 import bars_of
from tests.bench.upload_stores import s3_store, tus_store
from tests.bench.upload_turns import Comers, scaled, sent_whole, take_turns

COUNT = scaled(200)
SIZE_BYTES = 10 << 20


def measure() -> Result:
    """Run the benchmark."""
    rows: list[Row] = []
    bars: dict[str, Bar] = {}
    tools: dict[str, str] = {}
    with places() as found:
        folder = folder_of(found.memory, COUNT, SIZE_BYTES)
        for name, clients, open_store in (("s3", s3_clients(), s3_store), ("tus", tus_clients(), tus_store)):
            comers = Comers.of([client for client in clients if client.name != "curl"])
            taken = take_turns(comers, open_store, found.disk, folder, sent_whole)
            rows += [{f"{name}_{key}": value for key, value in row.items()} for row in taken]
            found_bars = bars_of(taken, comers, 1.0, obstore=None)
            bars |= {f"{name}_{key}": bar for key, bar in found_bars.items()}
            tools |= {f"{name}_{key}": text for key, text in comers.tools.items()}
    return Result("clips", rows, bars, tools | {"curl": "left out: one process for each clip"})
