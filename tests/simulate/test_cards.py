"""Generated cards: the truth agrees with the disk and with the bundled profiles."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.core.profile import (
    IdentitySource,
    Profile,
    Role,
    choose_profile,
    classify,
    is_event,
    marked_stems,
    read_name,
    sidecar_of,
)
from agent.core.profile import clip_stem as stem_of
from agent.devices.profiles import load_profiles
from agent.simulate.cards import CARD_KINDS, CardTruth, add_long_clip, build_card
from agent.simulate.footage import CLIP_MIN_BYTES

BUNDLED = Path(__file__).parents[2] / "config" / "profiles"
SERIAL = "BWC00012"


def build(root: Path, kind: str, *, seed: int = 3, serial: str = SERIAL) -> CardTruth:
    return build_card(root, kind, serial=serial, seed=seed, clips=4, clip_bytes=CLIP_MIN_BYTES)


def listing(root: Path) -> dict[bytes, os.stat_result]:
    """Everything on the card that is no directory, by raw relative path."""
    found = {}
    top = os.fsencode(root)
    for folder, _, names in os.walk(top):
        for name in names:
            path = folder + b"/" + name
            found[path[len(top) + 1 :]] = os.lstat(path)
    return found


def profiles() -> tuple[Profile, ...]:
    loaded = load_profiles(BUNDLED, station_zone=ZoneInfo("UTC"))
    assert loaded.problems == ()
    return loaded.profiles


def test_there_is_a_card_for_every_bundled_profile() -> None:
    assert {*CARD_KINDS} - {"odd"} == {profile.name for profile in profiles() if profile.match.markers}


@pytest.mark.parametrize("kind", CARD_KINDS)
def test_the_truth_is_what_lies_on_the_card(tmp_path: Path, kind: str) -> None:
    truth = build(tmp_path, kind)
    on_disk = listing(tmp_path)
    assert {file.path for file in truth.files} | set(truth.traps) == set(on_disk)
    for file in truth.files:
        content = (tmp_path / os.fsdecode(file.path)).read_bytes()
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert on_disk[file.path].st_mtime_ns == file.mtime_ns
        assert stat.S_ISREG(on_disk[file.path].st_mode)
    assert [file.path for file in truth.files] == sorted(file.path for file in truth.files)


@pytest.mark.parametrize("kind", CARD_KINDS)
def test_the_bundled_profile_sees_a_card_as_the_truth_does(tmp_path: Path, kind: str) -> None:
    truth = build(tmp_path, kind)
    paths = [file.path for file in truth.files]
    profile = choose_profile(profiles(), paths)
    assert profile is not None
    assert profile.name == truth.profile_name
    assert choose_profile(profiles(), [os.fsencode(path.name) for path in tmp_path.iterdir()]) == profile
    marked = marked_stems(profile, paths)
    for file in truth.files:
        assert classify(profile, file.path) is file.role
        if file.role is Role.CLIP:
            assert is_event(profile, file.path, read_name(profile, file.path), marked) is file.event


@pytest.mark.parametrize("kind", [kind for kind in CARD_KINDS if kind != "odd"])
def test_every_name_is_read_completely(tmp_path: Path, kind: str) -> None:
    truth = build(tmp_path, kind)
    profile = next(profile for profile in profiles() if profile.name == kind)
    clips = [file for file in truth.files if file.role is Role.CLIP]
    assert len(clips) == 4
    for file in clips:
        facts = read_name(profile, file.path)
        assert facts.started_at is not None
        assert facts.started_at.utc is not None
        seconds_before_mtime = file.mtime_ns / 1e9 - facts.started_at.utc.timestamp()
        assert 0 < seconds_before_mtime <= 3
        if profile.identity.source is IdentitySource.FILE_NAME:
            assert facts.camera == truth.serial


@pytest.mark.parametrize(
    ("kind", "events"),
    [("plain-dcim", 1), ("dahua-dsj", 1), ("novatek-ro", 1), ("blackvue-record", 1), ("axon-export", 0)],
)
def test_a_layout_that_can_mark_events_has_one(tmp_path: Path, kind: str, events: int) -> None:
    assert sum(file.event for file in build(tmp_path, kind).files) == events


def test_sidecars_belong_to_clips_of_the_card(tmp_path: Path) -> None:
    truth = build(tmp_path, "plain-dcim")
    (profile,) = (profile for profile in profiles() if profile.name == "plain-dcim")
    stems = {stem_of(profile, file.path) for file in truth.files if file.role is Role.CLIP}
    sidecars = [file.path for file in truth.files if file.role is Role.SIDECAR]
    assert len(sidecars) == 5
    assert {sidecar_of(profile, path) for path in sidecars} == stems


@pytest.mark.parametrize("kind", CARD_KINDS)
def test_the_same_arguments_give_the_same_card(tmp_path: Path, kind: str) -> None:
    assert build(tmp_path / "a", kind) == build(tmp_path / "b", kind)


@pytest.mark.parametrize("change", [{"seed": 4}, {"serial": "BWC00013"}])
def test_another_seed_or_camera_gives_other_clips(tmp_path: Path, change: dict[str, int | str]) -> None:
    one = build(tmp_path / "a", "plain-dcim")
    other = build(tmp_path / "b", "plain-dcim", **change)  # type: ignore[arg-type]
    shared = {file.sha256 for file in one.files} & {file.sha256 for file in other.files}
    assert not shared & {file.sha256 for file in one.files if file.role is Role.CLIP}


# ---- the odd card ----------------------------------------------------------------------------------------


def test_the_odd_card_has_everything_that_goes_wrong(tmp_path: Path) -> None:
    truth = build(tmp_path, "odd")
    files = {file.path: file for file in truth.files}
    in_folder = {path.rpartition(b"/")[2]: path for path in files if path.startswith(b"DCIM/101ODD/")}

    def content(path: bytes) -> bytes:
        return (tmp_path / os.fsdecode(path)).read_bytes()

    assert b"moov" not in content(in_folder[b"BWC00012_000000_20260115_143000_9001.MP4"])
    assert files[in_folder[b"BWC00012_000000_20260115_143000_9002.MP4"]].size == 0
    assert files[b"DCIM/102ODD/SAME.MP4"].sha256 != files[b"DCIM/101ODD/SAME.MP4"].sha256
    twins = [files[in_folder[name]] for name in (b"TWIN_A.MP4", b"TWIN_B.MP4", b"LINK.MP4")]
    assert len({twin.sha256 for twin in twins}) == 1
    assert (tmp_path / "DCIM/101ODD/LINK.MP4").stat().st_nlink == 2
    assert (tmp_path / "DCIM/101ODD/TWIN_B.MP4").stat().st_nlink == 1
    assert files[in_folder[b"BWC00012_000000_19700101_000000_9005.MP4"]].mtime_ns == 0
    assert {b"\xff\xfe\x80.MP4", "Wache Köln ü.MP4".encode(), b"two\nlines.MP4"} <= set(in_folder)
    assert any(b"\x1b" in name for name in in_folder)
    assert files[b"AUTORUN.INF"].role is files[b"SETUP.EXE"].role is Role.OTHER
    assert Role.IGNORED in {file.role for file in truth.files}


def test_the_odd_cards_traps_are_a_way_out_and_a_pipe(tmp_path: Path) -> None:
    truth = build(tmp_path, "odd")
    way_out, pipe = (tmp_path / os.fsdecode(path) for path in truth.traps)
    assert way_out.readlink() == Path("/etc/passwd")
    assert pipe.is_fifo()


def test_a_long_clip_takes_no_space(tmp_path: Path) -> None:
    size_bytes = 3 * (1 << 20) + 5
    truth = add_long_clip(tmp_path, build(tmp_path, "odd"), size_bytes=size_bytes)
    (long,) = (file for file in truth.files if file.path.endswith(b"LONG.MP4"))
    assert long.size == size_bytes
    assert long.sha256 == hashlib.sha256(bytes(size_bytes)).hexdigest()
    on_disk = (tmp_path / os.fsdecode(long.path)).stat()
    assert (on_disk.st_size, on_disk.st_mtime_ns) == (size_bytes, long.mtime_ns)
    assert on_disk.st_blocks * 512 < size_bytes
    assert {file.path for file in truth.files} | set(truth.traps) == set(listing(tmp_path))


@pytest.mark.slow
def test_a_long_clip_may_exceed_4_gib(tmp_path: Path) -> None:
    size_bytes = (4 << 30) + 1
    truth = add_long_clip(tmp_path, build(tmp_path, "plain-dcim"), size_bytes=size_bytes)
    assert max(file.size for file in truth.files) == size_bytes


def test_what_a_file_system_cannot_hold_is_not_in_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # what FAT answers

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    truth = build(tmp_path, "odd")
    assert truth.traps == (b"DCIM/101ODD/PIPE.MP4",)
    assert {file.path for file in truth.files} | set(truth.traps) == set(listing(tmp_path))


# ---- what is refused -------------------------------------------------------------------------------------


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    build(tmp_path, "plain-dcim")
    with pytest.raises(FileExistsError):
        build(tmp_path, "plain-dcim")


@pytest.mark.parametrize(
    ("kind", "serial", "clips", "clip_bytes", "reason"),
    [
        ("vhs", SERIAL, 1, CLIP_MIN_BYTES, "unknown kind"),
        ("odd", "x/../y", 1, CLIP_MIN_BYTES, "serial"),
        ("odd", SERIAL, 0, CLIP_MIN_BYTES, "at least one"),
        ("odd", SERIAL, 1, 1, "bytes"),
    ],
)
def test_an_impossible_card_is_refused(
    tmp_path: Path, kind: str, serial: str, clips: int, clip_bytes: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        build_card(tmp_path, kind, serial=serial, seed=1, clips=clips, clip_bytes=clip_bytes)
