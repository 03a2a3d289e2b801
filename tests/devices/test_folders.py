"""Which folder bays are occupied, and how soon that is told."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from agent.core.clip import BayName
from agent.devices.drivers.arrivals import ImportFolder
from agent.devices.folders import FolderBay, FolderWatch
from agent.ports import Docked

ROOT = Path(__file__).parent.parent.parent
ONE, TWO = BayName("1"), BayName("2")
SOON_S = 10.0
NEVER_S = 3600.0

Snapshot = Mapping[BayName, Docked]


class Seen:
    """The snapshots of one watch, one after the other."""

    def __init__(self, snapshots: AsyncIterator[Snapshot]) -> None:
        self._snapshots = snapshots

    async def next(self) -> Snapshot:
        async with asyncio.timeout(SOON_S):
            return await anext(self._snapshots)


@asynccontextmanager
async def seen(watch: FolderWatch) -> AsyncIterator[Seen]:
    async with aclosing(watch.snapshots()) as snapshots:
        yield Seen(snapshots)


def camera(place: Path, serial: str = "A") -> Path:
    (place / "card").mkdir(parents=True)
    (place / ".camera.json").write_text(f'{{"serial": "{serial}"}}', "utf-8")
    return place


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    (tmp_path / "rack").mkdir()
    return tmp_path / "rack"


def watch_of(rack: Path, *, driver: str = "simulated", **settings: object) -> FolderWatch:
    bays = {name: FolderBay(rack / name, driver, **settings) for name in (ONE, TWO)}  # type: ignore[arg-type]
    return FolderWatch(bays, reconcile_s=NEVER_S)


async def test_what_is_docked_already_is_told_at_once(rack: Path) -> None:
    camera(rack / "1")
    async with seen(watch_of(rack)) as snapshots:
        snapshot = await snapshots.next()
    assert {(docked.bay, docked.driver, docked.address) for docked in snapshot.values()} == {
        (ONE, "simulated", str(rack / "1"))
    }


async def test_docking_and_pulling_are_told_without_waiting_for_the_reconciliation(rack: Path, tmp_path: Path) -> None:
    outside = camera(tmp_path / "camera")
    async with seen(watch_of(rack)) as snapshots:
        assert await snapshots.next() == {}
        outside.rename(rack / "2")
        assert set(await snapshots.next()) == {TWO}
        (rack / "2").rename(outside)
        assert await snapshots.next() == {}


async def test_a_swapped_camera_is_another_docking(rack: Path, tmp_path: Path) -> None:
    camera(rack / "1", "A")
    other = camera(tmp_path / "other", "B")
    async with seen(watch_of(rack)) as snapshots:
        before = await snapshots.next()
        (rack / "1").rename(tmp_path / "out")
        other.rename(rack / "1")
        after = await snapshots.next()
        while ONE not in after:
            after = await snapshots.next()
    assert before[ONE] != after[ONE]


async def test_a_camera_that_stays_keeps_its_token_when_another_comes(rack: Path, tmp_path: Path) -> None:
    camera(rack / "1")
    other = camera(tmp_path / "other")
    async with seen(watch_of(rack)) as snapshots:
        before = await snapshots.next()
        other.rename(rack / "2")
        after = await snapshots.next()
    assert set(after) == {ONE, TWO}
    assert before[ONE] == after[ONE]


async def test_a_simulated_camera_without_its_script_is_pulled(rack: Path) -> None:
    camera(rack / "1")
    async with seen(watch_of(rack)) as snapshots:
        assert set(await snapshots.next()) == {ONE}
        (rack / "1" / ".camera.json").unlink()
        assert await snapshots.next() == {}


async def test_a_trial_folder_is_occupied_while_it_holds_something(rack: Path) -> None:
    (rack / "1").mkdir()
    async with seen(watch_of(rack, driver="folder")) as snapshots:
        assert await snapshots.next() == {}
        (rack / "1" / "a.mp4").touch()
        assert set(await snapshots.next()) == {ONE}
        (rack / "1" / "a.mp4").unlink()
        assert await snapshots.next() == {}


@pytest.mark.parametrize("must_be_mount", [False, True])
async def test_what_is_no_directory_or_no_mount_is_not_occupied(rack: Path, must_be_mount: bool) -> None:
    full = rack.parent / "full"
    full.mkdir()
    (full / "a.mp4").touch()
    (rack / "1").symlink_to(full)
    (rack / "2").write_bytes(b"a file")
    async with seen(watch_of(rack, driver="folder", must_be_mount=must_be_mount)) as snapshots:
        assert await snapshots.next() == {}


async def test_a_full_directory_that_must_be_a_mount_is_not_occupied(rack: Path) -> None:
    (rack / "1").mkdir()
    (rack / "1" / "left behind").touch()
    async with seen(watch_of(rack, driver="folder", must_be_mount=True)) as snapshots:
        assert await snapshots.next() == {}


async def test_changed_bays_are_taken_over_while_watching(rack: Path) -> None:
    camera(rack / "1")
    camera(rack / "2")
    watch = FolderWatch({ONE: FolderBay(rack / "1", "simulated")}, reconcile_s=NEVER_S)
    async with seen(watch) as snapshots:
        first = await snapshots.next()
        watch.set_bays({ONE: FolderBay(rack / "1", "simulated"), TWO: FolderBay(rack / "2", "simulated")})
        second = await snapshots.next()
        watch.set_bays({TWO: FolderBay(rack / "2", "simulated")})
        third = await snapshots.next()
    assert (set(first), set(second), set(third)) == ({ONE}, {ONE, TWO}, {TWO})
    assert first[ONE] == second[ONE]


async def test_a_parent_that_comes_later_is_found_by_the_reconciliation(tmp_path: Path) -> None:
    bay = FolderBay(tmp_path / "later" / "rack" / "1", "simulated")
    async with seen(FolderWatch({ONE: bay}, reconcile_s=0.1)) as snapshots:
        assert await snapshots.next() == {}
        camera(bay.path)
        assert set(await snapshots.next()) == {ONE}


async def test_a_bouncing_plug_gives_few_snapshots_and_the_right_last_one(rack: Path, tmp_path: Path) -> None:
    outside = camera(tmp_path / "camera")
    count = 0
    async with seen(watch_of(rack)) as snapshots:
        assert await snapshots.next() == {}
        for _ in range(200):
            outside.rename(rack / "1")
            (rack / "1").rename(outside)
        camera(rack / "2")
        snapshot: Snapshot = {}
        while TWO not in snapshot:
            snapshot = await snapshots.next()
            count += 1
    assert set(snapshot) == {TWO}
    assert count <= 3


async def test_neither_looking_nor_reading_causes_another_look(rack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (rack / "1").mkdir()
    clip = rack / "1" / "a.mp4"
    clip.touch()
    watch = FolderWatch({ONE: FolderBay(rack / "1")}, reconcile_s=NEVER_S, quiet_s=0.01)
    looks: list[Snapshot] = []
    look = watch._look

    async def counted(bays: Mapping[BayName, FolderBay]) -> dict[BayName, Docked]:
        looks.append(await look(bays))
        return dict(looks[-1])

    monkeypatch.setattr(watch, "_look", counted)
    async with seen(watch) as snapshots:
        await snapshots.next()
        clip.read_bytes()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):  # nothing happens, so nothing is to be seen
                await anext(snapshots._snapshots)
    assert len(looks) == 1


async def test_a_directory_that_took_the_place_of_another_is_watched(rack: Path, tmp_path: Path) -> None:
    (rack / "1").mkdir()
    (rack / "1" / "a.mp4").touch()
    (tmp_path / "other").mkdir()
    async with seen(watch_of(rack, driver="folder")) as snapshots:
        assert set(await snapshots.next()) == {ONE}
        (rack / "1").rename(tmp_path / "out")
        (tmp_path / "other").rename(rack / "1")
        assert await snapshots.next() == {}
        (rack / "1" / "b.mp4").touch()
        assert set(await snapshots.next()) == {ONE}


# ---- import folders


def test_a_file_is_offered_once_it_stood_still(tmp_path: Path) -> None:
    imports = ImportFolder(settle_s=10)
    clip = tmp_path / "sub" / "a.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"12")
    assert imports.look(tmp_path, 0.0).token is None
    clip.write_bytes(b"1234")
    assert imports.look(tmp_path, 9.0).token is None
    sight = imports.look(tmp_path, 18.0)
    assert sight.token is None
    assert sight.again_s == pytest.approx(1.0)
    assert imports.look(tmp_path, 19.0).token is not None


def test_a_claimed_time_in_the_past_settles_nothing(tmp_path: Path) -> None:
    imports = ImportFolder(settle_s=10)
    (tmp_path / "a.mp4").write_bytes(b"12")
    os.utime(tmp_path / "a.mp4", (0, 0))
    assert imports.look(tmp_path, 0.0).token is None


def test_new_files_are_a_new_docking_once_all_is_quiet(tmp_path: Path) -> None:
    imports = ImportFolder(settle_s=10)
    (tmp_path / "a").touch()
    imports.look(tmp_path, 0.0)
    first = imports.look(tmp_path, 10.0).token
    (tmp_path / "b").touch()
    assert imports.look(tmp_path, 11.0).token == first
    (tmp_path / "c").touch()
    assert imports.look(tmp_path, 20.0).token == first
    assert imports.look(tmp_path, 21.0).token == first  # b has settled, c has not
    assert imports.look(tmp_path, 30.0).token not in (first, None)


def test_new_files_do_not_wait_for_ever_for_quiet(tmp_path: Path) -> None:
    imports = ImportFolder(settle_s=10)
    tokens = set()
    for now in range(0, 300, 5):
        (tmp_path / f"{now}").touch()
        tokens.add(imports.look(tmp_path, float(now)).token)
    assert len(tokens - {None}) >= 2


def test_wiped_files_are_no_new_docking_and_the_last_one_ends_it(tmp_path: Path) -> None:
    imports = ImportFolder(settle_s=10)
    for name in ("a", "b"):
        (tmp_path / name).touch()
    imports.look(tmp_path, 0.0)
    first = imports.look(tmp_path, 10.0).token
    (tmp_path / "a").unlink()
    assert imports.look(tmp_path, 11.0).token == first
    (tmp_path / "b").unlink()
    assert imports.look(tmp_path, 12.0).token is None


def test_an_import_folder_follows_no_symlink(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a.mp4").touch()
    (folder / "link").symlink_to(outside)
    (folder / "clip.mp4").symlink_to(outside / "a.mp4")
    imports = ImportFolder(settle_s=0)
    assert imports.look(folder, 0.0).token is None
    assert imports.look(folder, 1.0).token is None


async def test_an_import_folder_is_told_by_itself_when_it_has_settled(rack: Path) -> None:
    (rack / "1" / "sub").mkdir(parents=True)
    watch = FolderWatch({ONE: FolderBay(rack / "1", settle_s=0.3)}, reconcile_s=NEVER_S)
    async with seen(watch) as snapshots:
        assert await snapshots.next() == {}
        (rack / "1" / "sub" / "a.mp4").write_bytes(b"clip")
        assert set(await snapshots.next()) == {ONE}


# ---- mounts

MOUNT_SCRIPT = """
import asyncio, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from agent.devices.folders import FolderBay, FolderWatch
async def main():
    bay = Path(sys.argv[2])
    snapshots = FolderWatch({"1": FolderBay(bay, must_be_mount=True)}, reconcile_s=3600).snapshots()
    async with asyncio.timeout(20):
        print(len(await anext(snapshots)))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(bay)], check=True)
        print(len(await anext(snapshots)))
        subprocess.run(["umount", str(bay)], check=True)
        print(len(await anext(snapshots)))
        await snapshots.aclose()
asyncio.run(main())
"""


def test_mounting_and_unmounting_are_told_by_the_kernel(tmp_path: Path) -> None:
    bay = tmp_path / "bay 1"
    bay.mkdir()
    argv = ["unshare", "-rm", sys.executable, "-c", MOUNT_SCRIPT, str(ROOT), str(bay)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.stdout.split() == ["0", "1", "0"], done.stderr
