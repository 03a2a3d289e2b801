"""What a directory store adds to the contract: nothing overwritten, nothing trusted, labels, mounts."""

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import ReceiptInvalid, StoreBusy, StoreError, StoreLied, StoreRefused, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.files.durable import BlockReader
from agent.ports import Shipment, Transfer
from agent.stores import part as part_module
from agent.stores.client import open_store
from agent.stores.directory import DirectoryStore
from agent.stores.settings import StoreSettings
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 9))


def store_at(root: Path, *, allow_unsafe: bool = True) -> DirectoryStore:
    return DirectoryStore("nas", root, lambda: datetime.now(UTC), stall_s=10.0, allow_unsafe=allow_unsafe)


async def send(root: Path, shipment: Shipment, seen: list[int] | None = None) -> str:
    store = store_at(root)
    transfer = Transfer(on_progress=(seen if seen is not None else []).append)
    try:
        return await store.send(shipment, None, transfer, Hints(transfer).keep)
    finally:
        await store.close()


def part_of(root: Path, shipment: Shipment) -> Path:
    (root / "incoming").mkdir(exist_ok=True)
    return root / "incoming" / f"{shipment.sha256}.part"


async def test_an_object_is_read_only_under_its_digest_with_a_label_beside_it(root: Path, shipment: Shipment) -> None:
    await send(root, shipment)
    found = root / "objects" / shipment.sha256
    assert stat.S_IMODE(found.stat().st_mode) == 0o400
    label = json.loads((root / "objects" / f"{shipment.sha256}.{shipment.label.clip}.json").read_text("utf-8"))
    assert (label["name"], label["camera"], label["size"]) == ("DCIM/A001.MP4", "CAM-7", shipment.size_bytes)
    assert list((root / "incoming").iterdir()) == []


async def test_a_name_that_is_not_utf8_stands_as_hex_in_the_label(root: Path, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, b"x", path=b"A\xff.MP4")
    await send(root, shipment)
    label = json.loads((root / "objects" / f"{shipment.sha256}.{shipment.label.clip}.json").read_text("utf-8"))
    assert label["name"] == {"hex": "41ff2e4d5034"}


async def test_a_label_is_never_overwritten(root: Path, shipment: Shipment) -> None:
    await send(root, shipment)
    label = root / "objects" / f"{shipment.sha256}.{shipment.label.clip}.json"
    before = label.read_bytes()
    await send(root, replace(shipment, label=replace(shipment.label, officer="someone else")))
    assert label.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 1, MIB, 2 * MIB + 7, 3 * MIB + 9])
async def test_a_true_beginning_is_gone_on_with(root: Path, shipment: Shipment, kept: int) -> None:
    part_of(root, shipment).write_bytes(shipment.file.read_bytes()[:kept])
    seen: list[int] = []
    await send(root, shipment, seen)
    assert min(seen) >= kept
    assert (root / "objects" / shipment.sha256).read_bytes() == shipment.file.read_bytes()


@pytest.mark.parametrize("flaw", ["first byte", "last byte", "too long"])
async def test_a_part_that_is_no_true_beginning_is_thrown_away(root: Path, shipment: Shipment, flaw: str) -> None:
    data = bytearray(shipment.file.read_bytes()[: 2 * MIB + 7])
    if flaw == "too long":
        data = bytearray(shipment.file.read_bytes() + b"more")
    else:
        data[0 if flaw == "first byte" else -1] ^= 1
    part_of(root, shipment).write_bytes(data)
    await send(root, shipment)
    assert (root / "objects" / shipment.sha256).read_bytes() == shipment.file.read_bytes()


async def test_a_part_in_another_stations_hands_is_left_alone(root: Path, shipment: Shipment) -> None:
    path = part_of(root, shipment)
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy):
            await send(root, shipment)
    assert path.exists()


async def test_a_part_that_is_a_link_is_not_followed(root: Path, shipment: Shipment, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part_of(root, shipment).symlink_to(victim)
    with pytest.raises(StoreError):
        await send(root, shipment)
    assert victim.read_bytes() == b"precious"


async def test_bytes_that_changed_in_the_store_are_not_proved_and_never_overwritten(
    root: Path, shipment: Shipment
) -> None:
    handle = await send(root, shipment)
    found = root / "objects" / shipment.sha256
    altered = b"\0" + shipment.file.read_bytes()[1:]
    found.chmod(0o600)
    found.write_bytes(altered)
    await send(root, shipment)
    store = store_at(root)
    with pytest.raises(ReceiptInvalid):
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    await store.close()
    assert found.read_bytes() == altered


async def test_another_size_under_the_digest_is_a_lie(root: Path, shipment: Shipment) -> None:
    (root / "objects").mkdir()
    (root / "objects" / shipment.sha256).write_bytes(b"short")
    with pytest.raises(StoreLied):
        await send(root, shipment)


async def test_a_directory_never_passes_for_a_signature(root: Path, shipment: Shipment) -> None:
    handle = await send(root, shipment)
    store = store_at(root)
    with pytest.raises(ReceiptInvalid):
        await store.prove(shipment, handle, ReceiptKind.SIGNED)
    await store.close()


PROC = Path("/proc")
"""There on every Linux, never the file system of anything else, and it keeps no bytes."""


async def test_a_file_system_that_may_lose_bytes_is_refused(shipment: Shipment) -> None:
    store = store_at(PROC, allow_unsafe=False)
    with pytest.raises(StoreRefused, match="which may lose bytes"):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()


async def test_another_file_system_in_its_place_is_not_written_to(
    root: Path, shipment: Shipment, tmp_path: Path
) -> None:
    place = tmp_path / "mount"
    place.symlink_to(root)
    store = store_at(place)
    await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    place.unlink()
    place.symlink_to(PROC)
    with pytest.raises(StoreUnreachable, match="no longer the file system it was"):
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> Iterator[None]:
    """Let one system call of the part fail as a bad or full disk makes it."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        yield


@pytest.mark.parametrize(
    ("call", "number", "expected"),
    [
        ("write", 28, (StoreRefused, "store disk full")),
        ("write", 5, (StoreError, "Input/output error")),
        ("fsync", 5, (StoreError, "Input/output error")),
        ("fsync", 122, (StoreRefused, "store disk full")),
        ("write", 116, (StoreUnreachable, "Stale")),
        ("write", 30, (StoreRefused, "Read-only")),
    ],
)
async def test_a_disk_that_fails_costs_the_part_and_says_why(
    root: Path,
    shipment: Shipment,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    expected: tuple[type[StoreError], str],
) -> None:
    (root / "objects").mkdir()
    (root / "incoming").mkdir()
    kind, words = expected
    with failing(monkeypatch, call, number), pytest.raises(kind, match=words):
        await send(root, shipment)
    assert list((root / "objects").iterdir()) == list((root / "incoming").iterdir()) == []
    await send(root, shipment)


async def test_where_renaming_without_replacing_is_unknown_a_link_does_the_same(
    root: Path, shipment: Shipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_flags(*_: object, **__: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(part_module, "rename_new", no_flags)
    await send(root, shipment)
    found = root / "objects" / shipment.sha256
    assert found.read_bytes() == shipment.file.read_bytes()
    assert found.stat().st_nlink == 1
    assert not part_of(root, shipment).exists()


def test_the_reader_of_parts_starts_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"abc")
    with part_module.StoredPart(tmp_path / "x.part") as part:
        reader = part.blocks()
        assert isinstance(reader, BlockReader)
        assert b"".join(bytes(block) for block in reader) == b"abc"
        part.write(b"d")
        part.keep()
    assert (tmp_path / "x.part").read_bytes() == b"abcd"


async def test_a_mount_point_without_its_store_has_lost_nothing(tmp_path: Path) -> None:
    """Unmounted, it is an empty folder, or one in which an earlier mishap has left its own."""
    root = tmp_path / "nas"
    root.mkdir()
    store = DirectoryStore("nas", root, lambda: datetime.now(UTC), allow_unsafe=True)
    shipment = make_shipment(tmp_path, b"evidence")
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    await store.close()
    root.rename(tmp_path / "elsewhere")
    for made in (root, root / "objects"):
        made.mkdir()
        later = DirectoryStore("nas", root, lambda: datetime.now(UTC), allow_unsafe=True)
        assert later.still_holds is not None
        with pytest.raises(StoreUnreachable):
            await later.still_holds(receipt)
        await later.close()
    assert sorted(path.name for path in root.iterdir()) == ["objects"], "a question makes nothing"


def in_use(root: Path) -> list[Path]:
    return list(root.iterdir())


@pytest.mark.parametrize("at_start", ["the store", "the bare mount point"])
async def test_what_is_mounted_after_the_start_is_not_taken_for_what_was_there_when_it_was_judged(
    root: Path, tmp_path: Path, at_start: str
) -> None:
    """Unmounted before its first use, the directory would be the station's own disk, and its receipts worth nothing."""
    place, spool = tmp_path / "mount", tmp_path / "state" / "spool"
    spool.mkdir(parents=True)
    first, then = (PROC, root) if at_start == "the store" else (root, PROC)
    place.symlink_to(first)
    settings = StoreSettings("nas", place.as_uri(), ReceiptKind.READBACK)
    opened = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=spool, allow_unsafe=True)
    place.unlink()
    place.symlink_to(then)
    shipment = make_shipment(tmp_path, b"evidence")
    assert opened.store.find is not None
    with pytest.raises(StoreUnreachable, match="no longer the file system it was") as caught:
        await opened.store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    assert "restart the agent" in caught.value.hint
    with pytest.raises(StoreUnreachable):
        await opened.store.find(shipment)
    with pytest.raises(StoreUnreachable):
        await opened.store.prove(shipment, f"objects/{shipment.sha256}", ReceiptKind.READBACK)
    await opened.store.close()
    assert in_use(root) == []


async def test_a_directory_that_appears_after_the_start_is_used_and_counts_as_this_machine(tmp_path: Path) -> None:
    settings = StoreSettings("nas", (tmp_path / "nas").as_uri(), ReceiptKind.READBACK)
    opened = open_store(
        settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path, allow_unsafe=True
    )
    (tmp_path / "nas").mkdir()
    await opened.store.send(make_shipment(tmp_path, b"evidence"), None, Transfer(), Hints(Transfer()).keep)
    assert opened.same_machine
    await opened.store.close()
