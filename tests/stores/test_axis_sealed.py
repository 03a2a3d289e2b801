"""Clips that leave encrypted: the destination opens them with published tools, nobody else, and none lacks its key."""

import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.core.errors import ReceiptInvalid
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.axis_filing import Filing
from agent.stores.receipts import ObjectNotHeld
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment, stop_after
from tests.fakes.axis_server import ACCOUNT, AxisServer, Stored
from tests.stores.axis_try import bring, digests, encryption, private_key, station, unsealed

OPENSSL = shutil.which("openssl") or "openssl"


@pytest.fixture
async def server() -> AsyncIterator[AxisServer]:
    async with AxisServer(capabilities=("StoreReadSystemID",)) as running:
        yield running
    assert running.broken == []


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 5, str(tmp_path)))


@pytest.mark.parametrize("size_bytes", [0, 1, 15, 16, 17, MIB - 1, MIB, MIB + 1, 2 * MIB + 16])
async def test_every_size_comes_out_as_it_went_in(server: AxisServer, tmp_path: Path, size_bytes: int) -> None:
    data = make_bytes(size_bytes)
    made = make_shipment(tmp_path, data)
    async with station(server, tmp_path, **encryption()) as store:
        filing = Filing.parse(await bring(store, made))
    assert filing is not None
    assert filing.sealed is not None
    stored = server.containers[filing.container].objects[filing.name].data
    assert len(stored) == filing.sealed.size_bytes == (size_bytes // 16 + 1) * 16
    assert unsealed(server.containers[filing.container], filing.name) == data
    assert size_bytes < 16 or data[:16] not in stored  # fewer bytes may be there by chance


async def test_the_published_tools_open_it(server: AxisServer, shipment: Shipment, tmp_path: Path) -> None:
    """The steps that the interface publishes for operators: cut the values out by line, unwrap, decrypt."""
    async with station(server, tmp_path, **encryption()) as store:
        filing = Filing.parse(await bring(store, shipment))
    assert filing is not None
    box = server.containers[filing.container]
    lines = box.objects[f"{filing.name.rpartition('.')[0]}.key"].data.decode().splitlines()
    cut = {line.split('"')[1]: line.split('"')[3] for line in lines if '"' in line}
    assert cut["PublicKeyId"] == "key of 2026"
    pem = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(pem)
    (tmp_path / "wrapped").write_bytes(base64.b64decode(cut["EncryptedKey"]))
    (tmp_path / "clip").write_bytes(box.objects[filing.name].data)
    key = openssl("rsautl", "-decrypt", "-oaep", "-inkey", tmp_path / "private.pem", "-in", tmp_path / "wrapped")
    iv = base64.b64decode(cut["ContentEncryptionIV"]).hex()
    opened = openssl("enc", "-d", "-aes-256-cbc", "-iv", iv, "-K", key.hex(), "-in", tmp_path / "clip")
    assert opened == shipment.file.read_bytes()


async def test_each_clip_has_a_key_of_its_own(server: AxisServer, tmp_path: Path) -> None:
    async with station(server, tmp_path, **encryption()) as store:
        for data in (b"one clip", b"another clip"):
            await bring(store, make_shipment(tmp_path, data))
    keys = [stored.data for box in server.containers.values() for name, stored in box.objects.items() if ".key" in name]
    assert len({json.loads(data)["ContentEncryptionIV"] for data in keys}) == 2
    assert len({json.loads(data)["EncryptedKey"] for data in keys}) == 2


async def test_the_key_object_is_there_before_the_clip(server: AxisServer, shipment: Shipment, tmp_path: Path) -> None:
    async with station(server, tmp_path, **encryption()) as store:
        filing = Filing.parse(await bring(store, shipment))
    assert filing is not None
    puts = [line.rpartition("/")[2] for line in server.lines() if line.startswith("PUT") and shipment.sha256 in line]
    assert puts == [f"{filing.name.rpartition('.')[0]}.key", filing.name]


@pytest.mark.parametrize("flaw", ["clip altered", "clip gone", "key altered", "key gone"])
async def test_an_encrypted_clip_is_proved_only_with_its_very_bytes_and_key(
    server: AxisServer, shipment: Shipment, tmp_path: Path, flaw: str
) -> None:
    async with station(server, tmp_path, **encryption()) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        filing = Filing.parse(handle)
        assert filing is not None
        box = server.containers[filing.container]
        name = filing.name if "clip" in flaw else f"{filing.name.rpartition('.')[0]}.key"
        data = box.objects.pop(name).data
        if "altered" in flaw:
            box.objects[name] = Stored(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:], {})
        with pytest.raises(ObjectNotHeld):
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert box.meta["status"] == "Transferring"


@pytest.mark.parametrize("gone", ["clip", "key"])
async def test_an_encrypted_clip_is_still_held_only_with_its_key(
    server: AxisServer, shipment: Shipment, tmp_path: Path, gone: str
) -> None:
    async with station(server, tmp_path, **encryption()) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
        assert store.still_holds is not None
        assert await store.still_holds(receipt)
        filing = Filing.parse(handle)
        assert filing is not None
        name = filing.name if gone == "clip" else f"{filing.name.rpartition('.')[0]}.key"
        del server.containers[filing.container].objects[name]
        assert not await store.still_holds(receipt)


async def test_a_stopped_upload_takes_the_same_name_again(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    transfer = Transfer()
    stop_after(transfer, MIB)
    hints = Hints(transfer)
    async with station(server, tmp_path, **encryption()) as store:
        with pytest.raises(UploadStopped):
            await store.send(shipment, None, transfer, hints.keep)
        first = Filing.parse(hints.last)
        assert first is not None
        again = Filing.parse(await bring(store, shipment, hints.last))
    assert again is not None
    assert (again.container, again.name) == (first.container, first.name)
    assert sorted(server.containers[again.container].objects) == sorted(
        [again.name, f"{again.name.rpartition('.')[0]}.key"]
    )


async def test_a_copy_of_which_nobody_knows_what_left_is_neither_overwritten_nor_believed(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    """The agent was killed after the last byte left, before it could write down what that was."""
    hints = Hints(Transfer())
    async with station(server, tmp_path, **encryption()) as store:
        await store.send(shipment, None, hints.transfer, hints.keep)
        before = hints.texts[0]
        with pytest.raises(ReceiptInvalid):
            await store.prove(shipment, before, ReceiptKind.READBACK)
        known = Filing.parse(hints.last)
        assert known is not None
        kept = server.containers[known.container].objects[known.name].data
        again = Filing.parse(await bring(store, shipment, before))
    assert again is not None
    assert again.name != known.name
    assert server.containers[known.container].objects[known.name].data == kept
    assert digests(server, sealed=True) == [shipment.sha256] * 2


async def test_the_key_of_a_copy_that_was_proved_is_never_written_over(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    """The destination says for a moment that the clip is not there; its only key may be the one beside it."""
    async with station(server, tmp_path, **encryption()) as store:
        handle = await bring(store, shipment)
        filing = Filing.parse(handle)
        assert filing is not None
        server.containers[filing.container].meta["status"] = "Transferring"
        server.faults[f"HEAD {ACCOUNT}/{filing.container}/{filing.name}"] = 404
        again = Filing.parse(await store.send(shipment, handle, Transfer(), Hints(Transfer()).keep))
    assert again is not None
    assert (again.container, again.name != filing.name) == (filing.container, True)
    assert digests(server, sealed=True) == [shipment.sha256] * 2


async def test_an_encrypted_clip_is_stored_again_when_all_is_forgotten(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path, **encryption()) as store:
        assert store.find is None
        places = {await bring(store, shipment) for _ in range(4)}
    assert len(places) == 4
    assert digests(server, sealed=True) == [shipment.sha256] * 4


def openssl(*arguments: str | Path) -> bytes:
    done = subprocess.run([OPENSSL, *arguments], capture_output=True, check=False, timeout=30)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout
