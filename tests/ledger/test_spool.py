"""The spool on real files: every object wholly there under its digest, or not at all."""

import errno
import hashlib
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import SpoolCorrupt, SpoolError, SpoolFull, SpoolUnsafe
from agent.core.object import EMPTY_DIGEST, Digest
from agent.files import kernel
from agent.ledger.spool import Spool, Stored, spool_error

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)


def store(spool: Spool, data: bytes) -> Stored:
    with spool.begin(len(data)) as part:
        part(memoryview(data))
        return part.finish()


def digest(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def test_an_object_lies_under_its_digest_read_only(spool: Spool) -> None:
    stored = store(spool, b"footage")
    assert stored == Stored(digest(b"footage"), 7)
    path = spool.path(stored.sha256)
    assert path == spool.root / "objects" / stored.sha256[:2] / stored.sha256
    assert path.read_bytes() == b"footage"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert files_in(spool.root) == [path]
    assert spool.holds(stored.sha256, 7)
    spool.check(stored.sha256)


def test_a_clip_without_bytes_is_an_object_too(spool: Spool) -> None:
    with spool.begin(0) as part:
        assert part.finish() == Stored(EMPTY_DIGEST, 0)
    spool.check(EMPTY_DIGEST)


def test_the_digest_is_that_of_all_blocks_in_order(spool: Spool) -> None:
    with spool.begin(6) as part:
        for block in (b"ab", b"", b"cd", b"ef"):
            part(memoryview(block))
        assert part.finish() == Stored(digest(b"abcdef"), 6)


def test_a_copy_that_is_broken_off_leaves_nothing_and_returns_its_room(spool: Spool) -> None:
    def pulled_out() -> None:
        with spool.begin(100) as part:
            part(memoryview(b"half"))
            raise RuntimeError("pulled out")

    with pytest.raises(RuntimeError, match="pulled out"):
        pulled_out()
    assert files_in(spool.root) == []
    assert spool._expected == 0


def test_the_same_bytes_twice_are_one_object_that_is_not_touched(spool: Spool) -> None:
    first = store(spool, b"footage")
    before = spool.path(first.sha256).stat()
    assert store(spool, b"footage") == first
    after = spool.path(first.sha256).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files_in(spool.root) == [spool.path(first.sha256)]


@pytest.mark.parametrize("damage", [b"FOOTAGE", b"foot", b"", b"footage and more"])
def test_an_object_that_was_altered_is_put_aside_and_replaced(spool: Spool, damage: bytes) -> None:
    path = spool.path(store(spool, b"footage").sha256)
    path.chmod(0o600)
    path.write_bytes(damage)
    assert store(spool, b"footage").sha256 == digest(b"footage")
    assert path.read_bytes() == b"footage"
    (aside,) = files_in(spool.root / "rejected")
    assert aside.read_bytes() == damage
    assert aside.name.startswith(digest(b"footage"))


@pytest.mark.parametrize("target", ["same bytes", "nowhere"])
def test_a_link_under_an_objects_name_is_no_object(spool: Spool, tmp_path: Path, target: str) -> None:
    if target == "same bytes":
        (tmp_path / target).write_bytes(b"footage")
    path = spool.path(digest(b"footage"))
    path.parent.mkdir()
    path.symlink_to(tmp_path / target)
    assert not spool.holds(digest(b"footage"), 7)
    with pytest.raises(SpoolCorrupt, match="cannot be read"):
        spool.check(digest(b"footage"))
    store(spool, b"footage")
    assert not path.is_symlink()
    assert path.read_bytes() == b"footage"
    assert [each.is_symlink() for each in files_in(spool.root / "rejected")] == [True]


def test_a_check_tells_missing_from_altered(spool: Spool) -> None:
    with pytest.raises(SpoolCorrupt, match="No such file"):
        spool.check(digest(b"footage"))
    path = spool.path(store(spool, b"footage").sha256)
    path.chmod(0o600)
    path.write_bytes(b"fOotage")
    with pytest.raises(SpoolCorrupt, match="has other bytes: "):
        spool.check(digest(b"footage"))


def test_an_object_is_held_only_whole(spool: Spool) -> None:
    sha256 = store(spool, b"footage").sha256
    assert not spool.holds(sha256, 8)
    assert not spool.holds(digest(b"other"), 7)
    folder = spool.path(digest(b"folder"))
    folder.mkdir(parents=True)
    assert not spool.holds(digest(b"folder"), folder.stat().st_size)


def test_a_purged_object_is_gone_and_purging_again_is_harmless(spool: Spool) -> None:
    sha256 = store(spool, b"footage").sha256
    spool.purge(sha256)
    spool.purge(sha256)
    spool.purge(digest(b"never there"))
    assert files_in(spool.root) == []


def test_rejecting_what_is_not_there_is_harmless(spool: Spool) -> None:
    spool.reject(digest(b"footage"))
    assert files_in(spool.root) == []


@pytest.mark.parametrize("verb", ["purge", "reject"])
def test_what_the_disk_refuses_is_told_as_the_spools_error(spool: Spool, verb: str) -> None:
    sha256 = digest(b"footage")
    spool.path(sha256).parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(SpoolError, match="Not a directory"):
        getattr(spool, verb)(sha256)


def test_a_full_disk_is_told_as_full(spool: Spool) -> None:
    with spool.begin(10) as part:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, part._part._fd)
        os.close(full)
        with pytest.raises(SpoolFull, match="could not write a clip"):
            part(memoryview(b"x"))
    assert files_in(spool.root) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_and_no_quota_are_both_full(number: int) -> None:
    assert isinstance(spool_error(OSError(number, "x"), "act"), SpoolFull)
    other = spool_error(OSError(errno.EROFS, "Read-only file system"), "act")
    assert not isinstance(other, SpoolFull)
    assert str(other) == "The spool could not act: Read-only file system."
    assert str(spool_error(OSError("strange"), "act")) == "The spool could not act: strange."


def test_a_part_whose_write_failed_never_becomes_an_object(spool: Spool) -> None:
    """Its digest would name bytes that are not there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with spool.begin(5000) as part:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(SpoolError, match="File too large"):
                part(memoryview(b"x" * 5000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with pytest.raises(SpoolError, match=r".+"):
            part.finish()
    assert files_in(spool.root) == []


def test_a_failed_sync_is_an_error_and_the_bytes_are_brought_anew(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    failures = [True]

    def fsync(fd: int) -> None:
        if stat.S_ISREG(os.fstat(fd).st_mode) and failures:
            failures.pop()
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr("agent.files.durable.os.fsync", fsync)
    with pytest.raises(SpoolError, match="could not keep a clip: Input/output error"):
        store(spool, b"footage")
    assert files_in(spool.root) == []
    store(spool, b"footage")
    spool.check(digest(b"footage"))


def test_a_copy_cannot_start_where_the_disk_refuses_it(spool: Spool) -> None:
    shutil.rmtree(spool.root / "incoming")
    with pytest.raises(SpoolError, match="could not start a copy"):
        spool.begin(1)
    assert spool._expected == 0


def test_a_spool_below_a_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolError, match="cannot be used: Not a directory"):
        Spool.open(tmp_path / "file" / "spool", allow_unsafe=True)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    if not SHARED_MEMORY.is_dir():
        pytest.skip("no shared memory folder")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


def test_a_file_system_that_forgets_is_refused_unless_it_is_a_trial(in_memory: Path) -> None:
    with pytest.raises(SpoolUnsafe, match="lies on tmpfs"):
        Spool.open(in_memory / "spool", allow_unsafe=False)
    store(Spool.open(in_memory / "spool", allow_unsafe=True), b"trial")


def test_a_file_system_that_keeps_its_word_is_accepted(tmp_path: Path) -> None:
    if kernel.file_system_of(tmp_path) not in kernel.DURABLE_FILE_SYSTEMS:
        pytest.skip("the tests' folder is on no such file system")
    Spool.open(tmp_path / "spool", allow_unsafe=False)
