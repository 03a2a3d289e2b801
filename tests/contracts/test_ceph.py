"""The store contract against Ceph's object gateway, which agencies run and which checks other things than most."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.errors import ReceiptInvalid, StoreError, StoreRefused
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.s3_retention import LockMode, Retention
from agent.stores.settings import StoreSettings
from tests.contracts.ceph import Ceph
from tests.contracts.s3_server import KEY_ID, SECRET
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import MIB, Hints, Place, make_bytes, make_shipment, opened
from tests.contracts.test_s3_store import PART, s3_store
from tests.contracts.test_stores import unused_port
from tests.stores.commissioned import credential_file, probed, verdicts

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    cluster = Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        cluster.make()
        cluster.make_bucket("evidence")
        cluster.make_bucket("versioned", versions=True)
        cluster.make_bucket("locked", lock=True)
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def place(ceph: Ceph, tmp_path: Path) -> Place:
    folder = tmp_path.name
    return Place(
        open=lambda: s3_store(ceph.origin, f"evidence/{folder}"),
        open_unreachable=lambda: s3_store(f"http://127.0.0.1:{unused_port()}", f"evidence/{folder}"),
        held=lambda: ceph.held("evidence", f"{folder}/objects"),
        require=ReceiptKind.READBACK,
        lose=lambda digest: ceph.lose("evidence", f"{folder}/objects/{digest}"),
        announced=lambda: [
            each["sha256"]
            for text in ceph.texts("evidence", f"{folder}/announced/hub7")
            for each in json.loads(text)["objects"]
        ],
    )


class TestCeph(StoreContract):
    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place

    @pytest.fixture
    def shipment(self, tmp_path: Path) -> Shipment:
        return make_shipment(tmp_path, make_bytes(2 * PART + 77, str(tmp_path)))


@pytest.mark.parametrize("bucket", ["evidence", "versioned"])
async def test_a_gateway_that_ignores_checksums_can_only_confirm_by_being_read_back(
    ceph: Ceph, tmp_path: Path, bucket: str
) -> None:
    keys = credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n")
    record = await probed(f"s3+{ceph.origin}/{bucket}/{tmp_path.name}", ReceiptKind.READBACK, credential=keys)
    said = verdicts(record)
    assert record.kinds == {ReceiptKind.READBACK}
    holds = {name for name, verdict in said.items() if verdict == "holds"}
    assert {"write", "read_back", "signed_digest_put"} <= holds
    # With versions nothing is overwritten either: what came first stays under its own version.
    assert ("no_overwrite" in holds) == (bucket == "evidence")
    assert said["checksum_put"] != "holds"
    assert record.left == ()


async def test_a_gateway_that_is_killed_amid_the_upload_is_gone_on_with_when_it_is_back(
    ceph: Ceph, place: Place, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, make_bytes(4 * PART + 77, str(tmp_path)))
    killed: list[int] = []

    def moved(sent: int) -> None:
        if sent > 2 * PART and not killed:
            killed.append(sent)
            ceph.down()

    hints = Hints(Transfer(on_progress=moved))
    async with opened(place) as store:
        try:
            with pytest.raises(StoreError):
                await store.send(shipment, None, hints.transfer, hints.keep)
        finally:
            ceph.up()
        again: list[int] = []
        handle = await store.send(shipment, hints.last, Transfer(on_progress=again.append), hints.keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert again[0] > PART
    assert place.held().count(shipment.sha256) == 1


@pytest.mark.parametrize("size_bytes", [1000, 9 * MIB])
async def test_an_object_locked_for_compliance_cannot_be_deleted(ceph: Ceph, tmp_path: Path, size_bytes: int) -> None:
    shipment = make_shipment(tmp_path, make_bytes(size_bytes, str(tmp_path)))
    settings = StoreSettings(
        "central",
        f"s3+{ceph.origin}/locked/{tmp_path.name}",
        ReceiptKind.READBACK,
        credential=credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n"),
        retention=Retention(LockMode.COMPLIANCE, days=1),
    )
    store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path).store
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.prove(shipment, handle, ReceiptKind.READBACK)
    await store.close()
    assert ceph.ask("DELETE", handle).status_code == 403
    until = datetime.fromisoformat(ceph.ask("HEAD", handle).headers["x-amz-object-lock-retain-until-date"])
    assert timedelta(days=1) - timedelta(minutes=5) < until - datetime.now(UTC) <= timedelta(days=1)
    assert hashlib.sha256(ceph.ask("GET", handle).content).hexdigest() == shipment.sha256


async def test_a_lock_in_a_bucket_without_locks_calls_the_operator(ceph: Ceph, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(1000, str(tmp_path)))
    settings = StoreSettings(
        "central",
        f"s3+{ceph.origin}/evidence/{tmp_path.name}",
        ReceiptKind.READBACK,
        credential=credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n"),
        retention=Retention(LockMode.COMPLIANCE, days=1),
    )
    store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path).store
    with pytest.raises(StoreRefused):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()


@pytest.mark.parametrize("size_bytes", [1000, PART + 1000])
async def test_what_lies_under_the_key_is_never_overwritten(
    ceph: Ceph, place: Place, tmp_path: Path, size_bytes: int
) -> None:
    shipment = make_shipment(tmp_path, make_bytes(size_bytes, str(tmp_path)))
    other = make_bytes(size_bytes, "not " + str(tmp_path))
    key = f"{ceph.origin}/evidence/{tmp_path.name}/objects/{shipment.sha256}"
    assert ceph.ask("PUT", key, other).is_success
    async with opened(place) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        with pytest.raises(ReceiptInvalid):
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert ceph.ask("GET", key).content == other


async def test_the_very_version_is_asked_about(ceph: Ceph, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(2 * PART + 77, str(tmp_path)))
    store = s3_store(ceph.origin, "versioned")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert store.still_holds is not None
    assert "versionId=" in handle
    assert await store.still_holds(receipt)
    assert await store.still_holds(replace(receipt, size_bytes=receipt.size_bytes + 1)) is False
    assert ceph.ask("DELETE", handle).is_success
    assert not await store.still_holds(receipt)
    await store.close()
