"""What probing finds at real stores, and that it leaves nothing behind that they let it remove."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import Transfer
from agent.stores.answer import CredentialRefused
from agent.stores.client import open_store
from agent.stores.probe_record import record_path, write_record
from agent.stores.settings import StoreSettings
from tests.contracts.s3_server import KEY_ID, SECRET, S3Server
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.contracts.test_stores import unused_port
from tests.stores.commissioned import credential_file, probed, utc_now, verdicts
from tests.stores.peers import Peer, depot_peer, tus_peer

CHECKED = {
    "write": "holds",
    "read_back": "holds",
    "no_overwrite": "holds",
    "checksum_put": "holds",
    "signed_digest_put": "ignored",
    "checksum_told": "holds",
    "checksum_part": "holds",
    "signed_digest_part": "ignored",
    "checksum_composite": "holds",
    "no_overwrite_parts": "holds",
    "object_lock": "absent",
    "certificate": "absent",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    s3 = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        s3.up()
        s3.make_bucket("evidence")
        s3.make_bucket("versioned", versions=True)
        yield s3
    finally:
        s3.down()


def everything(server: S3Server, bucket: str) -> list[str]:
    """The names of all versions and unfinished uploads that the server tells of."""
    texts = [server.ask("GET", f"{server.origin}/{bucket}?{query}=").text for query in ("versions", "uploads")]
    return [piece.partition("<")[0] for text in texts for piece in text.split("<Key>")[1:]]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("bucket", ["evidence", "versioned"])
async def test_a_server_that_refuses_wrong_checksums_but_not_wrong_signed_digests_is_recorded_as_just_that(
    server: S3Server, tmp_path: Path, bucket: str
) -> None:
    keys = credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n")
    record = await probed(f"s3+{server.origin}/{bucket}/{tmp_path.name}", ReceiptKind.CHECKSUM, credential=keys)
    assert verdicts(record) == CHECKED | {"versioning": "holds" if bucket == "versioned" else "absent"}
    assert record.kinds == {ReceiptKind.CHECKSUM, ReceiptKind.READBACK}
    assert record.seen.server is not None
    assert record.seen.server.startswith("SeaweedFS")
    assert record.left == ()
    assert [name for name in everything(server, bucket) if tmp_path.name in name] == []


@pytest.mark.parametrize("bucket", ["evidence", "versioned"])
@pytest.mark.parametrize("size_bytes", [3 * MIB + 7, 17 * MIB + 7], ids=["one request", "two parts"])
async def test_once_probed_the_server_proves_by_the_checksum_that_it_computed(
    server: S3Server, tmp_path: Path, bucket: str, size_bytes: int
) -> None:
    keys, place = credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n"), f"s3+{server.origin}/{bucket}/{tmp_path.name}"
    shipment = make_shipment(tmp_path, make_bytes(size_bytes, str(tmp_path)))
    settings = StoreSettings("central", place, ReceiptKind.CHECKSUM, credential=keys)
    store = open_store(settings, station="hub7", clock=utc_now, spool_dir=tmp_path / "spool").store
    try:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        before = await store.prove(shipment, handle, ReceiptKind.CHECKSUM)
        write_record(record_path(tmp_path, "central"), await probed(place, ReceiptKind.CHECKSUM, credential=keys))
        after = await store.prove(shipment, handle, ReceiptKind.CHECKSUM)
        assert store.still_proves(after)
    finally:
        await store.close()
    assert (before.kind, after.kind) == (ReceiptKind.READBACK, ReceiptKind.CHECKSUM)
    assert hashlib.sha256(server.ask("GET", handle).content).hexdigest() == shipment.sha256


async def test_a_wrong_access_key_says_nothing_about_the_store(server: S3Server, tmp_path: Path) -> None:
    keys = credential_file(tmp_path, f"{KEY_ID}\nanother-secret\n")
    with pytest.raises(CredentialRefused):
        await probed(f"s3+{server.origin}/evidence/{tmp_path.name}", credential=keys)


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[tuple[Peer, Path]]:
    place = tmp_path / "depot"
    place.mkdir()
    with depot_peer(place) as peer:
        yield peer, place


async def test_the_depot_gives_signed_receipts_and_keeps_what_is_finished(
    depot: tuple[Peer, Path], tmp_path: Path
) -> None:
    peer, place = depot
    assert peer.token is not None
    token = credential_file(tmp_path, peer.token)
    key = place / "receipt.pub"
    record = await probed(f"tus+{peer.url}", ReceiptKind.SIGNED, credential=token, receipt_key=key)
    assert verdicts(record) == {
        "extensions": "holds",
        "wrong_offset": "holds",
        "checksum": "holds",
        "receipt_unfinished": "holds",
        "write": "holds",
        "read_back": "holds",
        "receipt_unknown": "holds",
        "receipt": "holds",
        "finished_stays": "holds",
        "certificate": "absent",
    }
    assert record.kinds == {ReceiptKind.SIGNED, ReceiptKind.READBACK}
    assert len(record.left) == len(peer.held()) == 1


async def test_a_depot_whose_key_is_another_one_gives_no_signed_receipt(
    depot: tuple[Peer, Path], tmp_path: Path
) -> None:
    peer, place = depot
    other = tmp_path / "other"
    other.mkdir()
    assert peer.token is not None
    with depot_peer(other):
        token, key = credential_file(tmp_path, peer.token), other / "receipt.pub"
        record = await probed(f"tus+{peer.url}", ReceiptKind.SIGNED, credential=token, receipt_key=key)
    assert verdicts(record)["receipt"] == "failed"
    assert not record.meets(ReceiptKind.SIGNED)
    assert place != other


async def test_the_official_tus_server_gives_a_read_back_and_is_left_empty(tmp_path: Path) -> None:
    place = tmp_path / "tus"
    place.mkdir()
    with tus_peer(place) as peer:
        record = await probed(f"tus+{peer.url}")
        assert verdicts(record) == {
            "extensions": "holds",
            "wrong_offset": "holds",
            "checksum": "absent",
            "write": "holds",
            "read_back": "holds",
            "receipt": "absent",
            "finished_stays": "ignored",
            "certificate": "absent",
        }
        assert record.kinds == {ReceiptKind.READBACK}
        assert record.left == ()
        assert names(place) == []


async def test_a_directory_gives_a_read_back_and_is_left_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "nas"
    root.mkdir()
    record = await probed(root.as_uri())
    shown = verdicts(record)
    assert shown.pop("file_system") in {"holds", "ignored", "unknown"}  # that of the machine that tests
    assert shown == {"write": "holds", "read_back": "holds", "no_overwrite": "holds"}
    assert record.kinds == {ReceiptKind.READBACK}
    assert record.left == ()
    assert names(root) == []


async def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="mounted"):
        await probed((tmp_path / "not mounted").as_uri())
    assert names(tmp_path) == []


@pytest.mark.parametrize("scheme", ["tus+http://127.0.0.1:{}/files/", "s3+http://127.0.0.1:{}/bucket"])
async def test_a_store_that_is_away_is_an_error_and_no_finding(tmp_path: Path, scheme: str) -> None:
    keys = credential_file(tmp_path, f"{KEY_ID}\n{SECRET}\n") if scheme.startswith("s3") else None
    with pytest.raises(StoreUnreachable):
        await probed(scheme.format(unused_port()), credential=keys)
