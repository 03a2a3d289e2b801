"""The MTP driver against a real MTP stack, and against what cameras and cables do to it."""

import asyncio
import hashlib
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import CameraGone, ClipChanged, ClipUnreadable, MediumReadOnly, ReaderStalled
from agent.devices.reader.camera import ReaderCamera, ReaderWiper, open_camera
from agent.ports import Docked, Refused
from tests.contracts.camera_contract import Bytes, content_of, entry_of, listing, mark_of, names
from tests.mtp.bridge import (
    GET_DEVICE_INFO,
    GET_OBJECT,
    GET_OBJECT_INFO,
    GET_PARTIAL_OBJECT,
    GET_PARTIAL_OBJECT_64,
    GET_STORAGE_INFO,
)
from tests.mtp.card import MtpCard, mtp_card, opened
from tests.mtp.responder import is_installed

MIB = 1 << 20
HARMLESS = {*range(0x1001, 0x100B), 0x1014, 0x1015, GET_PARTIAL_OBJECT, GET_PARTIAL_OBJECT_64, 0x9801, 0x9803, 0x9805}
"""Opens and closes the session, and gets: device, storages, handles, objects, properties. 0x100B deletes."""

pytestmark = pytest.mark.skipif(not is_installed(), reason="umtp-responder is not installed: scripts/tools installs it")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[MtpCard]:
    with mtp_card(tmp_path) as card:
        yield card


def peak_memory_kb(camera: ReaderCamera) -> int:
    status = Path(f"/proc/{camera._process.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


async def test_a_camera_says_who_it_is(card: MtpCard) -> None:
    async with opened(card) as camera:
        facts = camera.facts
    assert (facts.serial, facts.model, facts.firmware) == ("BC2-0001", "BodyCam Two", "4.1.0")
    assert facts.battery_percent is None
    assert facts.capacity_bytes
    assert camera.wiper is None


async def test_no_camera_at_a_usb_port_is_a_camera_that_is_gone() -> None:
    with pytest.raises(CameraGone):
        await open_camera(Docked(BayName("1"), "mtp", "usb:255,127", "token"), stall_s=5)


async def test_nothing_on_a_camera_is_ever_changed(card: MtpCard) -> None:
    """libgphoto2 can turn the deletion of one file into that of all, so it is asked for none."""
    content = os.urandom(9 * MIB)
    entry = entry_of(card, card.put(b"DCIM/100BWC/a.mp4", content))
    async with opened(card) as camera:
        for _ in range(2):
            assert await names(camera) == {entry.path}
            assert await content_of(camera, entry) == content
            assert await content_of(camera, entry, fresh=True) == content
            assert await camera.exists((entry.path,)) == {entry.path}
            await camera.renew()
        mark = await mark_of(camera, entry)
        wiper = ReaderWiper(camera)  # which the camera does not offer
        with pytest.raises(MediumReadOnly, match="cannot be cleared by the station"):
            await wiper.open_window()
        with pytest.raises(MediumReadOnly, match="cannot be cleared by the station"):
            await wiper.wipe(entry, mark)
        assert await content_of(camera, entry) == content
    assert {operation for operation, _ in card.bridge.seen} <= HARMLESS


async def test_several_storages_stand_in_front_of_their_paths(tmp_path: Path) -> None:
    with mtp_card(tmp_path, "second") as card:
        (tmp_path / "second" / "b.mp4").write_bytes(b"two")
        card.put(b"a.mp4", b"one")
        async with opened(card) as camera:
            rows = [row for row in await listing(camera) if isinstance(row, Entry)]
            assert [row.path.partition(b"/")[2] for row in rows] == [b"a.mp4", b"b.mp4"]
            assert [await content_of(camera, row) for row in rows] == [b"one", b"two"]
            storage = rows[0].path.partition(b"/")[0]
            assert await camera.exists((storage + b"/a.mp4", b"a.mp4")) == {storage + b"/a.mp4"}


def test_no_responder_outlives_a_test_run_that_was_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.mtp.responder", str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:  # noqa: S603 - our own
        assert run.stdout is not None
        responder = os.pidfd_open(int(run.stdout.readline()))
        run.kill()
        assert select.select([responder], [], [], 10)[0]
        os.close(responder)


# ---- broken connections


async def test_a_pull_goes_on_at_its_offset_after_the_connection_was_lost(card: MtpCard) -> None:
    content = os.urandom(64 * MIB)
    entry = entry_of(card, card.put(b"DCIM/a.mp4", content))
    async with opened(card) as camera:
        card.bridge.cuts = [30 * MIB]
        got = await content_of(camera, entry)
    assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
    assert card.bridge.cuts == []
    assert card.bridge.file_bytes <= 1.1 * len(content)


async def test_each_piece_gets_a_second_try_but_none_a_third(card: MtpCard) -> None:
    content = os.urandom(20 * MIB)
    entry = entry_of(card, card.put(b"a.mp4", content))
    async with opened(card) as camera:
        card.bridge.cuts = [1 * MIB, 6 * MIB, 15 * MIB]
        assert await content_of(camera, entry) == content
        card.bridge.cuts = [0, 0]
        with pytest.raises(ClipUnreadable):
            await content_of(camera, entry)
        assert await content_of(camera, entry) == content


async def test_a_file_that_is_another_one_after_the_connection_was_lost_is_not_mixed_up(card: MtpCard) -> None:
    path = card.put(b"a.mp4", os.urandom(32 * MIB))
    entry = entry_of(card, path)

    def change_and_cut(_block: memoryview, /) -> None:
        if path.stat().st_size == entry.size_bytes:
            os.truncate(path, entry.size_bytes + 1)
            card.bridge.cuts = [0]

    async with opened(card) as camera:
        with pytest.raises(ClipChanged):
            await camera.read(entry, change_and_cut)


async def test_a_camera_that_hangs_is_given_up_and_its_reader_killed(card: MtpCard) -> None:
    entry = entry_of(card, card.put(b"a.mp4", bytes(32 * MIB)))
    async with opened(card, stall_s=1) as camera:
        with pytest.raises(ReaderStalled):
            await camera.read(entry, card.responder.freeze)
        async with asyncio.timeout(5):
            await camera._process._life.ended.wait()


@pytest.mark.parametrize("at", [1, 20, 35, 50])
async def test_a_lost_connection_in_the_middle_of_a_listing_hides_nothing(card: MtpCard, at: int) -> None:
    for number in range(30):
        card.put(b"DCIM/%02d/a.mp4" % number)
    async with opened(card) as camera:
        assert len(await names(camera)) == 30
        seen = [0]

        def cut_once(operation: int) -> None:
            if operation == GET_OBJECT_INFO:
                seen[0] += 1
                card.bridge.cut_now = seen[0] == at

        card.bridge.before = cut_once
        with_cut = await names(camera)
        assert seen[0] > at
        assert with_cut == {b"DCIM/%02d/a.mp4" % number for number in range(30)}
        card.bridge.before = lambda operation: card.pull() if operation == GET_OBJECT_INFO else None
        with pytest.raises(CameraGone):
            await listing(camera)


# ---- sizes


async def test_a_recording_that_is_longer_than_its_camera_says_is_not_taken_for_whole(card: MtpCard) -> None:
    """This very responder shows 5 GiB as 1 GiB."""
    head = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4sQ", 1, b"mdat", 5 << 30)
    path = card.put(b"a.mp4", head)
    os.truncate(path, 16 + (5 << 30))
    async with opened(card) as camera:
        (row,) = await listing(camera)
        assert isinstance(row, Entry)
        assert row.size_bytes == 16 + (1 << 30)
        with pytest.raises(ClipUnreadable, match="size_untrusted"):
            await camera.read(row, Bytes())


async def test_a_file_larger_than_all_storage_is_refused(card: MtpCard) -> None:
    card.put(b"a.mp4", bytes(2 * MIB))
    card.put(b"b.mp4", bytes(1 * MIB))

    def small(operation: int, data: bytes) -> bytes:
        return data[:6] + struct.pack("<Q", MIB) + data[14:] if operation == GET_STORAGE_INFO else data

    card.bridge.rewrite = small
    async with opened(card) as camera:
        assert camera.facts.capacity_bytes == MIB
        assert Refused(b"a.mp4", "larger_than_medium") in await listing(camera)


async def test_a_camera_that_gives_only_whole_files_is_read_in_one_go(card: MtpCard) -> None:
    partial = struct.pack("<H", GET_PARTIAL_OBJECT), struct.pack("<H", GET_PARTIAL_OBJECT_64)

    def without(operation: int, data: bytes) -> bytes:
        for code in partial if operation == GET_DEVICE_INFO else ():
            data = data.replace(code, struct.pack("<H", GET_OBJECT), 1)
        return data

    card.bridge.rewrite = without
    content = os.urandom(24 * MIB + 5)
    entry = entry_of(card, card.put(b"a.mp4", content))
    async with opened(card) as camera:
        assert await content_of(camera, entry) == content

        def full(_block: memoryview, /) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await camera.read(entry, full)
        assert await content_of(camera, entry) == content
        peak_kb = peak_memory_kb(camera)
    assert GET_PARTIAL_OBJECT not in [operation for operation, _ in card.bridge.seen]
    assert peak_kb < 60_000  # the file never lies in memory
