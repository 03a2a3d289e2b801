"""The contract of every camera, held against a real MTP stack.

What MTP cannot hold is overridden, with what happens instead.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clip import Entry
from agent.core.errors import CameraGone, ClipChanged, ClipUnreadable
from agent.ports import Camera, Refused
from tests.contracts.camera_contract import (
    FEW_BLOCKS,
    CameraCard,
    CameraContract,
    alter_unnoticed,
    content_of,
    entry_of,
    listing,
    mark_of,
    names,
)
from tests.mtp.card import NS_PER_S, MtpCard, mtp_card
from tests.mtp.responder import is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="umtp-responder is not installed: scripts/tools installs it")


def touch_later(path: Path) -> None:
    mtime_ns = path.stat().st_mtime_ns + NS_PER_S
    os.utime(path, ns=(mtime_ns, mtime_ns))


class TestMtp(CameraContract):
    @pytest.fixture
    def camera_card(self, tmp_path: Path) -> Iterator[CameraCard]:
        with mtp_card(tmp_path) as card:
            yield card

    # ---- listing: MTP carries names as UTF-16 of at most 255 characters, and plain files only

    @pytest.mark.parametrize(
        "name",
        [b"a\nb.MP4", b"\x1b[31m.MP4", b"n" * 200, b"-rf", b"..x", "ß\u202e.mp4".encode(), b"a\\b", b"a b%2F.mp4"],
    )
    async def test_a_name_is_listed_as_its_very_bytes(
        self, camera: Camera, camera_card: CameraCard, name: bytes
    ) -> None:
        path = camera_card.put(b"DCIM/" + name, b"12345")
        (row,) = await listing(camera)
        assert row == entry_of(camera_card, path)
        assert isinstance(row, Entry)
        assert await content_of(camera, row) == b"12345"

    @pytest.mark.parametrize("name", [b"\xff\xfe.MP4", "\U0001f600.mp4".encode()])
    async def test_a_name_that_the_camera_cannot_say_is_refused(
        self, camera: Camera, camera_card: CameraCard, name: bytes
    ) -> None:
        camera_card.put(b"DCIM/" + name)
        assert await listing(camera) == [Refused(b"DCIM/?", "unusable_name")]

    async def test_what_is_no_plain_file_is_refused_with_its_reason(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        """The camera shows no kinds and no permissions: links are what they lead to, pipes are empty files."""
        outside = camera_card.root.parent / "outside"
        outside.write_bytes(b"secret")
        (camera_card.root / "link.mp4").symlink_to(outside)
        os.mkfifo(camera_card.root / "pipe.mp4")
        camera_card.put(b"suid.mp4").chmod(0o4755)
        assert await names(camera) == {b"link.mp4", b"pipe.mp4", b"suid.mp4"}

    async def test_a_device_node_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        """It is shown as an empty file, and nothing is read of one."""
        os.mknod(camera_card.root / "null.mp4", 0o20644, os.makedev(0, 0))
        (row,) = await listing(camera)
        assert isinstance(row, Entry)
        assert await content_of(camera, row) == b""

    async def test_a_file_beyond_4_gib_is_listed_with_its_size(self, camera: Camera, camera_card: CameraCard) -> None:
        """A camera says that its size does not fit; the real one cannot be had from it, and it stays where it is."""
        assert isinstance(camera_card, MtpCard)
        os.truncate(camera_card.put(b"long.mp4"), (1 << 32) - 1)
        rows = await listing(camera)
        assert rows == [Refused(b"long.mp4", "size_untrusted")]
        with pytest.raises(ClipUnreadable, match="size_untrusted"):
            await content_of(camera, entry_of(camera_card, camera_card.root / "long.mp4"))

    async def test_a_file_larger_than_the_medium_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        """No size that MTP can tell is larger than this machine's disk; test_mtp.py has a camera with a small one."""
        os.truncate(camera_card.put(b"large.mp4"), 2 << 30)
        assert await names(camera) == {b"large.mp4"}

    async def test_a_path_that_no_program_could_name_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        """The responder names its files by such a path itself, and shows what it can name; the rest is read as ever."""
        camera_card.put(b"/".join([b"d" * 200] * 9) + b"/a.mp4")
        (row,) = await listing(camera)
        assert isinstance(row, Entry)
        assert await content_of(camera, row) == b"clip"

    async def test_exists_tells_files_and_directories_only(self, camera: Camera, camera_card: CameraCard) -> None:
        """Without links, which the camera resolves."""
        camera_card.put(b"DCIM/a.mp4")
        asked = (b"DCIM", b"DCIM/a.mp4", b"none", b"none/none", b"DCIM/a.mp4/x", b"x" * 300)
        assert await camera.exists(asked) == {b"DCIM", b"DCIM/a.mp4"}

    async def test_a_symlink_is_never_followed(self, camera: Camera, camera_card: CameraCard) -> None:
        """Not by us: what the camera does inside is its own affair, and no path of ours leads out of its storage."""
        (camera_card.root / "dir").symlink_to(camera_card.root.parent)
        with pytest.raises(ClipUnreadable):
            await content_of(camera, Entry(b"dir/../outside", 6, 0))

    # ---- reading: MTP tells size and time, the time in whole seconds, and nothing else about a file

    async def test_a_file_that_changed_since_the_listing_is_not_read(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"1234")
        entry = entry_of(camera_card, path)
        camera_card.put(b"a.mp4", b"12345")
        with pytest.raises(ClipChanged):
            await content_of(camera, entry)
        path.write_bytes(b"1234")
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns + NS_PER_S))
        with pytest.raises(ClipChanged):
            await content_of(camera, entry)

    @pytest.mark.parametrize("mode", ["append", "touch", "truncate"])
    async def test_a_file_that_changes_while_it_is_read_is_not_accepted(
        self, camera: Camera, camera_card: CameraCard, mode: str
    ) -> None:
        path = camera_card.put(b"a.mp4", os.urandom(FEW_BLOCKS))
        entry = entry_of(camera_card, path)
        done: list[str] = []

        def change_once(_block: memoryview, /) -> None:
            if done:
                return
            done.append(mode)
            match mode:
                case "append":
                    with path.open("ab") as file:
                        file.write(b"more")
                case "touch":
                    touch_later(path)
                case _:
                    os.truncate(path, FEW_BLOCKS - 1)

        with pytest.raises((ClipChanged, ClipUnreadable)):
            await camera.read(entry, change_once)
        assert done

    async def test_a_change_after_the_last_byte_was_sent_is_still_seen(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"short enough to lie in the pipe whole")
        with pytest.raises(ClipChanged):
            await camera.read(entry_of(camera_card, path), lambda _block, /: touch_later(path))

    async def test_a_rewrite_after_the_last_byte_was_sent_is_seen_though_size_and_mtime_are_as_before(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        """It is not: only the last look, which reads all bytes again, sees it."""
        path = camera_card.put(b"a.mp4", b"short enough to lie in the pipe whole")
        entry = entry_of(camera_card, path)
        done: list[None] = []

        def alter_once(_block: memoryview, /) -> None:
            if not done:
                alter_unnoticed(path)
                done.append(None)

        await camera.read(entry, alter_once)
        assert await content_of(camera, entry, fresh=True) == path.read_bytes()

    async def test_a_mark_stays_with_an_untouched_file_and_is_its_own(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        """Touched means: another size or time."""
        first, second = (entry_of(camera_card, camera_card.put(name)) for name in (b"a.mp4", b"b.mp4"))
        mark = await mark_of(camera, first)
        assert await mark_of(camera, first) == mark
        assert await mark_of(camera, second) != mark
        touch_later(camera_card.root / "a.mp4")
        assert await mark_of(camera, entry_of(camera_card, camera_card.root / "a.mp4")) != mark

    # ---- wiping: never, since libgphoto2 can delete everything instead of one file

    async def test_such_a_camera_is_never_cleared(self, camera: Camera) -> None:
        """Instead of all the cases below."""
        assert camera.wiper is None

    # ---- leaving

    async def test_a_camera_that_was_pulled_is_gone_and_not_empty(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        entry = entry_of(camera_card, camera_card.put(b"a.mp4"))
        camera_card.pull()
        with pytest.raises(CameraGone):
            await listing(camera)
        with pytest.raises(CameraGone):
            await camera.exists((b"a.mp4",))
        with pytest.raises(CameraGone):
            await content_of(camera, entry)
        with pytest.raises(CameraGone):
            await camera.renew()


for case in (
    CameraContract.test_a_wipe_removes_only_the_named_file,
    CameraContract.test_a_wipe_leaves_directories_even_empty_ones,
    CameraContract.test_a_file_that_is_not_the_listed_one_is_not_wiped,
    CameraContract.test_a_file_that_was_touched_since_it_was_read_is_not_wiped_though_size_and_mtime_are_as_before,
    CameraContract.test_a_mark_of_another_file_wipes_nothing,
    CameraContract.test_no_symlink_is_wiped_nor_what_it_points_to,
    CameraContract.test_a_file_that_somebody_still_writes_to_is_not_wiped,
    CameraContract.test_nothing_is_wiped_without_an_open_window,
    CameraContract.test_a_wiped_clip_can_no_longer_be_read,
):
    setattr(TestMtp, case.__name__, None)
