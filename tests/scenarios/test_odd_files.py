"""Files that are no plain clips, or do not stay what they were: nothing else is held up, and nothing is lost."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.clip import Copy, Custody
from tests.contracts.camera_contract import put_below
from tests.scenarios.shift import Running, Shift

FOLDER = b"DCIM/100BWC/"
TOO_LONG = b"/".join([b"DCIM", *[b"d" * 240] * 16, b"c" * 236 + b".MP4"])


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_what_is_no_plain_file_stays_where_it_is_and_the_clips_go_on(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    folder, outside = camera.card / "DCIM", shift.root / "outside"
    outside.mkdir()
    secret = outside / "secret.MP4"
    secret.write_bytes(b"not yours")
    (folder / "link.MP4").symlink_to(secret)
    (folder / "folder.MP4").symlink_to(outside)
    (folder / "loop").symlink_to("..")
    os.mkfifo(folder / "pipe.MP4")
    os.mknod(folder / "device.MP4", 0o20644, os.makedev(0, 0))
    with socket.socket(socket.AF_UNIX) as listening:
        descriptor = os.open(folder, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{descriptor}/socket.MP4")
        os.close(descriptor)
    (folder / "setuid.MP4").touch()
    (folder / "setuid.MP4").chmod(0o4755)
    (folder / "tebibyte.MP4").touch()
    os.truncate(folder / "tebibyte.MP4", 1 << 40)
    put_below(camera.card, TOO_LONG)
    left = {path.name for path in folder.iterdir() if path.suffix == ".MP4"}
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: _all_gone(running), "all clips are cleared")
        assert running.slot("1").session.listing.refused == {
            "symlink": 3,
            "fifo": 1,
            "device": 1,
            "socket": 1,
            "setuid": 1,
            "larger_than_medium": 1,
            "path_too_long": 1,
        }
        assert {c.entry.path for c in await running.clips()} == {
            f.path for f in camera.truth.files if f.sha256 in shift.truth(camera)
        }
        assert shift.aboard(camera) == set()
    assert {path.name for path in (camera.card / "DCIM").iterdir() if path.suffix == ".MP4"} == left
    assert secret.read_bytes() == b"not yours"
    assert set(shift.depot.held()) == shift.truth(camera)


async def test_footage_that_the_profile_does_not_name_is_never_left_on_a_clear_camera(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    folder = camera.card / "DCIM" / "200"
    folder.mkdir()
    for name, size_bytes in (("X_0003.mts", 900_000), ("X_0004.mts", 900_000), ("X\n_0006.webm", 400_000)):
        (folder / name).write_bytes(bytes(size_bytes))
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: _all_gone(running), "all clips are cleared")
        await running.until_advice("1", "take, footage still aboard", "3 things on the camera could not be copied")
        (view,) = [bay for bay in await running.agent.desk.bays() if bay["bay"] == "1"]
        assert view["uncopied"] == {
            "count": 3,
            "names": ["DCIM/200/X\\n_0006.webm", "DCIM/200/X_0003.mts", "DCIM/200/X_0004.mts"],
        }


async def test_other_files_are_counted_where_a_camera_is_called_clear(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    (camera.card / "DCIM" / "readme.txt").write_bytes(b"x")
    (camera.card / "version.bin").write_bytes(b"x")
    (camera.card / "System Volume Information").mkdir()
    (camera.card / "System Volume Information" / "WPSettings.dat").write_bytes(b"known clutter is not counted")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice(
            "1",
            "take",
            "all footage that its profile names is in the evidence store; the camera is clear of it,"
            " but 2 other files are left on it",
        )
        (view,) = [bay for bay in await running.agent.desk.bays() if bay["bay"] == "1"]
        assert view["left"] == {"count": 2, "names": ["DCIM/readme.txt", "version.bin"]}


async def test_what_is_left_is_named_up_to_a_bound(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    for number in range(12):
        (camera.card / "DCIM" / f"{number:02}.mts").write_bytes(b"x")
        (camera.card / "DCIM" / f"{number:02}\n.txt").write_bytes(b"x")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "12 things")
        session = running.slot("1").session
        assert (len(session.listing.names), len(session.listing.left_names)) == (5, 5)
        event = (await running.events("files.left"))[0]
        assert (event["uncopied"], event["other"], event["session"]) == (12, 12, session.ident)
        assert event["uncopied_names"] == [f"DCIM/{n:02}.mts" for n in range(5)]
        assert event["other_names"] == [f"DCIM/{n:02}\\n.txt" for n in range(5)]
        await running.chain_holds()


async def test_a_camera_on_which_nothing_is_left_has_no_event_about_it(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert await running.events("files.left") == []


async def _all_gone(running: Running) -> bool:
    clips = await running.clips()
    return bool(clips) and all(c.copy is Copy.GONE for c in clips)


async def test_two_names_of_one_file_are_two_clips_and_one_object(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    first = camera.card / "DCIM" / "a.MP4"
    first.write_bytes(b"one file")
    (camera.card / "DCIM" / "b.MP4").hardlink_to(first)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        # Unlinking one name touches the file, so the other name waits for the next docking and its look.
        await running.until_advice("1", "take, footage still aboard", "not read again yet")
        camera.undock()
        await running.until_advice("1", None)
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        twins = [c for c in await running.clips() if c.sha256 == digest(b"one file")]
        assert [c.entry.path for c in twins] == [b"DCIM/a.MP4", b"DCIM/b.MP4"]
        assert {(c.custody, c.copy) for c in twins} == {(Custody.CONFIRMED, Copy.GONE)}
    assert set(shift.depot.held()) == shift.truth(camera) | {digest(b"one file")}


@pytest.mark.parametrize("change", ["append", "truncate", "rewrite"])
async def test_a_clip_that_changes_while_it_is_copied_is_kept_aside_and_taken_at_the_next_docking(
    shift: Shift, change: str
) -> None:
    camera = shift.camera("CAM1", faults={"change_after_bytes": 100_000, "change": change})
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard")
        camera.undock()
        await running.until_advice("1", None)
        camera.script(faults=None)
        now = {digest(path.read_bytes()) for path in camera.card.rglob("*") if path.is_file()}
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert now <= set(shift.depot.held())
        assert len(shift.truth(camera) - set(shift.depot.held())) <= 1, "the bytes that the camera itself gave up"
        assert not [path for path in camera.card.rglob("*") if path.is_file()]
        await running.chain_holds()


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, 1000)


def rewrite(path: Path) -> None:
    """Other bytes of the same size, and the time put back."""
    facts = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def replace(path: Path) -> None:
    """Another file of the same size and time under the name."""
    facts = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(facts.st_size))
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("change", [append, cut, rewrite, replace])
async def test_a_clip_that_changes_between_its_copy_and_the_last_look_is_never_wiped_unseen(
    shift: Shift, change: Callable[[Path], None]
) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    victim = next(f for f in camera.truth.files if f.role == "clip")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        place = camera.card / victim.path.decode()
        change(place)
        changed = digest(place.read_bytes())
        await shift.depot.start()
        await running.ask("retry")
        await running.until_advice("1", "take")
        held = shift.depot.held()
        assert changed in held, "the new bytes were lost"
        assert victim.sha256 in held, "the old bytes were lost"
        states = {c.sha256: c.copy for c in await running.clips() if c.entry.path == victim.path}
        assert states == {victim.sha256: Copy.MISSING, changed: Copy.GONE}
        await running.chain_holds()


async def test_a_clip_that_becomes_a_symlink_before_the_last_look_is_not_followed(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    victim = next(f for f in camera.truth.files if f.role == "clip")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        place = camera.card / victim.path.decode()
        outside = place.rename(shift.root / "outside")
        place.symlink_to(outside)
        await shift.depot.start()
        await running.ask("retry")
        await running.until(lambda: shift.aboard(camera) == {victim.path}, "the others are cleared")
        await running.until(lambda: _is_missing(running, victim.sha256), "its copy is missing")
        assert place.is_symlink()
        assert digest(outside.read_bytes()) == victim.sha256


async def _is_missing(running: Running, sha256: str) -> bool:
    return [c.copy for c in await running.clips() if c.sha256 == sha256] == [Copy.MISSING]
