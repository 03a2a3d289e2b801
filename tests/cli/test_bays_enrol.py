import json
import tomllib
from pathlib import Path

import pytest

from agent.config import load_config
from tests.cli.command import Here
from tests.cli.conftest import Place, Service
from tests.fakes.desk import bay_view


def cameras_file(place: Place) -> Path:
    return place.config.parent / "conf.d" / "cameras.toml"


def enrolled(place: Place) -> list[str]:
    return list(load_config(place.config).cameras.enrolled)


def test_serials_and_patterns_go_sorted_into_a_file_of_their_own(here: Here, place: Place) -> None:
    config = ("--config", str(place.config))
    ended = here("bays", "enrol", "X2", "BWC*", '1209:bc01/Zä"\\', *config)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"Added 3 entries to {cameras_file(place)}, which has 3 now.\n"
    said = json.loads(here("bays", "enrol", "X1", "X2", "--json", *config).out)
    assert said == {"file": str(cameras_file(place)), "added": ["X1"], "enrolled": 4}
    assert enrolled(place) == ['1209:bc01/Zä"\\', "BWC*", "X1", "X2"]
    lines = cameras_file(place).read_text().splitlines()
    assert lines[2:5] == ["[cameras]", "enrolled = [", r'    "1209:bc01/Zä\"\\",']
    assert cameras_file(place).stat().st_mode & 0o777 == 0o644


def test_what_lies_in_the_way_of_a_new_file_is_never_written_to(here: Here, place: Place) -> None:
    """Whoever had put it there, and has it open still, could write the list later on."""
    file = cameras_file(place)
    file.parent.mkdir()
    planted = file.with_name(f".{file.name}.new")
    planted.write_text("planted")
    with planted.open("r+") as kept:
        assert here("bays", "enrol", "X1", "--config", str(place.config)).code == 0
        assert kept.read() == "planted"
    assert enrolled(place) == ["X1"]
    assert not planted.exists()


def test_who_is_on_the_list_already_is_said(here: Here, place: Place) -> None:
    config, file = ("--config", str(place.config)), cameras_file(place)
    here("bays", "enrol", "X1", *config)
    before = file.stat()
    assert here("bays", "enrol", "X1", *config).out == f"X1 stands in {file} already.\n"
    now = file.stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    both = here("bays", "enrol", "X1", "X2", *config)
    assert (both.code, both.out.splitlines()) == (
        0,
        [f"Added 1 entry to {file}, which has 2 now.", f"X1 stands in {file} already."],
    )
    many = [f"Y{number}" for number in range(9)]
    here("bays", "enrol", *many, *config)
    assert here("bays", "enrol", *many, *config).out == f"9 of them stand in {file} already.\n"


def test_a_copy_of_the_file_enrols_on_another_station_as_well(here: Here, place: Place, tmp_path: Path) -> None:
    here("bays", "enrol", "X1", "--config", str(place.config))
    assert tomllib.loads(cameras_file(place).read_text()) == {"cameras": {"enrolled": ["X1"]}}
    assert tmp_path == place.config.parent


@pytest.mark.parametrize(
    ("view", "entry"),
    [
        (bay_view("2", usb=None), "X60A0002"),
        (bay_view("2", usb="1209:bc01"), "1209:bc01/X60A0002"),
        (bay_view("2", usb=None, camera="*"), "[*]"),  # a camera that calls itself everything
        (bay_view("2", usb="1209:bc01", camera="B[1]?"), "1209:bc01/B[[]1][?]"),
        (bay_view("2", usb=None, camera="1209:bc01/X"), "[1]209:bc01/X"),
    ],
)
def test_a_docked_camera_is_enrolled_as_itself_alone(
    here: Here, place: Place, service: Service, view: dict[str, object], entry: str
) -> None:
    service.desk.bay_views = [json.loads(json.dumps(view))]
    assert here("bays", "enrol", "--bay", "2", "--config", str(place.config)).code == 0
    assert enrolled(place) == [entry]


@pytest.mark.parametrize(
    ("bay", "camera", "reason"),
    [
        ("7", "X", "There is no bay 7."),
        ("1", "X", "No camera is known in bay 1 yet."),
        ("2", None, "No camera is known in bay 2 yet."),
        ("2", "unnamed-0123456789ab", "does not say its serial"),
        ("2", "X1~2", "Another docked camera has the serial"),
    ],
)
def test_what_cannot_be_recognised_again_is_not_enrolled(
    here: Here, place: Place, service: Service, bay: str, camera: str | None, reason: str
) -> None:
    service.desk.bay_views[1] = bay_view("2", camera=camera)
    ended = here("bays", "enrol", "--bay", bay, "--config", str(place.config))
    assert (ended.code, reason in ended.err) == (1, True)
    assert not cameras_file(place).exists()


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("X1\nX2\n", ["X1", "X2"]),
        ("X1,somebody\n\nX*\n", ["X1", "X[*]"]),
        ('\ufeffOfficer;Serial;USB\r\nMiller;X1;1209:BC01\r\nJones;"X;2";\r\n', ["1209:bc01/X1", "X;2"]),
        ("serial\n", []),
        ("", []),
    ],
)
def test_an_inventory_is_taken_row_by_row(
    here: Here, place: Place, tmp_path: Path, text: str, entries: list[str]
) -> None:
    (tmp_path / "list.csv").write_text(text, newline="")
    assert here("bays", "enrol", "--from", str(tmp_path / "list.csv"), "--config", str(place.config)).code == 0
    assert enrolled(place) == entries


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"serial,usb\nX1,1209\n", "row 2: '1209' is no USB id"),
        (b"officer,serial\nMiller\n", "row 2 has no serial"),
        (b"X1\nX\x07\n", "row 2: an entry is 1 to 400 printable"),
        (b"X1\n\xff\n", "utf-8"),
        (b'X1\n"X2"x\n', "expected after"),
        (b"x" * ((8 << 20) + 1), "larger than"),
    ],
)
def test_a_list_with_a_mistake_changes_nothing(
    here: Here, place: Place, tmp_path: Path, raw: bytes, reason: str
) -> None:
    (tmp_path / "list.csv").write_bytes(raw)
    ended = here("bays", "enrol", "X9", "--from", str(tmp_path / "list.csv"), "--config", str(place.config))
    assert (ended.code, reason in ended.err, "Nothing was changed" in ended.err) == (1, True, True)
    assert not cameras_file(place).exists()


def test_entries_can_be_taken_off_again(here: Here, place: Place) -> None:
    config = ("--config", str(place.config))
    here("bays", "enrol", "X1", "X2", *config)
    ended = here("bays", "enrol", "--remove", "X1", "X3", *config)
    assert (ended.code, "X3 does not stand in" in ended.err) == (1, True)
    assert ended.out == f"Took 1 entry off {cameras_file(place)}, which has 1 now.\n"
    assert json.loads(here("bays", "enrol", "--remove", "X2", "--json", *config).out)["removed"] == ["X2"]
    assert enrolled(place) == []


def test_everybody_who_is_enrolled_is_shown_with_the_file(here: Here, place: Place) -> None:
    config = ("--config", str(place.config))
    assert here("bays", "enrol", "--list", *config).out == "Nobody is enrolled: no camera is ever cleared.\n"
    with place.config.open("a") as file:
        file.write('[cameras]\nenrolled = ["A*"]\n')
    here("bays", "enrol", "B1", *config)
    rows = [line.split(maxsplit=1) for line in here("bays", "enrol", "--list", *config).out.splitlines()]
    assert [row[0] for row in rows] == ["camera", "A*", "B1"]
    assert [row[1].strip() for row in rows[1:]] == ["another file", "conf.d/cameras.toml"]
    assert json.loads(here("bays", "enrol", "--list", "--json", *config).out) == [
        {"entry": "A*", "local": False},
        {"entry": "B1", "local": True},
    ]


def test_a_file_that_holds_more_is_left_alone(here: Here, place: Place) -> None:
    cameras_file(place).parent.mkdir()
    cameras_file(place).write_text("[wipe]\nenabled = true\n")
    ended = here("bays", "enrol", "X1", "--config", str(place.config))
    assert (ended.code, "would lose that" in ended.err) == (1, True)
    assert cameras_file(place).read_text() == "[wipe]\nenabled = true\n"


@pytest.mark.parametrize("words", [[], ["--list", "X1"], ["a\nb"], [" "]])
def test_what_is_no_request_is_refused(here: Here, place: Place, words: list[str]) -> None:
    assert here("bays", "enrol", *words, "--config", str(place.config)).code == 2
    assert not cameras_file(place).exists()
