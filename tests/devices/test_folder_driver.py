"""The folder driver's parts without a process, and mounts in a mount namespace of their own."""

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from agent.devices.drivers import medium, walk
from agent.devices.drivers.driver import DriverError, Found
from agent.devices.drivers.folder import FolderDriver
from agent.devices.drivers.medium import Medium
from agent.devices.drivers.mounts import Mount, mounted_at, parse_mounts
from agent.devices.drivers.source import FileSource

ROOT = Path(__file__).parent.parent.parent


def found(root: Path) -> list[Found]:
    card = Medium(os.fsencode(root))
    rows: list[Found] = [row for row in walk.Walk(card).steps() if row is not None]
    card.close()
    return rows


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def paths(rows: list[Found]) -> list[bytes]:
    return [row[0] for row in rows if row is not None]


def test_a_large_directory_is_listed_whole_in_sorted_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SORTED_NAMES", 10)
    for number in range(35):
        (tmp_path / f"{number:02}").touch()
    listed = paths(found(tmp_path))
    assert sorted(listed) == [b"%02d" % number for number in range(35)]
    assert listed[:10] == sorted(listed[:10])


def test_a_listing_stops_at_its_cap_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "ENTRY_CAP", 5)
    for number in range(9):
        (tmp_path / str(number)).touch()
    rows = found(tmp_path)
    assert len(rows) == 6
    assert rows[-1] == (b"5", "too_many_entries")


def test_too_many_directories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "DIRECTORY_CAP", 3)
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a").touch()
    assert paths(found(tmp_path)) == [b"0/a", b"1/a", b"2", b"3"]


def test_memory_stays_flat_over_a_large_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SORTED_NAMES", 500)
    for number in range(5000):
        (tmp_path / f"{number:0120}").touch()
    card = Medium(os.fsencode(tmp_path))
    tracemalloc.start()
    count = sum(1 for _ in walk.Walk(card).steps())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    card.close()
    assert count == 5000
    assert peak < 500_000


def test_no_descriptor_is_left_by_a_listing_that_nobody_finished(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/c/d").touch()
    card = Medium(os.fsencode(tmp_path))
    before = open_descriptors()
    steps = walk.Walk(card).steps()
    while next(steps) is None:
        pass
    assert open_descriptors() > before
    del steps
    assert open_descriptors() == before
    card.close()


def test_a_file_is_sent_without_a_splice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A splice holds the pipe's lock while it waits for the medium: one that hangs would hang the agent as well."""

    def refuse(*_: object, **__: object) -> int:
        raise AssertionError

    for call in ("splice", "sendfile"):
        monkeypatch.setattr(os, call, refuse)
    content = os.urandom(60_000)
    (tmp_path / "a").write_bytes(content)
    driver = FolderDriver(os.fsencode(tmp_path))
    reading = driver.open_source(b"a", fresh=False)
    read_end, write_end = os.pipe()
    got = b""
    while reading.send(write_end, 20_000):
        got += os.read(read_end, 20_000)
    for fd in (read_end, write_end):
        os.close(fd)
    reading.close()
    driver.close()
    assert got == content


def test_a_file_that_takes_the_place_at_the_last_moment_is_not_unlinked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    facts = path.stat()
    driver = FolderDriver(os.fsencode(tmp_path))
    reading = driver.open_source(b"a", fresh=False)
    mark = reading.mark()
    reading.close()
    look = FileSource.mark

    def look_and_replace(self: FileSource) -> str:
        seen = look(self)
        (tmp_path / "b").write_bytes(b"5678")
        (tmp_path / "b").rename(path)
        return seen

    monkeypatch.setattr(FileSource, "mark", look_and_replace)
    driver.enter(driver._address, writable=True)
    with pytest.raises(DriverError, match="took its place"):
        driver.wipe(b"a", facts.st_size, facts.st_mtime_ns, mark)
    driver.close()
    assert path.read_bytes() == b"5678"


def test_a_file_touched_this_moment_is_marked_once_its_next_change_must_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    slept: list[float] = []
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + 5_000_000)
    monkeypatch.setattr(time, "sleep", slept.append)
    driver = FolderDriver(os.fsencode(tmp_path))
    reading = driver.open_source(b"a", fresh=False)
    assert reading.mark() == driver.medium.mark_of(path.stat())
    assert slept == [0.015]
    before = path.stat().st_ctime_ns

    def touch_until_it_shows(_seconds: float) -> None:
        while path.stat().st_ctime_ns == before:
            path.touch()

    monkeypatch.setattr(time, "sleep", touch_until_it_shows)
    with pytest.raises(DriverError, match="right now"):
        reading.mark()
    reading.close()
    driver.close()


def test_a_medium_whose_directory_was_replaced_is_gone(tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    driver = FolderDriver(os.fsencode(card))
    driver.require_present()
    card.rename(tmp_path / "old")
    card.mkdir()
    with pytest.raises(DriverError) as caught:
        driver.require_present()
    driver.close()
    assert caught.value.code == "gone"


def test_a_file_that_turns_into_a_symlink_at_the_last_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, secret = tmp_path / "clip", tmp_path / "secret"
    clip.touch()
    secret.touch()
    really_open = medium.open_quietly

    def swap_then_open(name: bytes, flags: int, dir_fd: int | None = None) -> int:
        if name == b"clip":
            clip.unlink()
            clip.symlink_to(secret)
        return really_open(name, flags, dir_fd)

    monkeypatch.setattr(medium, "open_quietly", swap_then_open)
    driver = FolderDriver(os.fsencode(tmp_path))
    with pytest.raises(DriverError) as caught:
        driver.open_source(b"clip", fresh=False)
    driver.close()
    assert (caught.value.code, caught.value.text) == ("refused", "symlink")


def test_mounts_are_read_with_their_escapes() -> None:
    line = rb"36 35 8:1 / /media/a\040b\134c\012d rw,noatime shared:1 master:2 - vfat /dev/sda1 ro"
    assert list(parse_mounts(line + b"\n")) == [Mount(36, "8:1", b"/media/a b\\c\nd", "vfat", 35)]


SYSTEM = Mount(20, "254:0", b"/", "ext4", 1, b"/")
SHADOW = Mount(30, "254:0", b"/media/bay1", "ext4", 20, b"/media/bay1")
CARD = Mount(31, "8:1", b"/media/bay1", "vfat", 20)


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ([SYSTEM], None),
        ([SYSTEM, SHADOW], None),
        ([SYSTEM, CARD], CARD),
        ([SYSTEM, SHADOW, CARD._replace(parent=30)], CARD._replace(parent=30)),
        ([SYSTEM, CARD, CARD._replace(id=32, parent=31)], CARD._replace(id=32, parent=31)),
        ([SYSTEM, SHADOW, SHADOW._replace(id=32, parent=30)], None),
        ([SYSTEM, SHADOW._replace(root=b"/srv/cards/1")], SHADOW._replace(root=b"/srv/cards/1")),
        ([SYSTEM, SHADOW._replace(device="254:1")], SHADOW._replace(device="254:1")),
        ([SYSTEM._replace(root=b"/inner"), SHADOW._replace(root=b"/inner/media/bay1")], None),
        ([SHADOW], SHADOW),
    ],
)
def test_a_folder_that_is_bound_onto_itself_holds_no_card(mounts: list[Mount], found: Mount | None) -> None:
    assert mounted_at(b"/media/bay1", mounts) == found


# ---- mounts, each in a mount namespace of its own

IN_NAMESPACE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.folder import FolderDriver
root = os.fsencode(sys.argv[2])
def mount(*arguments):
    assert os.spawnvp(os.P_WAIT, "mount", ["mount", *arguments]) == 0
def listed():
    return [row for row in driver.walk() if row is not None]
"""


def in_namespace(tmp_path: Path, script: str) -> list[str]:
    """Run `script` as root of a mount namespace, where nothing it mounts is seen by others."""
    argv = ["unshare", "-rm", sys.executable, "-c", IN_NAMESPACE + script, str(ROOT), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_directory_loop_is_entered_once(tmp_path: Path) -> None:
    (tmp_path / "a/loop").mkdir(parents=True)
    (tmp_path / "a/clip").touch()
    script = """
mount("--bind", sys.argv[2] + "/a", sys.argv[2] + "/a/loop")
driver = FolderDriver(root)
print([(row[0], row[-1]) for row in listed() if len(row) == 2])
"""
    assert in_namespace(tmp_path, script) == ["[(b'a/loop', 'loop')]"]


def test_another_file_system_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    script = """
mount("-t", "tmpfs", "tmpfs", sys.argv[2] + "/below")
open(sys.argv[2] + "/below/secret", "wb").close()
driver = FolderDriver(root)
print(listed())
try:
    driver.open_source(b"below/secret", fresh=False)
except DriverError as error:
    print(error.code, error.text)
"""
    assert in_namespace(tmp_path, script) == [
        "[(b'below', 'other_file_system')]",
        "refused other_file_system",
    ]


def test_a_medium_mounted_read_only_opens_no_wipe_window(tmp_path: Path) -> None:
    script = """
mount("-t", "tmpfs", "-o", "ro", "tmpfs", sys.argv[2])
driver = FolderDriver(root)
print(driver.facts()["file_system"])
try:
    driver.enter(driver._address, writable=True)
except DriverError as error:
    print(error.code)
"""
    assert in_namespace(tmp_path, script) == ["tmpfs", "read_only"]


def test_a_medium_that_turned_read_only_refuses_the_wipe(tmp_path: Path) -> None:
    script = """
mount("-t", "tmpfs", "tmpfs", sys.argv[2])
open(sys.argv[2] + "/a", "wb").close()
driver = FolderDriver(root)
driver.enter(driver._address, writable=True)
_, size, mtime = listed()[0]
reading = driver.open_source(b"a", fresh=False)
mark = reading.mark()
reading.close()
mount("-o", "remount,ro", sys.argv[2])
try:
    driver.wipe(b"a", size, mtime, mark)
except DriverError as error:
    print(error.code, os.listdir(root))
"""
    assert in_namespace(tmp_path, script) == ["read_only [b'a']"]


def test_a_medium_mounted_over_is_gone(tmp_path: Path) -> None:
    script = """
driver = FolderDriver(root)
mount("-t", "tmpfs", "tmpfs", sys.argv[2])
try:
    listed()
except DriverError as error:
    print(error.code)
"""
    assert in_namespace(tmp_path, script) == ["gone"]
