from pathlib import Path

import pytest

from tests.cli.command import Here


def test_enrolling_prints_the_token_and_nothing_else(here: Here, tmp_path: Path) -> None:
    ended = here("depot", "--dir", str(tmp_path / "depot"), "--enrol", "hub7", "--new")
    assert (ended.code, ended.err) == (0, "")
    token = ended.out.removesuffix("\n")
    assert token.startswith("hub7.")
    assert token.split() == [token]
    assert token not in "".join(p.read_text() for p in (tmp_path / "depot" / "stations").iterdir())


def test_enrolling_at_a_mistyped_directory_makes_nothing_and_says_so(here: Here, tmp_path: Path) -> None:
    ended = here("depot", "--dir", str(tmp_path / "dpeot"), "--enrol", "hub7")
    assert (ended.code, ended.out) == (1, "")
    assert "there is no depot in" in ended.err
    assert "--new" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_new_depot_takes_further_stations_before_it_was_ever_started(here: Here, tmp_path: Path) -> None:
    assert here("depot", "--dir", str(tmp_path), "--enrol", "hub7", "--new").code == 0
    assert here("depot", "--dir", str(tmp_path), "--enrol", "hub8").out.startswith("hub8.")


def test_a_new_depot_is_only_spoken_of_when_a_station_is_enrolled(here: Here, tmp_path: Path) -> None:
    assert here("depot", "--dir", str(tmp_path), "--new").code == 2


@pytest.mark.parametrize("words", [["--listen", "127.0.0.1:0"], ["ls"], ["verify"]])
def test_a_depot_needs_its_directory(here: Here, words: list[str]) -> None:
    ended = here("depot", *words)
    assert (ended.code, ended.out) == (2, "")
    assert "--dir" in ended.err


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "nowhere"])
def test_an_address_that_is_not_safe_or_none_is_refused(here: Here, tmp_path: Path, listen: str) -> None:
    ended = here("depot", "--dir", str(tmp_path), "--listen", listen)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("dock-agent: ")


def test_the_directory_may_stand_before_the_verb(here: Here, tmp_path: Path) -> None:
    here("depot", "--dir", str(tmp_path), "--enrol", "hub7", "--new")
    before = here("depot", "--dir", str(tmp_path), "ls")
    assert (before.code, before) == (before.code, here("depot", "ls", "--dir", str(tmp_path)))
    assert "--dir" not in before.err


def test_a_station_id_that_cannot_be_is_refused(here: Here, tmp_path: Path) -> None:
    ended = here("depot", "--dir", str(tmp_path), "--enrol", "../hub7", "--new")
    assert (ended.code, ended.out) == (1, "")
    assert "not a station id" in ended.err


def test_revoking_takes_the_credential_away_and_says_when_there_is_none(here: Here, tmp_path: Path) -> None:
    here("depot", "--dir", str(tmp_path), "--enrol", "hub7", "--new")
    ended = here("depot", "--dir", str(tmp_path), "--revoke", "hub7")
    assert (ended.code, ended.err) == (0, "")
    assert list((tmp_path / "stations").iterdir()) == []
    again = here("depot", "--dir", str(tmp_path), "--revoke", "hub7")
    assert (again.code, again.out) == (1, "")
    assert "hub7 has no credential" in again.err
