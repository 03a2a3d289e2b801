"""Profiles as files: the bundled ones read real names, and every kind of mistake is reported where it stands."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.core.profile import (
    Access,
    IdentitySource,
    Profile,
    Role,
    Unlock,
    UsbId,
    choose_profile,
    classify,
    is_event,
    read_identity,
    read_name,
    sidecar_of,
)
from agent.devices.profiles import FILE_MAX_BYTES, LoadedProfiles, load_profiles

BUNDLED = Path(__file__).parents[2] / "config" / "profiles"
LONDON = ZoneInfo("Europe/London")
GOOD = """
[profile]
name = "good"
maker = "m"
description = "d"
access = "folder"
[match]
paths = ["DCIM"]
[clips]
globs = ["**/*.mp4"]
"""


def load(directory: Path, **files: str) -> LoadedProfiles:
    for name, text in files.items():
        (directory / f"{name}.toml").write_text(text)
    return load_profiles(directory, station_zone=LONDON)


def mistakes(directory: Path, text: str) -> dict[str, str]:
    """Load one bad file next to a good one; give key and reason of each problem."""
    loaded = load(directory, bad=text, good=GOOD)
    assert [profile.name for profile in loaded.profiles] == ["good"]
    assert {problem.file for problem in loaded.problems} == {str(directory / "bad.toml")}
    found = {problem.key: problem.reason for problem in loaded.problems}
    assert len(found) == len(loaded.problems)
    return found


@pytest.fixture(scope="module")
def bundled() -> dict[str, Profile]:
    loaded = load_profiles(BUNDLED, station_zone=LONDON)
    assert loaded.problems == ()
    return {profile.name: profile for profile in loaded.profiles}


# ---- bundled profiles ------------------------------------------------------------------------------------


def test_every_bundled_file_is_a_profile_of_its_own_name(bundled: dict[str, Profile]) -> None:
    assert sorted(bundled) == sorted(file.stem for file in BUNDLED.glob("*.toml"))
    assert len(bundled) >= 5


@pytest.mark.parametrize(
    ("name", "path", "claims"),
    [
        (
            "plain-dcim", b"DCIM/100BWC/BWC00012_000000_20260115_143000_0003.MP4",
            ("BWC00012", "000000", 3, "2026-01-15T14:30:00", False),
        ),
        ("plain-dcim", b"DCIM/1/20260115_143000.mp4", (None, None, None, "2026-01-15T14:30:00", False)),
        ("plain-dcim", b"DCIM/1/MOVI0001.avi", (None, None, None, None, False)),
        (
            "dahua-dsj", b"mpt/2026-01-15/001/dav/14/14.30.45-14.31.12[R][0@0][0].mp4",
            (None, None, 0, "2026-01-15T14:30:45", False),
        ),
        (
            "dahua-dsj", b"mpt/2026-01-15/001/dav/14/14.30.45-14.31.12[F][0@0][0].mp4",
            (None, None, 0, "2026-01-15T14:30:45", True),
        ),
        (
            "motorola-export", b"Smith_202511292256_BWL7137497-0.mp4",
            ("BWL7137497", "Smith", 0, "2025-11-29T22:56:00", False),
        ),
        (
            "motorola-export", "O'Brien_Máire_202511292256_BWL7137497-1.mp4".encode(),
            ("BWL7137497", "O'Brien_Máire", 1, "2025-11-29T22:56:00", False),
        ),
        ("novatek-ro", b"Movie/2026_0115_143000_001.MP4", (None, None, 1, "2026-01-15T14:30:00", False)),
        (
            "novatek-ro", b"Movie/RO/2026_0115_143300_000002F.MP4",
            (None, None, 2, "2026-01-15T14:33:00", True),
        ),
        (
            "axon-export", b"AXON_Body_2_Video_2024-11-29_2256_001.mp4",
            (None, None, 1, "2024-11-29T22:56:00", False),
        ),
        (
            "axon-export", b"AXON_Body_2_Video_2024-11-29_2256.mp4",
            (None, None, None, "2024-11-29T22:56:00", False),
        ),
        (
            "blackvue-record", b"Record/20260115_143000_NF.mp4",
            (None, None, None, "2026-01-15T14:30:00", False),
        ),
        (
            "blackvue-record", b"Record/20260115_143000_EF.mp4",
            (None, None, None, "2026-01-15T14:30:00", True),
        ),
    ],
)  # fmt: skip
def test_a_bundled_profile_reads_published_names(
    bundled: dict[str, Profile], name: str, path: bytes, claims: tuple[object, ...]
) -> None:
    profile = bundled[name]
    facts = read_name(profile, path)
    started = facts.started_at and facts.started_at.local
    assert classify(profile, path) is Role.CLIP
    assert (facts.camera, facts.officer, facts.sequence, started, is_event(profile, path, facts)) == claims


@pytest.mark.parametrize(
    ("name", "path", "role", "stem"),
    [
        ("plain-dcim", b"DCIM/100/A.GPS", Role.SIDECAR, b"dcim/100/a"),
        ("plain-dcim", b"DCIM/100/A.mark", Role.SIDECAR, b"dcim/100/a"),
        ("plain-dcim", b"System Volume Information/x", Role.IGNORED, None),
        ("plain-dcim", b"AUTORUN.INF", Role.OTHER, None),
        ("dahua-dsj", b"NMEA_20260115_143000.txt", Role.SIDECAR, None),
        ("dahua-dsj", b"logs/NMEA_20260115_143000.txt", Role.SIDECAR, None),
        ("blackvue-record", b"Record/20260115_143000_NF.thm", Role.SIDECAR, b"record/20260115_143000_nf"),
        ("blackvue-record", b"Record/20260115_143000_N.gps", Role.SIDECAR, None),
        ("motorola-export", b"sub/Thumbs.db", Role.IGNORED, None),
        ("novatek-ro", b"update.bin", Role.OTHER, None),
    ],
)
def test_a_bundled_profile_knows_what_is_no_clip(
    bundled: dict[str, Profile], name: str, path: bytes, role: Role, stem: bytes | None
) -> None:
    assert classify(bundled[name], path) is role
    assert sidecar_of(bundled[name], path) == stem


@pytest.mark.parametrize(
    ("listing", "name"),
    [
        ([b"DCIM"], "plain-dcim"),
        ([b"dcim", b"Movie"], "novatek-ro"),
        ([b"mpt/2026-01-15", b"NMEA_1.txt"], "dahua-dsj"),
        ([b"Smith_202511292256_BWL7137497-0.mp4"], "motorola-export"),
        ([b"AXON_Body_2_Video_2024-11-29_2256_001.mp4"], "axon-export"),
        ([b"Record"], "blackvue-record"),
        ([b"holiday.mp4"], None),
        ([], None),
    ],
)
def test_a_root_listing_chooses_one_bundled_profile(
    bundled: dict[str, Profile], listing: list[bytes], name: str | None
) -> None:
    chosen = choose_profile(bundled.values(), listing)
    assert (chosen and chosen.name) == name


def test_only_what_lies_on_a_medium_is_wiped_and_no_power_is_cut(bundled: dict[str, Profile]) -> None:
    unwiped = {name for name, profile in bundled.items() if not profile.wipe_roles}
    assert unwiped == {"any-folder", "axon-export"}  # what a person hands over is not ours to destroy
    for profile in bundled.values():
        assert not profile.upkeep.may_cut_power


# ---- what a file may say ---------------------------------------------------------------------------------


def test_a_profile_may_use_every_key(tmp_path: Path) -> None:
    text = GOOD.replace("[clips]", 'usb = [{ vendor = "4255", product = "000A" }]\nlabel = "CAM*"\n[clips]')
    text += r"""
case_insensitive = true
[ignored]
globs = ["X/**"]
[name]
pattern = 'x(?P<started_at>\d{14})'
started_at = "%Y%m%d%H%M%S"
time = "local"
zone = "Asia/Tokyo"
[[sidecars]]
glob = "**/*.SIG"
suffix = ".MP4.SIG"
[events]
paths = ["RO/**"]
sidecar = ".MARK"
[identity]
source = "marker"
path = "MISC/id.txt"
pattern = 'ID=(?P<camera>\w{1,9})'
[wipe]
roles = ["clip", "sidecar", "other"]
[reading]
stall_s = 5
[clock]
settable = true
[battery]
path = "MISC/bat.txt"
[firmware]
version_path = "MISC/ver.txt"
delivery = "card_root"
[power]
may_cut = true
owner = "controller"
"""
    loaded = load(tmp_path, full=text)
    assert loaded.problems == ()
    (profile,) = loaded.profiles
    assert profile.match.usb == (UsbId(0x4255, 0x000A),)
    assert profile.match.label == "CAM*"
    assert profile.wipe_roles == {Role.CLIP, Role.SIDECAR, Role.OTHER}
    assert profile.stall_s == 5
    assert profile.identity.source is IdentitySource.MARKER
    assert profile.identity.path == b"MISC/id.txt"
    assert read_identity(profile, b"id=abc") == "abc"
    assert sidecar_of(profile, b"A.mp4.sig") == b"a"
    claim = read_name(profile, b"x20260115143000").started_at
    assert claim is not None
    assert claim.zone == "Asia/Tokyo"
    upkeep = profile.upkeep
    assert (upkeep.may_set_clock, upkeep.may_cut_power, upkeep.power_owner) == (True, True, "controller")
    assert (upkeep.battery_path, upkeep.firmware_version_path) == (b"MISC/bat.txt", b"MISC/ver.txt")
    assert upkeep.firmware_delivery == "card_root"


def test_the_defaults_allow_nothing_that_changes_a_camera(tmp_path: Path) -> None:
    (profile,) = load(tmp_path, good=GOOD).profiles
    assert profile.wipe_roles == frozenset()
    assert not profile.upkeep.may_set_clock
    assert not profile.upkeep.may_cut_power
    assert profile.upkeep.firmware_delivery == "none"
    assert profile.identity.source is IdentitySource.NONE


USB = """
[usb]
interfaces = ["08:06:50", "ff:bc:01"]
[usb.unlock]
vendor = "1209"
product = "BC00"
request_type = 0x40
request = 0x51
value = 1
index = 2
data = "c0FFee"
[identity]
source = "usb"
"""


def test_a_profile_says_what_a_camera_shows_on_a_port(tmp_path: Path) -> None:
    (profile,) = load(tmp_path, good=GOOD.replace("folder", "mass_storage") + USB).profiles
    assert profile.usb.interfaces == {"08:06:50", "ff:bc:01"}
    assert profile.usb.unlock == Unlock(UsbId(0x1209, 0xBC00), 0x40, 0x51, 1, 2, b"\xc0\xff\xee")
    assert profile.identity.source is IdentitySource.USB


@pytest.mark.parametrize(
    ("access", "interfaces"),
    [("mass_storage", {"08:06:50", "08:06:62"}), ("mtp", {"06:01:01"}), ("folder", set())],
)
def test_unless_said_a_camera_may_show_the_interface_of_its_files_only(
    tmp_path: Path, access: str, interfaces: set[str]
) -> None:
    (profile,) = load(tmp_path, good=GOOD.replace("folder", access)).profiles
    assert profile.access is Access(access)
    assert profile.usb.interfaces == interfaces
    assert profile.usb.unlock is None


@pytest.mark.parametrize(
    ("line", "zone"), [("", "Europe/London"), ('time = "utc"', "UTC"), ('zone = "Asia/Tokyo"', "Asia/Tokyo")]
)
def test_the_zone_of_names_is_the_stations_unless_said(tmp_path: Path, line: str, zone: str) -> None:
    name = "[name]\npattern = '(?P<started_at>\\d{12})'\nstarted_at = '%Y%m%d%H%M'\n"
    (profile,) = load(tmp_path, good=GOOD + name + line).profiles
    claim = read_name(profile, b"202607151200").started_at
    assert claim is not None
    assert claim.zone == zone


# ---- mistakes --------------------------------------------------------------------------------------------

NAME = "[name]\npattern = '{}'\n"
DISK = GOOD.replace("folder", "mass_storage") + "[usb]\n"
UNLOCK = "[usb.unlock]\nvendor = '1209'\nproduct = 'bc00'\nrequest = 1\nrequest_type = {}\n"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        (GOOD.replace('"folder"', '"ftp"'), "profile.access", "mass_storage"),
        (GOOD.replace('"good"', '"Good One"'), "profile.name", "pattern"),
        (GOOD.replace('maker = "m"', ""), "profile.maker", "is missing"),
        (GOOD.replace('maker = "m"', "maker = 1"), "profile.maker", "string"),
        (GOOD + "[wype]\nroles = []", "wype", "unknown key"),
        (GOOD + "case_sensitive = true", "clips.case_sensitive", "unknown key"),
        (GOOD + 'case_insensitive = "yes"', "clips.case_insensitive", "boolean"),
        (GOOD.replace('["**/*.mp4"]', "[]"), "clips.globs", "at least 1"),
        (GOOD.replace('"**/*.mp4"', '"a", "/b**"'), "clips.globs.1", "relative"),
        (GOOD.replace('["DCIM"]', "[]"), "match", "every camera"),
        (GOOD.replace('["DCIM"]', '["**"]'), "match.paths.0", "every camera"),
        (GOOD.replace('["DCIM"]', '["../x"]'), "match.paths.0", "relative"),
        (GOOD.replace("[clips]", "usb = [{vendor='zz', product='0001'}]\n[clips]"), "match.usb.0.vendor", ""),
        (GOOD + NAME.format("("), "name.pattern", "not a regular expression"),
        (GOOD + NAME.format("(a+)+"), "name.pattern", "hang"),
        (GOOD + NAME.format("(?P<cop>a)"), "name.pattern", "unknown group cop"),
        (GOOD + NAME.format("(?P<started_at>a)"), "name", "started_at is missing"),
        (GOOD + NAME.format("a") + "started_at = '%Y%m%d%H%M'", "name.started_at", "no group"),
        (GOOD + NAME.format("a") + "zone = 'Mars/Olympus'", "name.zone", "no such time zone"),
        (GOOD + NAME.format("a") + "zone = '../../etc/passwd'", "name.zone", "no such time zone"),
        (GOOD + NAME.format("a") + "zone = 'Europe'", "name.zone", "no such time zone"),
        (GOOD + NAME.format("a") + "time = 'utc'\nzone = 'Asia/Tokyo'", "name.zone", "no meaning"),
        (GOOD + "[[sidecars]]\nglob = 'a//b'", "sidecars.0.glob", "relative"),
        (GOOD + "[[sidecars]]\nglob = 'a'\nsuffix = 'x'", "sidecars.0.suffix", "pattern"),
        (GOOD + "[events]\nsidecar = '/.mark'", "events.sidecar", "pattern"),
        (GOOD + "[identity]\nsource = 'file_name'", "identity", "group camera"),
        (GOOD + NAME.format("a") + "[identity]\nsource = 'file_name'", "identity", "group camera"),
        (GOOD + "[identity]\nsource = 'marker'", "identity", "path"),
        (GOOD + "[identity]\nsource = 'marker'\npath = '*.txt'", "identity.path", "wildcards"),
        (GOOD + "[identity]\nsource = 'label'\npattern = 'a'", "identity.pattern", "needs a group camera"),
        (GOOD + "[identity]\npattern = '(?P<camera>a)'", "identity", "pattern belongs"),
        (GOOD + "[wipe]\nroles = ['video']", "wipe.roles.0", "'clip'"),
        (GOOD + "[wipe]\nroles = ['ignored']", "wipe.roles.0", "'clip'"),
        (GOOD + "[wipe]\nroles = ['sidecar']", "wipe", "no [[sidecars]]"),
        (GOOD + "[reading]\nstall_s = 0", "reading.stall_s", "greater"),
        (GOOD + "[reading]\nstall_s = nan", "reading.stall_s", "finite"),
        (GOOD + "[power]\nmay_cut = 1", "power.may_cut", "boolean"),
        (DISK + "interfaces = []", "usb.interfaces", "at least 1"),
        (DISK + "interfaces = ['08:06:5']", "usb.interfaces.0", "pattern"),
        (DISK + "interfaces = ['08:06:50', 'FF:bc:01']", "usb.interfaces.1", "pattern"),
        (DISK + "interfaces = ['08:06:50', '03:01:01']", "usb.interfaces.1", "types or points"),
        (DISK + "interfaces = ['08:06:50', '09:00:00']", "usb.interfaces.1", "no hub"),
        (DISK + "interfaces = ['06:01:01']", "usb", "08:06:50 or 08:06:62"),
        (DISK.replace("mass_storage", "mtp") + "interfaces = ['08:06:50']", "usb", "06:01:01 or ff:ff:00"),
        (GOOD + "[usb]\ninterfaces = ['08:06:50']", "usb", "no meaning for a folder"),
        (GOOD + UNLOCK.format("0x40"), "usb", "no meaning for a folder"),
        (DISK + UNLOCK.format("0xC0"), "usb.unlock.request_type", "towards the camera"),
        (DISK + UNLOCK.format("0"), "usb.unlock.request_type", "vendor or class"),
        (DISK + UNLOCK.format("0x40") + "data = 'abc'", "usb.unlock.data", "pattern"),
        (DISK + UNLOCK.format("0x40") + "value = 65536", "usb.unlock.value", "less than"),
        (DISK + UNLOCK.format("'40'"), "usb.unlock.request_type", "integer"),
        ("", "clips", "is missing"),
        ("= broken", "", "not a TOML file"),
        ("a = " + "[" * 20_000, "", "not a TOML file"),
        ("#" * (FILE_MAX_BYTES + 1), "", "larger"),
    ],
)
def test_a_mistake_is_reported_with_file_key_and_reason(tmp_path: Path, text: str, key: str, reason: str) -> None:
    found = mistakes(tmp_path, text.replace('"good"', '"bad"'))
    assert reason in found[key]
    assert len(found) == (3 if not text else 1)


@pytest.mark.parametrize(
    ("before", "after", "key", "reason"),
    [
        ("[clips]", "[clips]\ngolbs = []", "clips.golbs", "unknown key; did you mean globs?"),
        ('maker = "m"\n', "", "profile.maker", "is missing"),
    ],
)
def test_a_key_that_is_unknown_or_missing_is_said_in_plain_words(
    tmp_path: Path, before: str, after: str, key: str, reason: str
) -> None:
    assert mistakes(tmp_path, GOOD.replace('"good"', '"bad"').replace(before, after)) == {key: reason}


@pytest.mark.parametrize(
    "time_format", ["%Y%m%d", "%H%M", "%Y%m%d%I%M", "%Y%m%d%H%M%z", "%c", "%Y%Y%m%d%H%M", "%Q", "%", "x"]
)
def test_a_time_format_that_is_not_a_whole_moment_is_reported(tmp_path: Path, time_format: str) -> None:
    text = GOOD.replace('"good"', '"bad"') + NAME.format("(?P<started_at>.)") + f"started_at = '{time_format}'"
    assert "year, month, day" in mistakes(tmp_path, text)["name.started_at"]


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"folder"', '"ftp"').replace('"**/*.mp4"', '"/"').replace('"good"', '"bad"')
    text += NAME.format("(a+)+") + "zone = 'Mars'\nstarted_at = '%Y'\n[wipe]\nroles = ['sidecar', 'x']\nall = true"
    assert set(mistakes(tmp_path, text)) == {
        "profile.access", "clips.globs.0", "name.pattern", "name.zone", "name.started_at",
        "wipe.roles.1", "wipe.all",
    }  # fmt: skip


def test_a_check_across_tables_runs_although_another_table_is_wrong(tmp_path: Path) -> None:
    text = GOOD.replace('"folder"', '"ftp"').replace('"good"', '"bad"')
    text += "[identity]\nsource = 'file_name'\n[wipe]\nroles = ['sidecar']"
    assert set(mistakes(tmp_path, text)) == {"profile.access", "identity", "wipe"}


def test_the_second_profile_of_a_name_is_a_problem(tmp_path: Path) -> None:
    loaded = load(tmp_path, a=GOOD, b=GOOD)
    (problem,) = loaded.problems
    assert (problem.file, problem.key) == (str(tmp_path / "b.toml"), "profile.name")
    assert len(loaded.profiles) == 1


def test_what_cannot_be_read_as_text_or_at_all_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "b.toml").mkdir()
    (tmp_path / "c.toml").symlink_to("nowhere")
    loaded = load(tmp_path, good=GOOD)
    assert [Path(problem.file).name for problem in loaded.problems] == ["a.toml", "b.toml", "c.toml"]
    assert "not a TOML file" in loaded.problems[0].reason
    assert all("cannot be read" in problem.reason for problem in loaded.problems[1:])
    assert len(loaded.profiles) == 1


def test_a_pipe_among_the_profiles_does_not_hang_loading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.toml")
    loaded = load(tmp_path, good=GOOD)
    assert "not a regular file" in loaded.problems[0].reason


@pytest.mark.parametrize("directory", ["", "missing"])
def test_a_directory_without_profiles_is_a_problem(tmp_path: Path, directory: str) -> None:
    loaded = load_profiles(tmp_path / directory, station_zone=LONDON)
    assert loaded.profiles == ()
    assert "no profiles" in loaded.problems[0].reason
