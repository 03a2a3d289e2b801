"""A store of several machines, one of which dies while an object is on its way there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import StoreError
from agent.core.object import ReceiptKind
from agent.ports import Transfer
from tests.contracts.s3_cluster import DISKS, S3Cluster
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.contracts.test_s3_store import PART, s3_store

TRIES = 30
"""A cluster may refuse parts for a while, until it has noticed that one of its disks is gone."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[S3Cluster]:
    directory = tmp_path / "cluster"
    directory.mkdir()
    s3 = S3Cluster(directory)
    try:
        s3.up()
        s3.make_bucket("evidence")
        yield s3
    finally:
        s3.down()


@pytest.mark.slow
async def test_a_disk_that_dies_in_the_middle_of_an_upload_costs_nothing(cluster: S3Cluster, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(8 * PART + 77, str(tmp_path)))
    killed: list[int] = []

    def moved(sent: int) -> None:
        if sent > 3 * PART and not killed:
            # One that has some of it, so that the rest has to be read from its twin.
            fullest = max(range(DISKS), key=cluster.disk_bytes)
            assert cluster.disk_bytes(fullest) > MIB
            killed.append(fullest)
            cluster.kill_disk(fullest)

    hints = Hints(Transfer(on_progress=moved))
    store = s3_store(cluster.origin, "evidence")
    failures: list[StoreError] = []
    receipt = None
    while receipt is None and len(failures) < TRIES:
        try:
            handle = await store.send(shipment, hints.last, hints.transfer, hints.keep)
            receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
        except StoreError as error:
            failures.append(error)
            await asyncio.sleep(0.5)
    await store.close()
    assert receipt is not None, failures
    assert (receipt.sha256, len(killed)) == (shipment.sha256, 1)
