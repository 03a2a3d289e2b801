"""The Linux calls that Python lacks, against the real kernel."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.files.kernel import (
    file_system_of,
    rename_new,
    start_writeback,
    sync_file_system,
    write_out,
)

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has


def rename(folder: Path, source: str, target: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        rename_new(source, target, source_dir_fd=fd, target_dir_fd=fd)
    finally:
        os.close(fd)


def test_a_rename_moves_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\n")
    (tmp_path / "a").write_bytes(b"1")
    rename(tmp_path, "a", odd)
    assert [path.name for path in tmp_path.iterdir()] == [odd]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_rename_never_replaces(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"new")
    target = tmp_path / "b"
    match kind:
        case "file":
            target.write_bytes(b"old")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to("nowhere")
    before = target.lstat()
    with pytest.raises(FileExistsError):
        rename(tmp_path, "a", "b")
    assert target.lstat().st_ino == before.st_ino
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_rename_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        rename(tmp_path, "a", "b")
    assert caught.value.filename == "b"


def test_asking_for_writeback_never_fails_even_without_a_file() -> None:
    start_writeback(-1, 0, 1)


def test_writing_everything_out_works_on_a_folder_and_fails_on_no_descriptor(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    sync_file_system(fd)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(-1)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no shared memory folder")
def test_a_file_system_in_memory_is_known_by_name() -> None:
    assert file_system_of(SHARED_MEMORY) == "tmpfs"


def test_a_file_system_that_nobody_named_is_given_by_its_number() -> None:
    assert file_system_of("/proc") == "unknown:0x9fa0"


def test_the_file_system_of_nothing_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        file_system_of(tmp_path / "nowhere")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / "nowhere")


def test_bytes_can_be_handed_to_the_disk(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(bytes(1 << 20))
        file.flush()
        write_out(file.fileno(), 0, 1 << 20)


def test_bytes_that_no_disk_takes_are_no_success() -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="Illegal seek"):
            write_out(writing, 0, 1)
    finally:
        os.close(reading)
        os.close(writing)


def test_kept_memory_is_not_faulted_in_again() -> None:
    script = (
        "import resource, sys\n"
        "from agent.files.kernel import keep_freed_memory\n"
        "keep_freed_memory(int(sys.argv[1]), blocks_up_to=4 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(200):\n"
        "    bytearray(1 << 20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )

    def faults(kept_bytes: int) -> int:
        command = [sys.executable, "-c", script, str(kept_bytes)]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)  # noqa: S603

    assert faults(32 << 20) < 2000 < faults(0)
