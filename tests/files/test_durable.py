"""A file is wholly and durably there under its name, or not at all."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.files.durable import WRITEBACK_STEP_BYTES, BlockReader, DurablePart, make_directory, sync_directory


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """Let the kernel itself refuse longer files (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failing_fsync(monkeypatch: pytest.MonkeyPatch, fails: Callable[[os.stat_result], bool]) -> list[str]:
    """Make fsync fail for some descriptors; returns what each call was about, in order."""
    calls: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        about = os.fstat(fd)
        calls.append("folder" if stat.S_ISDIR(about.st_mode) else "file")
        if fails(about):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr("agent.files.durable.os.fsync", fsync)
    return calls


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_file(about: os.stat_result) -> bool:
    return stat.S_ISREG(about.st_mode)


def is_folder(about: os.stat_result) -> bool:
    return stat.S_ISDIR(about.st_mode)


def test_a_published_file_has_all_bytes_its_mode_and_one_name(tmp_path: Path) -> None:
    with DurablePart(tmp_path / "x.part") as part:
        part.write(b"one ")
        part.write(memoryview(b"two"))
        assert part.size_bytes == 7
        part.publish(tmp_path / "final")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").read_bytes() == b"one two"
    assert stat.S_IMODE((tmp_path / "final").stat().st_mode) == 0o400


def test_an_empty_file_can_be_published_into_another_folder_under_another_mode(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with DurablePart(tmp_path / "x.part") as part:
        part.publish(tmp_path / "out" / "final", mode=0o444)
    assert (tmp_path / "out" / "final").stat().st_size == 0
    assert stat.S_IMODE((tmp_path / "out" / "final").stat().st_mode) == 0o444
    assert not (tmp_path / "x.part").exists()


def test_the_file_is_synced_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = failing_fsync(monkeypatch, lambda _about: False)
    with DurablePart(tmp_path / "x.part") as part:
        part.write(b"bytes")
        part.publish(tmp_path / "final")
    assert calls == ["file", "folder"]


def test_a_part_that_is_not_published_vanishes(tmp_path: Path) -> None:
    with DurablePart(tmp_path / "x.part") as part:
        part.write(b"bytes")
    part.drop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_part_never_opens_what_is_there_already(tmp_path: Path, kind: str) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    if kind == "file":
        (tmp_path / "x.part").write_bytes(b"precious")
    else:
        (tmp_path / "x.part").symlink_to("other")
    with pytest.raises(FileExistsError):
        DurablePart(tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == b"precious"


def test_publishing_never_replaces_and_may_be_tried_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"old")
    with DurablePart(tmp_path / "x.part") as part:
        part.write(b"new")
        with pytest.raises(FileExistsError):
            part.publish(tmp_path / "taken")
        part.publish(tmp_path / "free")
    assert (tmp_path / "taken").read_bytes() == b"old"
    assert (tmp_path / "free").read_bytes() == b"new"


def test_publishing_into_a_folder_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    part = DurablePart(tmp_path / "x.part")
    with part, pytest.raises(FileNotFoundError):
        part.publish(tmp_path / "nowhere" / "final")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_kernel_refuses_to_grow_is_an_error(tmp_path: Path) -> None:
    with files_no_larger_than(4096), DurablePart(tmp_path / "x.part") as part:
        with pytest.raises(OSError, match="File too large"):
            part.write(b"x" * 5000)
        assert part.size_bytes == 4096
    assert list(tmp_path.iterdir()) == []


def test_a_part_whose_write_failed_is_never_published(tmp_path: Path) -> None:
    """Whatever was written after the error, the bytes are not those that were meant."""
    part = DurablePart(tmp_path / "x.part")
    with part:
        with files_no_larger_than(4096), pytest.raises(OSError, match="File too large"):
            part.write(b"x" * 5000)
        with pytest.raises(OSError, match=r".+"):
            part.publish(tmp_path / "final")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_by_its_number(tmp_path: Path) -> None:
    with DurablePart(tmp_path / "x.part") as part:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, part._fd)
        os.close(full)
        with pytest.raises(OSError, match="No space left") as caught:
            part.write(b"x")
        assert caught.value.errno == errno.ENOSPC


def test_a_failed_sync_of_the_file_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel forgets failed pages: a second fsync would report a success that is none."""
    failures = [True]
    calls = failing_fsync(monkeypatch, lambda about: is_file(about) and bool(failures and failures.pop()))
    part = DurablePart(tmp_path / "x.part")
    with part:
        part.write(b"bytes")
        for _ in range(2):
            with pytest.raises(OSError, match=r"Input/output error|earlier write or sync failed"):
                part.publish(tmp_path / "final")
    assert calls == ["file"]
    assert list(tmp_path.iterdir()) == []


def test_what_the_kernel_itself_cannot_sync_is_not_published(tmp_path: Path) -> None:
    part = DurablePart(tmp_path / "x.part")
    with part:
        reading, writing = os.pipe()
        os.dup2(writing, part._fd)
        os.close(writing)
        with pytest.raises(OSError, match="Invalid argument"):
            part.publish(tmp_path / "final")
        os.close(reading)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_could_not_be_made_durable_is_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_fsync(monkeypatch, is_folder)
    part = DurablePart(tmp_path / "x.part")
    with part, pytest.raises(OSError, match="Input/output error"):
        part.publish(tmp_path / "final")
    assert list(tmp_path.iterdir()) == []


def test_every_byte_is_written_although_the_kernel_takes_only_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr("agent.files.durable.os.write", lambda fd, view: real(fd, view[:3]))
    with DurablePart(tmp_path / "x.part") as part:
        part.write(b"0123456789")
        part.publish(tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"0123456789"


def test_writing_out_begins_while_the_bytes_still_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "agent.files.durable.start_writeback", lambda _fd, offset, length: asked.append((offset, length))
    )
    block = bytes(WRITEBACK_STEP_BYTES // 2)
    with DurablePart(tmp_path / "x.part") as part:
        for _ in range(5):
            part.write(block)
    assert asked == [(0, WRITEBACK_STEP_BYTES), (WRITEBACK_STEP_BYTES, WRITEBACK_STEP_BYTES)]


def test_no_descriptor_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    with DurablePart(tmp_path / "a.part") as part:
        part.publish(tmp_path / "a")
    with DurablePart(tmp_path / "b.part") as part, pytest.raises(FileExistsError):
        part.publish(tmp_path / "a")
    failing_fsync(monkeypatch, lambda _about: True)
    with DurablePart(tmp_path / "c.part") as part, pytest.raises(OSError, match="Input"):
        part.publish(tmp_path / "c")
    with pytest.raises(OSError, match="Input"):
        sync_directory(tmp_path)
    assert open_descriptors() == before


def test_each_missing_folder_is_made_private_and_synced_in_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing_fsync(monkeypatch, lambda _about: False)
    make_directory(tmp_path / "a" / "b")
    assert calls == ["folder", "folder"]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    make_directory(tmp_path / "a" / "b")
    assert calls == ["folder", "folder"]


def test_a_folder_that_another_makes_at_the_same_time_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(self: Path, mode: int = 0o777) -> None:
        real(self, mode)
        real(self, mode)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    make_directory(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_a_folder_that_could_not_be_synced_is_made_anew_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left behind, it would be taken for durable, and a power cut could take it with all that it holds."""
    broken = [True]
    calls = failing_fsync(monkeypatch, lambda _about: broken[0])
    with pytest.raises(OSError, match="Input"):
        make_directory(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    broken[0] = False
    make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert calls == ["folder"] * 3


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match=r".+"):
        make_directory(tmp_path / "a")


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        make_directory(tmp_path / "a" / "b")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 24, 25])
def test_a_file_is_read_whole_in_blocks(tmp_path: Path, size: int) -> None:
    data = bytes(range(size))
    (tmp_path / "a").write_bytes(data)
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    blocks = [bytes(block) for block in BlockReader(fd, 8)]
    os.close(fd)
    assert b"".join(blocks) == data
    assert all(0 < len(block) <= 8 for block in blocks)


def test_a_reading_that_fails_is_an_error_and_no_end() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        list(BlockReader(-1))


def test_a_part_is_given_away_by_its_descriptor_and_not_by_its_name(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    with DurablePart(tmp_path / "x.part") as part:
        owned = (tmp_path / "x.part").stat()
        (tmp_path / "x.part").unlink()
        (tmp_path / "x.part").symlink_to(tmp_path / "none")
        part.give_to(owned.st_uid, owned.st_gid)
    assert not (tmp_path / "none").exists()
