"""Start-up after a crash at each point, set up by hand: what the disk cannot prove is not believed."""

import shutil
from pathlib import Path

import pytest

from agent.core.clip import CameraId, Copy, Custody
from agent.core.errors import SpoolError
from agent.core.object import Digest
from agent.ledger import custody, objects
from agent.ledger.recovery import Recovery, drop_parts, recover
from agent.ledger.spool import Spool
from tests.ledger.stage import Stage, digest_of


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)


def put(spool: Spool, name: str) -> Digest:
    with spool.begin(len(name)) as part:
        part(memoryview(name.encode()))
        return part.finish().sha256


def copied(stage: Stage, spool: Spool, *names: str) -> None:
    stage.listing(stage.dock(), *names)
    for name in names:
        put(spool, name)
        stage.spooled(name)


def ended(stage: Stage) -> None:
    stage.sql("UPDATE sessions SET ended_us = 1, outcome = 'undocked' WHERE ended_us IS NULL")


def run(stage: Stage, spool: Spool) -> Recovery:
    return recover(stage.database, spool, stage.recorder)


def test_after_a_clean_stop_there_is_nothing_to_do(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a", "b")
    ended(stage)
    before = stage.everything()
    assert run(stage, spool) == Recovery()
    assert [row for row in stage.everything() if row[0] != "doubts"] == before  # a start always begins in doubt


def test_a_new_station_has_nothing_to_recover(stage: Stage, spool: Spool) -> None:
    assert run(stage, spool) == Recovery()


def test_a_copy_that_was_under_way_is_dropped(spool: Spool) -> None:
    incoming = spool.root / "incoming"
    for n in range(3):
        (incoming / f"{n}.part").write_bytes(b"half")
    (incoming / "notes.txt").write_bytes(b"")
    drop_parts(spool.root)
    assert [path.name for path in incoming.iterdir()] == ["notes.txt"]


def test_what_cannot_be_dropped_and_a_spool_that_is_not_there_yet_keep_nobody_from_starting(spool: Spool) -> None:
    (spool.root / "incoming" / "folder.part").mkdir()
    (spool.root / "incoming" / "x.part").write_bytes(b"half")
    drop_parts(spool.root)
    assert [path.name for path in (spool.root / "incoming").iterdir()] == ["folder.part"]
    drop_parts(spool.root / "nowhere")


def test_recovery_itself_leaves_the_parts_alone(stage: Stage, spool: Spool) -> None:
    part = spool.root / "incoming" / "x.part"
    part.write_bytes(b"half")
    assert run(stage, spool) == Recovery()
    assert part.exists()


def test_an_object_that_the_ledger_was_not_told_of_is_kept_and_counted(stage: Stage, spool: Spool) -> None:
    sha256 = put(spool, "a")
    assert run(stage, spool) == Recovery(unknown_objects=1)
    spool.check(sha256)
    stage.listing(stage.dock(), "a")
    put(spool, "a")
    assert stage.spooled("a").custody is Custody.SPOOLED
    ended(stage)
    assert run(stage, spool) == Recovery()


@pytest.mark.parametrize("damage", ["missing", "short", "longer", "link", "folder"])
def test_an_object_that_the_disk_no_longer_proves_is_copied_again(stage: Stage, spool: Spool, damage: str) -> None:
    copied(stage, spool, "abc", "b")
    ended(stage)
    path = spool.path(digest_of("abc"))
    path.chmod(0o600)
    match damage:
        case "short":
            path.write_bytes(b"ab")
        case "longer":
            path.write_bytes(b"abcd")
        case "link":
            path.rename(spool.root / "abc")
            path.symlink_to(spool.root / "abc")
        case "folder":
            path.unlink()
            path.mkdir()
        case _:
            path.unlink()
    assert run(stage, spool) == Recovery(copies_failed=[digest_of("abc")])
    clip = stage.clip("abc")
    assert (clip.custody, clip.copy) == (Custody.LISTED, Copy.PRESENT)
    assert clip.problem is not None
    assert stage.clip("b").custody is Custody.SPOOLED
    assert not path.is_symlink()
    assert not path.exists()
    aside = list((spool.root / "rejected").iterdir())
    assert len(aside) == (damage != "missing")
    put(spool, "abc")
    stage.spooled("abc")
    assert run(stage, spool) == Recovery()


def test_a_confirmed_object_that_is_missing_stays_confirmed_and_is_no_longer_counted_on(
    stage: Stage, spool: Spool
) -> None:
    copied(stage, spool, "a")
    stage.proved("a")
    ended(stage)
    spool.path(digest_of("a")).unlink()
    assert run(stage, spool).copies_failed == [digest_of("a")]
    assert stage.clip("a").custody is Custody.CONFIRMED
    assert stage.sql("SELECT spool FROM objects") == [("absent",)]
    assert run(stage, spool) == Recovery()


def test_a_purge_that_was_recorded_is_left_to_the_purge_after_the_audit(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a", "b")
    stage.proved("a")
    ended(stage)
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    assert run(stage, spool) == Recovery(purges_unfinished=[digest_of("a")])
    spool.check(digest_of("a"))
    spool.check(digest_of("b"))


def test_bytes_that_failed_but_still_lie_there_are_never_taken_for_purged(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    stage.proved("a")
    ended(stage)
    stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    assert run(stage, spool) == Recovery(unknown_objects=1)
    assert spool.path(digest_of("a")).exists()


def test_bytes_that_came_back_after_a_purge_for_another_camera_are_not_destroyed(stage: Stage, spool: Spool) -> None:
    """Killed between the spool's rename and the ledger's row: these may be the only copy off that camera."""
    copied(stage, spool, "a")
    stage.proved("a")
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    spool.purge(digest_of("a"))
    other = CameraId("CAM-2")
    stage.listing(stage.dock(other, bay="2"), "a", camera=other)
    stage.spooled("a", other)
    assert stage.clip("a", other).custody is Custody.SPOOLED
    put(spool, "a")
    ended(stage)
    assert run(stage, spool) == Recovery()
    spool.check(digest_of("a"))


def test_sessions_that_were_open_are_closed(stage: Stage, spool: Spool) -> None:
    stage.dock()
    stage.dock(CameraId("CAM-2"), bay="2")
    assert run(stage, spool) == Recovery(sessions_closed=2)
    assert stage.sql("SELECT DISTINCT outcome FROM sessions") == [("agent_restarted",)]
    assert stage.events()[-2:] == ["camera.undocked"] * 2


def test_an_intent_to_wipe_is_left_for_a_fresh_look_at_the_camera(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    stage.proved("a")
    stage.intended("a")
    assert run(stage, spool) == Recovery(sessions_closed=1)
    assert stage.clip("a").copy is Copy.WIPE_INTENDED


def test_recovering_twice_finds_nothing_the_second_time(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a", "b", "c", "d")
    for name in "ab":
        stage.proved(name)
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    spool.path(digest_of("c")).unlink()
    put(spool, "unknown")
    first = run(stage, spool)
    assert first == Recovery(1, [digest_of("c")], [digest_of("a")], 1)
    rows, files = stage.everything(), sorted(spool.root.rglob("*"))
    assert run(stage, spool) == Recovery(purges_unfinished=[digest_of("a")], unknown_objects=1)
    assert stage.everything() == rows
    assert sorted(spool.root.rglob("*")) == files
    assert stage.do(custody.verify).fault is None


def test_files_with_other_names_among_the_objects_are_left_alone(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    ended(stage)
    folder = spool.path(digest_of("a")).parent
    odd = [folder / "notes.txt", folder / f"{folder.name}-notes.txt"]
    for file in odd:
        file.write_bytes(b"")
    assert run(stage, spool) == Recovery()
    assert all(file.exists() for file in odd)


def test_a_stray_file_beside_the_objects_folders_does_not_keep_the_station_from_starting(
    stage: Stage, spool: Spool
) -> None:
    copied(stage, spool, "a")
    ended(stage)
    (spool.root / "objects" / "notes.txt").write_bytes(b"")
    assert run(stage, spool) == Recovery()


def test_an_object_in_the_wrong_folder_proves_nothing(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    ended(stage)
    path = spool.path(digest_of("a"))
    (spool.root / "objects" / "zz").mkdir()
    path.rename(spool.root / "objects" / "zz" / path.name)
    run(stage, spool)
    assert stage.clip("a").custody is Custody.LISTED


def test_a_spool_that_cannot_be_listed_is_told_as_the_spools_error(stage: Stage, spool: Spool) -> None:
    shutil.rmtree(spool.root / "objects")
    with pytest.raises(SpoolError, match="could not list"):
        run(stage, spool)


def test_a_copy_that_cannot_be_put_aside_no_longer_counts_all_the_same(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "abc")
    ended(stage)
    path = spool.path(digest_of("abc"))
    path.chmod(0o600)
    path.write_bytes(b"ab")
    (spool.root / "rejected").rmdir()
    (spool.root / "rejected").write_bytes(b"a file where the folder should be")
    assert run(stage, spool).copies_failed == [digest_of("abc")]
    assert stage.clip("abc").custody is Custody.LISTED
