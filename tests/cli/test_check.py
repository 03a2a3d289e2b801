import json
from pathlib import Path

import pytest

from tests.cli.command import Here
from tests.cli.conftest import Place


def test_all_problems_are_told_at_once_with_file_and_key(here: Here, place: Place) -> None:
    extra = place.config.parent / "conf.d" / "more.toml"
    extra.parent.mkdir()
    extra.write_text('[wipe]\nenabled = "perhaps"\n')
    place.config.write_text(place.config.read_text() + "[confirm]\ncopies = 0\n[speed]\nwarp = 1\n")
    ended = here("check", "--config", str(place.config))
    assert (ended.code, ended.out) == (78, "")
    told = ended.err.splitlines()
    assert len(told) == 3
    assert any(line.startswith(f"dock-agent: {place.config}: confirm.copies: ") for line in told)
    assert any(line.startswith(f"dock-agent: {place.config}: speed") for line in told)
    assert any(line.startswith(f"dock-agent: {extra}: wipe.enabled: ") for line in told)


def test_problems_are_one_json_object_when_asked(here: Here, place: Place) -> None:
    place.config.write_text(place.config.read_text() + "[confirm]\ncopies = 0\n")
    ended = here("check", "--json", "--config", str(place.config))
    (problem,) = json.loads(ended.out)["problems"]
    assert ended.code == 78
    assert problem["file"] == str(place.config)
    assert problem["key"] == "confirm.copies"
    assert problem["reason"]


def test_a_good_configuration_is_fine_and_says_that_wiping_is_off(here: Here, place: Place) -> None:
    ended = here("check", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("The configuration is fine.\n")
    assert "note: Wiping is off" in ended.out


def test_a_trial_is_said(here: Here, place: Place) -> None:
    place.config.write_text(place.config.read_text().replace("[station]", "[station]\ntrial = true"))
    assert "note: TRIAL" in here("check", "--config", str(place.config)).out


def test_checking_leaves_nothing_behind(here: Here, place: Place) -> None:
    here("check", "--config", str(place.config))
    assert [path.name for path in place.config.parent.iterdir()] == ["agent.toml"]


def test_a_missing_file_is_a_configuration_problem(here: Here, tmp_path: Path) -> None:
    ended = here("status", "--config", str(tmp_path / "none.toml"))
    reason = "there is no such file; run `dock-agent setup`, or name yours with --config"
    assert (ended.code, ended.err) == (78, f"dock-agent: {tmp_path}/none.toml: {reason}\n")


def test_profiles_are_listed(here: Here, place: Place) -> None:
    ended = here("profiles", "list", "--config", str(place.config))
    assert ended.code == 0
    assert any(line.startswith("plain-dcim ") for line in ended.out.splitlines())


def test_a_broken_profile_is_told_beside_the_good_ones(here: Here, place: Place) -> None:
    folder = place.config.parent / "profiles"
    folder.mkdir()
    (folder / "bad.toml").write_text("[profile]\n")
    place.config.write_text(place.config.read_text() + '[profiles]\ndirectory = "profiles"\n')
    ended = here("profiles", "list", "--json", "--config", str(place.config))
    assert ended.code == 78
    assert json.loads(ended.out) == []
    assert f"dock-agent: {folder}/bad.toml: profile.name: " in ended.err


def notes(here: Here, place: Place, text: str) -> list[str]:
    place.config.write_text(place.config.read_text() + text)
    ended = here("check", "--json", "--config", str(place.config))
    assert ended.code == 0
    return list(json.loads(ended.out)["notes"])


def test_a_bay_whose_folder_does_not_exist_is_noted(here: Here, place: Place) -> None:
    root = place.config.parent
    (root / "there").mkdir()
    (root / "file").touch()
    bays = "".join(
        f'[[bays]]\nname = "{name}"\nfolder = "{name}"\nmust_be_mount = true\n' for name in ("there", "file", "none")
    )
    told = notes(here, place, bays + '[[imports]]\nname = "wifi"\nfolder = "pushed"\n')
    assert [note for note in told if note.startswith(("Bay", "Import"))] == [
        f"Bay file: {root}/file is not a folder.",
        f"Bay none: there is no folder {root}/none.",
        f"Import wifi: there is no folder {root}/pushed.",
    ]


def test_a_folder_that_cannot_be_looked_at_is_noted_as_such(here: Here, place: Place) -> None:
    name = "x" * 300
    told = notes(here, place, f'[[bays]]\nname = "1"\nfolder = "{name}"\nmust_be_mount = true\n')
    assert f"Bay 1: {place.config.parent}/{name} cannot be looked at (File name too long)." in told


def test_a_bay_that_files_could_be_copied_into_is_pointed_to_imports(here: Here, place: Place) -> None:
    (place.config.parent / "bay").mkdir()
    (place.config.parent / "mount").mkdir()
    bays = '[[bays]]\nname = "1"\nfolder = "bay"\n[[bays]]\nname = "2"\nfolder = "mount"\nmust_be_mount = true\n'
    (told,) = [note for note in notes(here, place, bays) if note.startswith("Bay")]
    assert told.startswith("Bay 1 is a folder that need not be a mount point")
    assert "[[imports]]" in told


@pytest.mark.parametrize(("trial", "expected"), [("false", 1), ("true", 0)])
def test_stores_that_can_never_confirm_are_noted(here: Here, place: Place, trial: str, expected: int) -> None:
    place.config.write_text(place.config.read_text().replace("[station]", f"[station]\ntrial = {trial}"))
    (place.config.parent / "evidence").mkdir()
    url = f"file://{place.config.parent}/evidence"
    told = notes(here, place, f'[[stores]]\nname = "here"\nurl = "{url}"\nrequire = "readback"\n')
    assert len([note for note in told if note.startswith("Nothing can ever be confirmed: every store")]) == expected
    assert len([note for note in told if note.startswith("Store here is on this machine")]) == expected


def test_fewer_stores_that_count_than_copies_are_noted(here: Here, place: Place) -> None:
    (place.config.parent / "evidence").mkdir()
    url = f"file://{place.config.parent}/evidence"
    told = notes(
        here,
        place,
        f'[[stores]]\nname = "here"\nurl = "{url}"\nrequire = "readback"\n'
        '[[stores]]\nname = "there"\nurl = "tus+https://evidence.example/files/"\nrequire = "readback"\n'
        "[confirm]\ncopies = 2\n",
    )
    assert any("[confirm] copies = 2, but only 1 may confirm" in note for note in told)


def test_a_store_directory_that_is_missing_is_noted(here: Here, place: Place) -> None:
    url = f"file://{place.config.parent}/evi%20dence"
    told = notes(here, place, f'[[stores]]\nname = "nas"\nurl = "{url}"\nrequire = "readback"\n')
    assert any(note.startswith(f"Store nas: there is no folder {place.config.parent}/evi dence.") for note in told)


@pytest.mark.parametrize(
    ("enabled", "entry", "expected"),
    [("true", "*", 1), ("false", "*", 0), ("true", "X*", 0), ("true", "1209:bc01/*", 0)],
)
def test_wiping_with_every_camera_enrolled_is_noted(
    here: Here, place: Place, enabled: str, entry: str, expected: int
) -> None:
    told = notes(here, place, f'[wipe]\nenabled = {enabled}\n[cameras]\nenrolled = ["X1", "{entry}"]\n')
    assert len([note for note in told if note.startswith("Every camera is enrolled")]) == expected
