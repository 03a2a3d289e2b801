"""Room in the spool: promised once, kept in reserve, and never given twice."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from agent.core.errors import SpoolFull
from agent.ledger.spool import RESERVE_CAP_BYTES, Spool, SpoolPart


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)


def test_room_that_running_copies_will_need_is_promised_once(spool: Spool) -> None:
    free = spool.free_bytes()
    promised = free // 2
    with spool.begin(promised) as part:
        assert spool._expected == promised
        part(memoryview(b"x" * 1000))
        assert spool._expected == promised - 1000
        with pytest.raises(SpoolFull, match="has room for"):
            spool.begin(promised + promised // 2)
        with spool.begin(10):
            assert spool._expected == promised - 1000 + 10
    assert spool._expected == 0


def test_a_copy_that_grows_beyond_its_promise_takes_nobody_elses_room(spool: Spool) -> None:
    with spool.begin(3) as part, spool.begin(50):
        part(memoryview(b"more than three"))
        assert spool._expected == 50
    assert spool._expected == 0


def test_two_copies_that_begin_at_once_never_share_their_room(spool: Spool) -> None:
    """Each wants more than half of the disk, so one of the two must wait."""
    wanted = spool.free_bytes() * 6 // 10
    barrier = Barrier(2, timeout=20)

    def begin() -> SpoolPart | None:
        barrier.wait()
        try:
            return spool.begin(wanted)
        except SpoolFull:
            return None

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            for _ in range(200):
                begun = [part for part in threads.map(lambda _n: begin(), range(2)) if part is not None]
                for part in begun:
                    part.__exit__(None, None, None)
                assert len(begun) == 1
    finally:
        sys.setswitchinterval(interval)


def test_the_reserve_stays_free(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    spool = Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=free * 2)
    assert spool.free_bytes() < 0
    with pytest.raises(SpoolFull, match=r"has room for 0 B, the clip needs 1\.0 kB"):
        spool.begin(1000)
    assert list((spool.root / "incoming").iterdir()) == []


def test_the_reserve_is_a_twentieth_of_the_disk_and_one_gibibyte_at_most(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool", allow_unsafe=True)
    disk = os.statvfs(tmp_path)
    assert spool.reserve_bytes == min(RESERVE_CAP_BYTES, disk.f_blocks * disk.f_frsize * 5 // 100)
