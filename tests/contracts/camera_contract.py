"""What every camera behind a reader does, whatever its driver. Subclass and give a `camera_card` fixture."""

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.core.clip import Entry
from agent.core.errors import CameraGone, ClipChanged, ClipUnreadable, SpoolError
from agent.ports import Camera, CameraOpener, Docked, Mark, Refused

STALL_S = 20.0
FEW_BLOCKS = 8 << 20
NO_MARK = Mark("0:0:0")
PATH_MAX = 4096


@dataclass(frozen=True, slots=True)
class CameraCard:
    """A docked camera, the directory that is its medium, how to open it and how to pull it out."""

    docked: Docked
    root: Path
    opener: CameraOpener
    pull: Callable[[], None]

    def put(self, name: bytes, content: bytes = b"clip") -> Path:
        path = Path(os.fsdecode(os.fsencode(self.root) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def put_below(root: Path, path: bytes, content: bytes = b"clip") -> None:
    """Write a file whose whole path no system call would take."""
    *folders, name = path.split(b"/")
    here = os.open(root, os.O_RDONLY)
    for folder in folders:
        with suppress(FileExistsError):
            os.mkdir(folder, dir_fd=here)
        below = os.open(folder, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=here)
    os.write(fd, content)
    os.close(fd)
    os.close(here)


class Bytes:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.content = bytearray()

    def __call__(self, block: memoryview, /) -> None:
        self.content += block


def entry_of(card: CameraCard, path: Path) -> Entry:
    facts = path.lstat()
    return Entry(os.fsencode(path.relative_to(card.root)), facts.st_size, facts.st_mtime_ns)


async def listing(camera: Camera) -> list[Entry | Refused]:
    return [row async for batch in camera.list() for row in batch]


async def names(camera: Camera) -> set[bytes]:
    return {row.path for row in await listing(camera)}


async def content_of(camera: Camera, entry: Entry, *, fresh: bool = False) -> bytes:
    sink = Bytes()
    await camera.read(entry, sink, fresh=fresh)
    return bytes(sink.content)


async def mark_of(camera: Camera, entry: Entry) -> Mark:
    return await camera.read(entry, Bytes())


def alter_unnoticed(path: Path) -> None:
    """Other bytes in the very file, with its size kept and its mtime put back."""
    facts = path.stat()
    with path.open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 0xFF]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def replace_unnoticed(path: Path) -> None:
    """Another file of the same size and mtime under the name."""
    facts = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(facts.st_size))
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.rename(path)


def link_beside(path: Path) -> None:
    path.with_name("second name").hardlink_to(path)


class CameraContract:
    """The tests. `camera` is the opened one."""

    @pytest.fixture
    async def camera(self, camera_card: CameraCard) -> AsyncIterator[Camera]:
        camera = await camera_card.opener(camera_card.docked, stall_s=STALL_S)
        yield camera
        await camera.close()

    # ---- listing

    @pytest.mark.parametrize(
        "name",
        [b"\xff\xfe.MP4", b"a\nb.MP4", b"\x1b[31m.MP4", b"n" * 255, b"-rf", b"..x", "ß\u202e.mp4".encode(), b"a\\b"],
    )
    async def test_a_name_is_listed_as_its_very_bytes(
        self, camera: Camera, camera_card: CameraCard, name: bytes
    ) -> None:
        path = camera_card.put(b"DCIM/" + name, b"12345")
        assert await listing(camera) == [entry_of(camera_card, path)]

    async def test_names_equal_to_the_eye_are_two_files(self, camera: Camera, camera_card: CameraCard) -> None:
        composed, decomposed = "\u00e9.mp4".encode(), "e\u0301.mp4".encode()
        for name in (composed, decomposed, b"A.mp4", b"a.mp4"):
            camera_card.put(name)
        assert await names(camera) == {composed, decomposed, b"A.mp4", b"a.mp4"}

    async def test_an_empty_camera_lists_nothing(self, camera: Camera, camera_card: CameraCard) -> None:
        (camera_card.root / "DCIM").mkdir()
        assert await listing(camera) == []

    async def test_a_listing_is_sorted_within_a_directory(self, camera: Camera, camera_card: CameraCard) -> None:
        for name in (b"c", b"a", b"d/2", b"d/1", b"b"):
            camera_card.put(name)
        assert [row.path for row in await listing(camera)] == [b"a", b"b", b"c", b"d/1", b"d/2"]

    async def test_a_long_listing_comes_in_small_batches(self, camera: Camera, camera_card: CameraCard) -> None:
        for number in range(1234):
            camera_card.put(b"%04d" % number, b"")
        sizes = [len(batch) async for batch in camera.list()]
        assert sum(sizes) == 1234
        assert max(sizes) <= 500

    async def test_what_is_no_plain_file_is_refused_with_its_reason(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        outside = camera_card.root.parent / "outside"
        outside.write_bytes(b"secret")
        (camera_card.root / "link.mp4").symlink_to(outside)
        (camera_card.root / "link_dir").symlink_to(camera_card.root.parent)
        os.mkfifo(camera_card.root / "pipe.mp4")
        camera_card.put(b"suid.mp4").chmod(0o4755)
        with socket.socket(socket.AF_UNIX) as listening:
            descriptor = os.open(camera_card.root, os.O_RDONLY)
            listening.bind(f"/proc/self/fd/{descriptor}/sock.mp4")
            os.close(descriptor)
        assert await listing(camera) == [
            Refused(b"link.mp4", "symlink"),
            Refused(b"link_dir", "symlink"),
            Refused(b"pipe.mp4", "fifo"),
            Refused(b"sock.mp4", "socket"),
            Refused(b"suid.mp4", "setuid"),
        ]

    async def test_a_device_node_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        os.mknod(camera_card.root / "null.mp4", 0o20644, os.makedev(0, 0))  # the one device that anybody may make
        assert await listing(camera) == [Refused(b"null.mp4", "device")]

    async def test_two_names_of_one_file_are_two_entries(self, camera: Camera, camera_card: CameraCard) -> None:
        first = camera_card.put(b"a.mp4", b"same")
        (camera_card.root / "b.mp4").hardlink_to(first)
        rows = await listing(camera)
        assert [row.path for row in rows] == [b"a.mp4", b"b.mp4"]
        assert [await content_of(camera, row) for row in rows if isinstance(row, Entry)] == [b"same", b"same"]

    async def test_a_file_beyond_4_gib_is_listed_with_its_size(self, camera: Camera, camera_card: CameraCard) -> None:
        os.truncate(camera_card.put(b"long.mp4"), (5 << 30) + 1)
        rows = await listing(camera)
        assert [row.size_bytes for row in rows if isinstance(row, Entry)] == [(5 << 30) + 1]

    async def test_a_file_larger_than_the_medium_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        facts = os.statvfs(camera_card.root)
        os.truncate(camera_card.put(b"huge.mp4"), max(1 << 40, (facts.f_blocks + 1) * facts.f_frsize))
        assert await listing(camera) == [Refused(b"huge.mp4", "larger_than_medium")]

    async def test_a_path_that_no_program_could_name_is_refused(self, camera: Camera, camera_card: CameraCard) -> None:
        folder = b"/".join([b"d" * 240] * 16) + b"/"
        longest = folder + b"e" * 240
        assert len(longest) == PATH_MAX
        for path in (longest, folder + b"f" * 241, folder + b"g" * 240 + b"/h", folder + b"i" * 241 + b"/j"):
            put_below(camera_card.root, path)
        rows = await listing(camera)
        assert rows[1:] == [
            Refused(folder + b"f" * 241, "path_too_long"),
            Refused(folder + b"g" * 240 + b"/h", "path_too_long"),
            Refused(folder + b"i" * 241, "path_too_long"),
        ]
        assert isinstance(rows[0], Entry)
        assert rows[0].path == longest
        assert await content_of(camera, rows[0]) == b"clip"

    async def test_only_so_many_levels_are_entered(self, camera: Camera, camera_card: CameraCard) -> None:
        camera_card.put(b"d/" * 40 + b"deep.mp4")
        camera_card.put(b"e/" * 41 + b"too_deep.mp4")
        rows = await listing(camera)
        assert [row for row in rows if isinstance(row, Refused)] == [Refused((b"e/" * 41)[:-1], "too_deep")]
        (deep,) = [row for row in rows if isinstance(row, Entry)]
        assert await content_of(camera, deep) == b"clip"

    async def test_each_listing_is_fresh_and_ends_the_one_before(self, camera: Camera, camera_card: CameraCard) -> None:
        camera_card.put(b"a")
        assert await names(camera) == {b"a"}
        camera_card.put(b"b")
        assert await names(camera) == {b"a", b"b"}

    async def test_a_clip_can_be_read_while_the_listing_goes_on(self, camera: Camera, camera_card: CameraCard) -> None:
        for number in range(700):
            camera_card.put(b"%04d" % number, b"%d" % number)
        read = 0
        async for batch in camera.list():
            for row in batch[:3]:
                assert isinstance(row, Entry)
                assert await content_of(camera, row) == b"%d" % int(row.path)
                read += 1
        assert read == 6

    async def test_exists_tells_files_and_directories_only(self, camera: Camera, camera_card: CameraCard) -> None:
        camera_card.put(b"DCIM/a.mp4")
        (camera_card.root / "link").symlink_to("DCIM")
        asked = (b"DCIM", b"DCIM/a.mp4", b"link", b"link/a.mp4", b"none", b"none/none", b"DCIM/a.mp4/x", b"x" * 300)
        assert await camera.exists(asked) == {b"DCIM", b"DCIM/a.mp4"}

    async def test_more_paths_than_fit_one_question_are_asked_for(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        camera_card.put(b"there")
        assert await camera.exists((*(b"%0200d" % number for number in range(500)), b"there")) == {b"there"}

    # ---- reading

    @pytest.mark.parametrize("size", [0, 1, 65536, (1 << 20) - 1, 1 << 20, (3 << 20) + 17])
    @pytest.mark.parametrize("fresh", [False, True])
    async def test_a_reading_gives_the_exact_bytes(
        self, camera: Camera, camera_card: CameraCard, size: int, fresh: bool
    ) -> None:
        content = os.urandom(size)
        entry = entry_of(camera_card, camera_card.put(b"a.mp4", content))
        got = await content_of(camera, entry, fresh=fresh)
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()

    async def test_a_missing_file_is_unreadable(self, camera: Camera, camera_card: CameraCard) -> None:
        for path in (b"none.mp4", b"none/none.mp4"):
            with pytest.raises(ClipUnreadable) as caught:
                await content_of(camera, Entry(path, 4, 0))
            assert not isinstance(caught.value, ClipChanged)
        assert await content_of(camera, entry_of(camera_card, camera_card.put(b"a"))) == b"clip"

    @pytest.mark.parametrize("path", [b"../outside", b"/etc/hostname", b"a/../../outside", b"", b".", b"a\0b"])
    async def test_no_path_leads_out_of_the_camera(self, camera: Camera, camera_card: CameraCard, path: bytes) -> None:
        camera_card.put(b"a/b")
        outside = camera_card.root.parent / "outside"
        outside.write_bytes(b"secret")
        facts = outside.stat()
        with pytest.raises(ClipUnreadable):
            await content_of(camera, Entry(path, facts.st_size, facts.st_mtime_ns))

    async def test_a_symlink_is_never_followed(self, camera: Camera, camera_card: CameraCard) -> None:
        outside = camera_card.root.parent / "outside"
        outside.mkdir()
        secret = outside / "secret"
        secret.write_bytes(b"secret")
        (camera_card.root / "link").symlink_to(secret)
        (camera_card.root / "dir").symlink_to(outside)
        facts = secret.stat()
        for path in (b"link", b"dir/secret"):
            with pytest.raises(ClipUnreadable):
                await content_of(camera, Entry(path, facts.st_size, facts.st_mtime_ns))

    async def test_a_fifo_does_not_hang_a_reading(self, camera: Camera, camera_card: CameraCard) -> None:
        os.mkfifo(camera_card.root / "pipe")
        with pytest.raises(ClipUnreadable):
            await content_of(camera, entry_of(camera_card, camera_card.root / "pipe"))

    async def test_a_file_that_changed_since_the_listing_is_not_read(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"1234")
        entry = entry_of(camera_card, path)
        sink = Bytes()
        path.write_bytes(b"12345")
        with pytest.raises(ClipChanged):
            await camera.read(entry, sink)
        path.write_bytes(b"1234")
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns + 1))
        with pytest.raises(ClipChanged):
            await camera.read(entry, sink)
        assert not sink.content

    @pytest.mark.parametrize("mode", ["append", "touch", "replace", "truncate", "rewrite"])
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
                    os.utime(path)
                case "replace":
                    other = camera_card.put(b"b.mp4", bytes(FEW_BLOCKS))
                    os.utime(other, ns=(entry.mtime_ns, entry.mtime_ns))
                    other.rename(path)
                case "rewrite":
                    alter_unnoticed(path)
                case _:
                    os.truncate(path, FEW_BLOCKS - 1)

        with pytest.raises(ClipChanged):
            await camera.read(entry, change_once)
        assert done

    async def test_a_change_after_the_last_byte_was_sent_is_still_seen(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"short enough to lie in the pipe whole")
        with pytest.raises(ClipChanged):
            await camera.read(entry_of(camera_card, path), lambda _block, /: os.utime(path))

    async def test_a_rewrite_after_the_last_byte_was_sent_is_seen_though_size_and_mtime_are_as_before(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"short enough to lie in the pipe whole")
        with pytest.raises(ClipChanged):
            await camera.read(entry_of(camera_card, path), lambda _block, /: alter_unnoticed(path))

    async def test_a_mark_stays_with_an_untouched_file_and_is_its_own(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        first, second = (entry_of(camera_card, camera_card.put(name)) for name in (b"a.mp4", b"b.mp4"))
        mark = await mark_of(camera, first)
        assert await camera.read(first, Bytes(), fresh=True) == mark
        assert await mark_of(camera, second) != mark
        alter_unnoticed(camera_card.root / "a.mp4")
        assert await mark_of(camera, first) != mark

    async def test_an_error_of_the_sink_comes_through_and_the_reader_stays_usable(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        content = os.urandom(FEW_BLOCKS)
        entry = entry_of(camera_card, camera_card.put(b"a.mp4", content))

        def full(_block: memoryview, /) -> None:
            raise SpoolError("no space")

        for _ in range(3):
            with pytest.raises(SpoolError, match="no space"):
                await camera.read(entry, full)
        assert await content_of(camera, entry) == content

    async def test_a_cancelled_reading_stops_its_sink_and_leaves_the_reader_usable(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        content = os.urandom(FEW_BLOCKS)
        entry = entry_of(camera_card, camera_card.put(b"a.mp4", content))
        loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        blocks: list[int] = []

        def slow(block: memoryview, /) -> None:
            blocks.append(len(block))
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(20)

        reading = asyncio.create_task(camera.read(entry, slow))
        async with asyncio.timeout(20):
            await begun.wait()
        reading.cancel()
        loop.call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert go_on.is_set()  # the running block was waited for
        assert len(blocks) == 1  # and there was no other
        assert await content_of(camera, entry) == content
        assert await names(camera) == {b"a.mp4"}

    async def test_readings_asked_for_together_do_not_mix(self, camera: Camera, camera_card: CameraCard) -> None:
        contents = [bytes([number]) * ((2 << 20) + number) for number in range(5)]
        entries = [entry_of(camera_card, camera_card.put(b"%d" % n, each)) for n, each in enumerate(contents)]
        assert await asyncio.gather(*(content_of(camera, entry) for entry in entries)) == contents

    async def test_a_small_file_is_read_whole_or_not_at_all(self, camera: Camera, camera_card: CameraCard) -> None:
        camera_card.put(b"MARK/flag.txt", b"event")
        camera_card.put(b"large.txt", bytes(101))
        assert await camera.read_small(b"MARK/flag.txt") == b"event"
        assert await camera.read_small(b"MARK/flag.txt", limit_bytes=5) == b"event"
        for path, limit in ((b"large.txt", 100), (b"MARK/flag.txt", 4), (b"none", 100), (b"MARK", 100)):
            with pytest.raises(ClipUnreadable) as caught:
                await camera.read_small(path, limit_bytes=limit)
            assert not isinstance(caught.value, ClipChanged)

    # ---- wiping

    async def test_a_wipe_removes_only_the_named_file(self, camera: Camera, camera_card: CameraCard) -> None:
        entry = entry_of(camera_card, camera_card.put(b"DCIM/a.mp4"))
        camera_card.put(b"DCIM/b.mp4")
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        await camera.wiper.open_window()
        camera_card.put(b"DCIM/new.mp4")
        await camera.wiper.wipe(entry, mark)
        await camera.wiper.close_window()
        assert await names(camera) == {b"DCIM/b.mp4", b"DCIM/new.mp4"}
        assert not (camera_card.root / "DCIM/a.mp4").exists()

    async def test_a_wipe_leaves_directories_even_empty_ones(self, camera: Camera, camera_card: CameraCard) -> None:
        entry = entry_of(camera_card, camera_card.put(b"DCIM/100/a.mp4"))
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        await camera.wiper.open_window()
        await camera.wiper.wipe(entry, mark)
        with pytest.raises(ClipChanged):
            await camera.wiper.wipe(entry_of(camera_card, camera_card.root / "DCIM/100"), mark)
        await camera.wiper.close_window()
        assert (camera_card.root / "DCIM/100").is_dir()

    async def test_a_file_that_is_not_the_listed_one_is_not_wiped(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", b"1234")
        entry = entry_of(camera_card, path)
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        await camera.wiper.open_window()
        for other in (
            Entry(entry.path, entry.size_bytes + 1, entry.mtime_ns),
            Entry(entry.path, entry.size_bytes, entry.mtime_ns - 1),
            Entry(b"none", entry.size_bytes, entry.mtime_ns),
        ):
            with pytest.raises(ClipChanged):
                await camera.wiper.wipe(other, mark)
        await camera.wiper.close_window()
        assert await names(camera) == {b"a.mp4"}

    @pytest.mark.parametrize("change", [alter_unnoticed, replace_unnoticed, link_beside])
    async def test_a_file_that_was_touched_since_it_was_read_is_not_wiped_though_size_and_mtime_are_as_before(
        self, camera: Camera, camera_card: CameraCard, change: Callable[[Path], None]
    ) -> None:
        path = camera_card.put(b"a.mp4", b"1234")
        entry = entry_of(camera_card, path)
        mark = await mark_of(camera, entry)
        change(path)
        assert entry_of(camera_card, path) == entry
        there = path.read_bytes()
        assert camera.wiper is not None
        await camera.wiper.open_window()
        with pytest.raises(ClipChanged):
            await camera.wiper.wipe(entry, mark)
        assert path.read_bytes() == there
        await camera.wiper.wipe(entry, await mark_of(camera, entry))  # what was read since may go
        await camera.wiper.close_window()
        assert not path.exists()

    async def test_a_mark_of_another_file_wipes_nothing(self, camera: Camera, camera_card: CameraCard) -> None:
        first, second = (camera_card.put(name) for name in (b"a.mp4", b"b.mp4"))
        facts = first.stat()
        os.utime(second, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        mark = await mark_of(camera, entry_of(camera_card, first))
        assert camera.wiper is not None
        await camera.wiper.open_window()
        for wrong in (mark, NO_MARK, Mark("")):
            with pytest.raises(ClipChanged):
                await camera.wiper.wipe(entry_of(camera_card, second), wrong)
        await camera.wiper.close_window()
        assert await names(camera) == {b"a.mp4", b"b.mp4"}

    async def test_no_symlink_is_wiped_nor_what_it_points_to(self, camera: Camera, camera_card: CameraCard) -> None:
        target = camera_card.put(b"target")
        (camera_card.root / "link").symlink_to("target")
        facts = target.stat()
        mark = await mark_of(camera, entry_of(camera_card, target))
        assert camera.wiper is not None
        await camera.wiper.open_window()
        with pytest.raises(ClipChanged):
            await camera.wiper.wipe(Entry(b"link", facts.st_size, facts.st_mtime_ns), mark)
        await camera.wiper.close_window()
        assert target.exists()
        assert (camera_card.root / "link").is_symlink()

    async def test_a_file_that_somebody_still_writes_to_is_not_wiped(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4")
        entry = entry_of(camera_card, path)
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        await camera.wiper.open_window()
        with path.open("ab"), pytest.raises(ClipChanged, match="still writing"):
            await camera.wiper.wipe(entry, mark)
        assert path.exists()
        await camera.wiper.wipe(entry, mark)
        await camera.wiper.close_window()
        assert not path.exists()

    async def test_nothing_is_wiped_without_an_open_window(self, camera: Camera, camera_card: CameraCard) -> None:
        path = camera_card.put(b"a.mp4")
        entry = entry_of(camera_card, path)
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        with pytest.raises(Exception, match="no wipe window"):
            await camera.wiper.wipe(entry, mark)
        await camera.wiper.open_window()
        await camera.wiper.close_window()
        with pytest.raises(Exception, match="no wipe window"):
            await camera.wiper.wipe(entry, mark)
        assert path.exists()

    async def test_a_wiped_clip_can_no_longer_be_read(self, camera: Camera, camera_card: CameraCard) -> None:
        entry = entry_of(camera_card, camera_card.put(b"a.mp4"))
        mark = await mark_of(camera, entry)
        assert camera.wiper is not None
        await camera.wiper.open_window()
        await camera.wiper.wipe(entry, mark)
        with pytest.raises(ClipUnreadable):
            await content_of(camera, entry)
        await camera.wiper.close_window()
        with pytest.raises(ClipUnreadable):
            await content_of(camera, entry)

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
        assert camera.wiper is not None
        with pytest.raises(CameraGone):
            await camera.wiper.open_window()

    async def test_a_camera_pulled_within_a_reading_gives_no_clip(
        self, camera: Camera, camera_card: CameraCard
    ) -> None:
        path = camera_card.put(b"a.mp4", os.urandom(FEW_BLOCKS))
        entry = entry_of(camera_card, path)

        def pull_once(_block: memoryview, /) -> None:
            if path.exists():
                camera_card.pull()

        with pytest.raises(CameraGone):
            await camera.read(entry, pull_once)

    async def test_no_camera_in_the_bay_cannot_be_opened(self, camera_card: CameraCard) -> None:
        camera_card.pull()
        with pytest.raises(CameraGone):
            await camera_card.opener(camera_card.docked, stall_s=STALL_S)

    async def test_closing_twice_is_closing_once(self, camera_card: CameraCard) -> None:
        camera = await camera_card.opener(camera_card.docked, stall_s=STALL_S)
        await camera.close()
        await camera.close()
        with pytest.raises(Exception, match="closed"):
            await camera.exists((b"a",))
