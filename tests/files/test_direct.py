"""Large files go past the page cache as far as their blocks allow, and lose nothing where they do not."""

import errno
import fcntl
import mmap
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files.durable import DIRECT_FROM_BYTES, DurablePart, _set_direct

PAGE = mmap.PAGESIZE


def goes_past_the_cache(part: DurablePart) -> bool:
    return bool(fcntl.fcntl(part._fd, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.mark.parametrize("place", ["disk", "memory"])
@given(sizes=st.lists(st.sampled_from([PAGE, 1 << 20, 4097, 1, 0]), min_size=1, max_size=6))
def test_a_large_file_has_all_its_bytes_however_its_blocks_are_cut(
    tmp_path_factory: pytest.TempPathFactory, place: str, sizes: list[int]
) -> None:
    shared = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has
    with TemporaryDirectory(dir=tmp_path_factory.getbasetemp() if place == "disk" else shared) as folder:
        aligned = memoryview(mmap.mmap(-1, 1 << 20))
        written = b""
        with DurablePart(Path(folder) / "x.part", expected_bytes=DIRECT_FROM_BYTES) as part:
            for number, size in enumerate(sizes):
                aligned[:size] = bytes([number + 1]) * size
                part.write(aligned[:size])
                written += bytes(aligned[:size])
            assert part.size_bytes == len(written)
            part.publish(Path(folder) / "final")
        assert (Path(folder) / "final").read_bytes() == written


def test_whole_pages_of_a_large_file_go_past_the_page_cache(tmp_path: Path) -> None:
    block = memoryview(mmap.mmap(-1, 1 << 20))
    with DurablePart(tmp_path / "x.part", expected_bytes=DIRECT_FROM_BYTES) as part:
        for _ in range(4):
            part.write(block)
        assert goes_past_the_cache(part)
        part.write(block[:PAGE])
        assert goes_past_the_cache(part)
        part.write(block[:1])
        assert not goes_past_the_cache(part)


def test_a_small_file_and_memory_at_odd_places_go_the_ordinary_way(tmp_path: Path) -> None:
    with DurablePart(tmp_path / "small.part", expected_bytes=DIRECT_FROM_BYTES - 1) as small:
        assert not goes_past_the_cache(small)
    block = memoryview(mmap.mmap(-1, 2 * PAGE))
    with DurablePart(tmp_path / "odd.part", expected_bytes=DIRECT_FROM_BYTES) as odd:
        odd.write(block[1 : 1 + PAGE])
        assert not goes_past_the_cache(odd)
        assert odd.size_bytes == PAGE


def test_another_error_is_no_reason_to_write_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def refuse(_fd: int, block: memoryview) -> int:
        calls.append(len(block))
        raise OSError(errno.EIO, "Input/output error")

    block = memoryview(mmap.mmap(-1, PAGE))
    with DurablePart(tmp_path / "x.part", expected_bytes=DIRECT_FROM_BYTES) as part:
        monkeypatch.setattr("agent.files.durable.os.write", refuse)
        with pytest.raises(OSError, match="Input/output"):
            part.write(block)
    assert calls == [PAGE]


def test_where_it_cannot_be_done_it_is_not_claimed() -> None:
    fd = os.open("/proc/self/status", os.O_RDONLY)
    try:
        assert _set_direct(fd, direct=True) is False
    finally:
        os.close(fd)
