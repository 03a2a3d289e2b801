import os
import pwd
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.depot.depot import Depot
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


def test_a_second_credential_for_a_station_needs_to_be_asked_for(here: Here, tmp_path: Path) -> None:
    first = here("depot", "--dir", str(tmp_path), "--enrol", "hub7", "--new")
    kept = (tmp_path / "stations" / "hub7.json").read_bytes()
    refused = here("depot", "--dir", str(tmp_path), "--enrol", "hub7")
    assert (first.code, refused.code, refused.out) == (0, 1, "")
    assert "--replace" in refused.err
    assert (tmp_path / "stations" / "hub7.json").read_bytes() == kept
    replaced = here("depot", "--dir", str(tmp_path), "--enrol", "hub7", "--replace")
    assert replaced.out.startswith("hub7.")
    assert (tmp_path / "stations" / "hub7.json").read_bytes() != kept


def test_a_replacement_is_only_spoken_of_when_a_station_is_enrolled(here: Here, tmp_path: Path) -> None:
    assert here("depot", "--dir", str(tmp_path), "--replace").code == 2


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


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A depot that belongs to another user, where that user gets."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        Depot(Path(folder), clock=lambda: datetime.now(UTC)).close()
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be told so")
def test_root_does_not_serve_the_depot_of_another_user(here: Here, of_nobody: Path) -> None:
    before = sorted(of_nobody.rglob("*"))
    ended = here("depot", "--dir", str(of_nobody), "--listen", "127.0.0.1:0")
    assert ended.code not in {0, None}
    assert f"{of_nobody} belongs to the user nobody. Run it as that user: sudo -u nobody dock-agent" in ended.err
    assert sorted(of_nobody.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_what_root_writes_into_a_depot_of_another_user_is_that_users(
    here: Here, of_nobody: Path, tmp_path: Path
) -> None:
    place, credential = str(of_nobody), tmp_path / "hub7b.token"
    assert here("depot", "--dir", place, "--enrol", "hub7").code == 0
    assert here("depot", "--dir", place, "--enrol", "hub7", "--renew").code == 0
    assert here("depot", "--dir", place, "--enrol", "hub8").code == 0
    assert here("depot", "--dir", place, "--revoke", "hub8").code == 0
    replaced = here("depot", "replace", "hub7", "hub7b", "--dir", place, "--credential-to", str(credential))
    assert (replaced.code, replaced.err) == (0, "")
    left = {path.name for path in (of_nobody / "stations").iterdir()}
    assert left == {"hub7b.json", "~hub7.successor"}
    owners = {path.stat().st_uid for path in (of_nobody, *of_nobody.rglob("*"))}
    assert owners == {pwd.getpwnam("nobody").pw_uid}
    assert credential.stat().st_uid == os.geteuid() == 0
