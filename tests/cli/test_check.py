import json
from pathlib import Path

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
    assert (ended.code, ended.err) == (78, f"dock-agent: {tmp_path}/none.toml: there is no such file\n")


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
