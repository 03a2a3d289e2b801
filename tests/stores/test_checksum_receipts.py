"""Receipts by a checksum that the store names: only of a store that was probed and is as it was, else a read-back."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.commissioning import Commissioning, Seen
from agent.core.errors import SpoolCorrupt
from agent.core.object import Receipt, ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.client import OpenedStore, open_store
from agent.stores.probe_record import read_record, record_path, write_record
from agent.stores.receipts import ObjectNotHeld
from agent.stores.s3 import S3Store
from agent.stores.s3_checksum import composite
from agent.stores.s3_part import MOST_BYTES
from agent.stores.settings import StoreSettings
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.checking_s3 import CheckingS3
from tests.stores.commissioned import credential_file, probed, utc_now

SMALL, IN_PARTS = 3 * MIB + 7, 17 * MIB + 7
"""One request takes up to 16 MiB."""
OTHER = composite([bytes(32), bytes(32)])


@pytest.fixture
async def server() -> AsyncIterator[CheckingS3]:
    async with CheckingS3("PUT", "PART") as store:
        yield store


class Station:
    """A station's view of the store, with a state directory for the record."""

    def __init__(self, folder: Path, server: CheckingS3) -> None:
        self.folder, self.server = folder, server
        self.keys = credential_file(folder, "key\nsecret\n")
        self.record = record_path(folder, "central")

    async def probe(self) -> None:
        write_record(self.record, await probed(f"s3+{self.server.url}", credential=self.keys))

    def trust(self) -> None:
        """Put a record there as a probe would leave it."""
        seen = Seen(self.server.server, None)
        kinds = frozenset({ReceiptKind.CHECKSUM, ReceiptKind.READBACK})
        write_record(self.record, Commissioning("central", f"s3+{self.server.url}", utc_now(), seen, kinds, ()))

    def open(self, require: ReceiptKind = ReceiptKind.CHECKSUM) -> OpenedStore:
        settings = StoreSettings("central", f"s3+{self.server.url}", require, credential=self.keys, stall_s=5.0)
        return open_store(settings, station="hub7", clock=utc_now, spool_dir=self.folder / "spool")

    async def bring(self, shipment: Shipment, require: ReceiptKind = ReceiptKind.CHECKSUM) -> tuple[Receipt, bool]:
        """Send and prove; the receipt, and whether the bytes were fetched for it."""
        store = self.open(require).store
        try:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            self.server.asked.clear()
            receipt = await store.prove(shipment, handle, require)
            assert store.still_proves(receipt)
        finally:
            await store.close()
        return receipt, "GET" in self.server.asked


@pytest.fixture
def station(tmp_path: Path, server: CheckingS3) -> Station:
    return Station(tmp_path, server)


def made(folder: Path, size_bytes: int) -> Shipment:
    return make_shipment(folder, make_bytes(size_bytes))


@pytest.mark.parametrize("size_bytes", [SMALL, IN_PARTS, 0])
async def test_a_store_that_was_seen_to_refuse_wrong_checksums_proves_by_the_one_it_names(
    station: Station, tmp_path: Path, size_bytes: int
) -> None:
    await station.probe()
    receipt, fetched = await station.bring(made(tmp_path, size_bytes))
    assert (receipt.kind, fetched) == (ReceiptKind.CHECKSUM, False)
    assert json.loads(receipt.proof)["kind"] == "checksum"


async def test_what_was_sent_in_larger_parts_over_a_fast_line_is_known_by_a_run_that_measured_nothing(
    station: Station, tmp_path: Path
) -> None:
    station.trust()
    shipment = made(tmp_path, 2 * MOST_BYTES + 7)
    fast = station.open().store
    assert isinstance(fast, S3Store)
    fast._sizes.arrived(1 << 30, 1.0)
    try:
        await fast.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    finally:
        await fast.close()
    assert sorted(station.server.parts) == [1, 2, 3]
    receipt, fetched = await station.bring(shipment)
    assert (receipt.kind, fetched) == (ReceiptKind.CHECKSUM, False)


@pytest.mark.parametrize("size_bytes", [SMALL, IN_PARTS])
async def test_a_store_that_nobody_probed_is_read_back(station: Station, tmp_path: Path, size_bytes: int) -> None:
    receipt, fetched = await station.bring(made(tmp_path, size_bytes))
    assert (receipt.kind, fetched) == (ReceiptKind.READBACK, True)


async def test_a_store_that_was_seen_to_take_wrong_checksums_is_read_back(station: Station, tmp_path: Path) -> None:
    station.server.checks.clear()
    await station.probe()
    receipt, fetched = await station.bring(made(tmp_path, SMALL))
    assert (receipt.kind, fetched) == (ReceiptKind.READBACK, True)


async def test_where_more_is_required_the_bytes_are_fetched_all_the_same(station: Station, tmp_path: Path) -> None:
    station.trust()
    receipt, fetched = await station.bring(made(tmp_path, SMALL), ReceiptKind.READBACK)
    assert (receipt.kind, fetched) == (ReceiptKind.READBACK, True)


async def test_another_version_of_the_server_is_read_back_until_it_is_probed(station: Station, tmp_path: Path) -> None:
    await station.probe()
    station.server.server = "Checking/2.0"
    shipment = made(tmp_path, SMALL)
    receipt, fetched = await station.bring(shipment)
    assert (receipt.kind, fetched) == (ReceiptKind.READBACK, True)
    await station.probe()
    receipt, fetched = await station.bring(shipment)
    assert (receipt.kind, fetched) == (ReceiptKind.CHECKSUM, False)


@pytest.mark.parametrize(
    ("size_bytes", "told"), [(SMALL, "AAAA"), (SMALL, OTHER), (IN_PARTS, OTHER), (SMALL, "-"), (SMALL, "?-2")]
)
async def test_a_checksum_that_is_not_ours_is_settled_by_the_bytes(
    station: Station, tmp_path: Path, size_bytes: int, told: str
) -> None:
    station.trust()
    station.server.told = told
    receipt, fetched = await station.bring(made(tmp_path, size_bytes))
    assert (receipt.kind, fetched) == (ReceiptKind.READBACK, True)


async def test_wrong_bytes_under_another_checksum_are_no_proof(station: Station, tmp_path: Path) -> None:
    station.trust()
    shipment = made(tmp_path, SMALL)
    await station.bring(shipment)
    (path,) = [path for path in station.server.objects if path.endswith(shipment.sha256)]
    station.server.objects[path] = bytes(shipment.size_bytes)
    station.server.told = "AAAA"
    with pytest.raises(ObjectNotHeld):
        await station.bring(shipment)


async def test_a_checksum_of_parts_is_compared_with_the_spools_bytes_as_they_are_now(
    station: Station, tmp_path: Path
) -> None:
    station.trust()
    shipment = made(tmp_path, IN_PARTS)
    await station.bring(shipment)
    shipment.file.write_bytes(bytes(shipment.size_bytes))
    store = station.open().store
    try:
        handle = await store.find(shipment) if store.find is not None else None
        assert handle is not None
        with pytest.raises(SpoolCorrupt):
            await store.prove(shipment, handle, ReceiptKind.CHECKSUM)
    finally:
        await store.close()


async def test_a_kept_receipt_counts_as_long_as_no_probe_disproves_it(station: Station, tmp_path: Path) -> None:
    station.trust()
    receipt, _ = await station.bring(made(tmp_path, SMALL))
    store = station.open().store
    facts = json.loads(receipt.proof)
    record = read_record(station.record)
    assert record is not None
    try:
        assert store.still_proves(receipt)
        for wrong in ("{", "[]", json.dumps({**facts, "size": "1"}), json.dumps({**facts, "sha256": "0"}), "{}"):
            assert not store.still_proves(replace(receipt, proof=wrong))
        assert not store.still_proves(replace(receipt, kind=ReceiptKind.READBACK))
        assert not store.still_proves(replace(receipt, store="other"))
        write_record(station.record, replace(record, kinds=frozenset({ReceiptKind.READBACK})))
        assert not store.still_proves(receipt)
        station.record.unlink()
        assert not store.still_proves(receipt)
    finally:
        await store.close()
