"""What a profile makes of a card, and what its author should hear about it."""

from pathlib import Path
from zoneinfo import ZoneInfo

from agent.core.conformance import Card, CardFile, Conformance, Grave, examine, time_words
from agent.core.profile import Profile, Role
from agent.devices.profiles import load_profile

HEAD = """
[profile]
name = "trial"
maker = "maker"
description = "a profile for tests"
access = "folder"
[match]
{match}
[clips]
globs = ["DCIM/**/*.mp4"]
case_insensitive = true
[ignored]
globs = ["**/.DS_Store", "trash/**"]
{more}
[wipe]
roles = ["clip"]
"""
NAME = """
[name]
pattern = '(?P<camera>[A-Z0-9]{3,9})_(?P<started_at>\\d{8}_\\d{6})\\.mp4'
started_at = "%Y%m%d_%H%M%S"
time = "local"
"""
BY_NAME = NAME + '[identity]\nsource = "file_name"\n'
SIDECARS = '[[sidecars]]\nglob = "DCIM/**/*.gps"\nsuffix = ".gps"\n[[sidecars]]\nglob = "DCIM/**/*.idx"\n'
GOOD = b"DCIM/1/CAM1_20270101_101500.MP4"


def made(tmp_path: Path, more: str = BY_NAME, match: str = 'paths = ["DCIM"]', name: str = "trial") -> Profile:
    file = tmp_path / f"{name}.toml"
    file.write_text(HEAD.format(match=match, more=more).replace('"trial"', f'"{name}"'))
    profile = load_profile(file, ZoneInfo("Europe/London"))
    assert isinstance(profile, Profile), profile
    return profile


def card(*paths: bytes, size_bytes: int = 10) -> Card:
    return Card([CardFile(path, size_bytes) for path in paths])


def codes(found: Conformance) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_card_that_fits_has_no_findings(tmp_path: Path) -> None:
    found = examine(made(tmp_path), card(GOOD))
    (judged,) = found.files
    assert (found.fits, found.serial, codes(found)) == (True, "CAM1", [])
    assert (judged.role, judged.facts.camera, judged.wiped) == (Role.CLIP, "CAM1", True)
    assert time_words(judged.facts.started_at) == "2027-01-01T10:15:00Z"


def test_a_model_that_is_not_recognised_is_a_problem(tmp_path: Path) -> None:
    found = examine(made(tmp_path, match='paths = ["VIDEO"]'), card(GOOD))
    assert (found.fits, codes(found)) == (False, ["not_recognised"])


def test_a_profile_that_another_one_overtakes_is_a_problem(tmp_path: Path) -> None:
    first = made(tmp_path, match='paths = ["DCIM"]\npriority = 5', name="first")
    mine = made(tmp_path)
    found = examine(mine, card(GOOD), [first, mine])
    assert (found.fits, codes(found)) == (False, ["other_profile_first"])
    assert "first" in found.findings[0].told
    assert examine(mine, card(GOOD), [mine]).fits


def test_a_profile_without_paths_is_chosen_by_usb(tmp_path: Path) -> None:
    found = examine(made(tmp_path, match='[[match.usb]]\nvendor = "1209"\nproduct = "bc01"'), card(GOOD))
    assert (found.fits, codes(found)) == (True, ["by_usb_only"])


def test_footage_that_no_rule_takes_is_a_problem_also_where_it_is_called_clutter(tmp_path: Path) -> None:
    found = examine(made(tmp_path), card(GOOD, b"DCIM/1/x.mov", b"trash/y.mp4", b"notes.txt"))
    assert (found.fits, codes(found)) == (False, ["footage_left", "left"])
    left, other = found.findings
    assert (left.count, set(left.paths)) == (2, {b"DCIM/1/x.mov", b"trash/y.mp4"})
    assert (other.grave, other.paths) == (Grave.NOTE, (b"notes.txt",))


def test_only_the_first_few_files_are_named(tmp_path: Path) -> None:
    (left,) = examine(made(tmp_path), card(GOOD, *(b"%d.mov" % n for n in range(9)))).findings
    assert (left.count, len(left.paths)) == (9, 5)


def test_a_card_without_a_clip_is_a_problem(tmp_path: Path) -> None:
    found = examine(made(tmp_path), Card([CardFile(b"DCIM/.DS_Store", 5)], frozenset({b"DCIM"})))
    assert (found.fits, codes(found)) == (False, ["no_clips", "no_serial"])


def test_what_no_session_reads_is_a_problem_unless_it_is_clutter(tmp_path: Path) -> None:
    files = [CardFile(GOOD, 10)]
    refused = ((b"DCIM/1/link.mp4", "symlink"), (b"trash/pipe", "fifo"))
    found = examine(made(tmp_path), Card(files, refused=refused))
    assert (found.fits, codes(found)) == (False, ["not_read"])
    assert found.findings[0].paths == (b"DCIM/1/link.mp4",)


def test_sidecars_are_matched_to_their_clips(tmp_path: Path) -> None:
    stem = GOOD.removesuffix(b".MP4")
    profile = made(tmp_path, SIDECARS + BY_NAME + '[events]\nsidecar = ".gps"\n')
    found = examine(profile, card(GOOD, stem + b".gps", b"DCIM/1/all.idx", b"DCIM/1/lost.gps"))
    by_path = {each.file.path: each for each in found.files}
    assert by_path[stem + b".gps"].of == (GOOD,)
    assert not by_path[stem + b".gps"].wiped, "only clips are, by this profile"
    assert by_path[GOOD].marked
    assert (found.fits, codes(found)) == (True, ["sidecar_alone"])
    assert found.findings[0].paths == (b"DCIM/1/lost.gps",)


def test_names_that_say_nothing_are_told_and_times_that_are_uncertain(tmp_path: Path) -> None:
    twice = b"DCIM/1/CAM1_20271031_013000.mp4"
    found = examine(made(tmp_path), card(GOOD, b"DCIM/1/holiday.mp4", twice))
    assert (found.fits, codes(found)) == (True, ["name_not_read", "time_uncertain"])
    assert [finding.paths for finding in found.findings] == [(b"DCIM/1/holiday.mp4",), (twice,)]
    uncertain = next(each for each in found.files if each.file.path == twice)
    assert time_words(uncertain.facts.started_at) == "2027-10-31T01:30:00[Europe/London]"
    assert time_words(None) is None


def test_names_of_several_cameras_are_a_problem(tmp_path: Path) -> None:
    found = examine(made(tmp_path), card(GOOD, GOOD.replace(b"CAM1", b"CAM2")))
    assert (found.fits, found.serial, codes(found)) == (False, None, ["several_serials"])


def test_a_serial_in_a_file_of_the_cameras_own_is_read_and_that_file_is_no_finding(tmp_path: Path) -> None:
    profile = made(tmp_path, '[identity]\nsource = "marker"\npath = "serial.txt"\n')
    files = [CardFile(GOOD, 10), CardFile(b"serial.txt", 4)]
    found = examine(profile, Card(files, marker=b"CAM7\n"))
    assert (found.serial, codes(found)) == ("CAM7", ["no_grammar"])
    assert codes(examine(profile, Card(files[:1]))) == ["no_grammar", "no_serial"]


def test_what_a_folder_cannot_show_is_not_tried(tmp_path: Path) -> None:
    found = examine(made(tmp_path, NAME + '[identity]\nsource = "label"\n'), card(GOOD))
    assert (found.fits, codes(found)) == (True, ["serial_not_tried"])


def test_a_profile_without_identity_has_no_serial(tmp_path: Path) -> None:
    found = examine(made(tmp_path, NAME), card(GOOD))
    assert (found.fits, found.serial, codes(found)) == (True, None, ["no_serial"])
