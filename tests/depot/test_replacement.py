"""A lost station and its successor at the depot: keys, and the list of what never came."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.depot.command import list_uploads
from agent.depot.refusal import DepotError
from agent.depot.replacement import replace_station
from agent.depot.stations import renew_station, revoke_station, station_of
from tests.depot.conftest import serving
from tests.depot.station import Station, digest_of
from tests.depot.test_announcements import announce, announced

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KILLS_S = 120
Enrolled = Callable[[str], Station]


def names(rows: Iterable[Mapping[str, object]]) -> list[object]:
    return [row["name"] for row in rows]


def test_the_old_one_is_shut_out_the_new_one_let_in_and_what_never_came_is_listed(
    enrolled: Enrolled, place: Path, tmp_path: Path
) -> None:
    old, other = enrolled("hub7"), enrolled("hub8")
    objects = [announced(bytes([number]) * 9, name=b"DCIM/%d.MP4" % number) for number in range(4)]
    assert announce(old, *objects).status_code == 204
    assert announce(other, announced(b"elsewhere"), name="hub8").status_code == 204
    old.upload(bytes([0]) * 9, sha256=digest_of(bytes([0]) * 9), name="DCIM/0.MP4")
    path = old.create(9, sha256=digest_of(bytes([1]) * 9), name="DCIM/1.MP4", camera="X-1")
    old.patch(path, bytes([1]) * 4)
    other.upload(bytes([2]) * 9, sha256=digest_of(bytes([2]) * 9), name="DCIM/2.MP4")  # docked again elsewhere
    old.create(9, name="probe", role="probe")
    file = tmp_path / "hub7b.token"
    done = replace_station(place, "hub7", "hub7b", file, NOW)
    assert done.revoked
    assert names(done.missing) == ["DCIM/1.MP4", "DCIM/3.MP4"]
    assert old.head(path).status_code == 401
    assert file.stat().st_mode & 0o777 == 0o600
    assert station_of(place, f"Bearer {file.read_text().strip()}") == "hub7b"
    with Station.with_token(old.url, file.read_text().strip()) as new:
        new.upload(bytes([3]) * 9, sha256=digest_of(bytes([3]) * 9), name="DCIM/3.MP4")
    assert names(list_uploads(place, "hub7", missing=True)) == ["DCIM/1.MP4"]
    assert names(list_uploads(place, "hub8", missing=True)) == ["DCIM/1.MP4"]


def test_what_is_whole_of_a_replaced_station_stays_as_it_was(enrolled: Enrolled, place: Path, tmp_path: Path) -> None:
    enrolled("hub7").upload(b"1234")
    before = list_uploads(place)
    assert replace_station(place, "hub7", "hub7b", tmp_path / "token", NOW).missing == ()
    assert list_uploads(place) == before


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("hub7", "hub7", "cannot be called hub7"),
        ("hbu7", "hub7b", "nothing is known here of a station hbu7"),
        ("hub7", "hub8", "there was a station hub8 already"),
        ("hub7", "gone", "there was a station gone already"),
        ("hub7", "../x", "not a station id"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_revoked(
    enrolled: Enrolled, place: Path, tmp_path: Path, old: str, new: str, why: str
) -> None:
    kept = enrolled("hub7")
    enrolled("hub8")
    enrolled("gone").upload(b"1234")
    revoke_station(place, "gone")
    with pytest.raises(DepotError, match=why):
        replace_station(place, old, new, tmp_path / "token", NOW)
    assert station_of(place, f"Bearer {kept.token}") == "hub7"
    assert not (tmp_path / "token").exists()


def test_a_file_that_is_there_is_never_written_over_and_nothing_is_revoked(
    station: Station, place: Path, tmp_path: Path
) -> None:
    token, file = station.token, tmp_path / "token"
    file.write_text("of another station")
    os.mkfifo(tmp_path / "fifo")
    for taken in (file, tmp_path / "fifo", tmp_path / "no" / "folder"):
        with pytest.raises(DepotError, match="cannot be written"):
            replace_station(place, "hub7", "hub7b", taken, NOW)
    assert file.read_text() == "of another station"
    assert station_of(place, f"Bearer {token}") == "hub7"


def test_the_same_command_goes_on_to_its_end_wherever_it_was_killed(tmp_path: Path) -> None:
    place, trials = tmp_path / "depot", tmp_path / "trials"
    trials.mkdir()
    with serving(place) as url, Station.enrolled(url, place, "hub7") as old:
        pass  # it brought nothing, so that nothing is left of it once its credential has gone
    program = [sys.executable, "-m", "tests.depot.killed_replacement", str(place), str(trials)]
    subprocess.run(program, check=True, timeout=KILLS_S)  # noqa: S603 - our own program
    killed = sorted(trials.iterdir())
    revoked = 0
    for trial in killed:
        revoked += not (trial / "depot/stations/hub7.json").exists()
        file = trial / "hub7b.token"
        before = file.read_text() if file.exists() else ""
        assert replace_station(trial / "depot", "hub7", "hub7b", file, NOW).missing == ()
        assert station_of(trial / "depot", f"Bearer {old.token}") is None, trial
        assert station_of(trial / "depot", f"Bearer {file.read_text().strip()}") == "hub7b", trial
        assert before in ("", file.read_text()), "a credential that was whole is kept"
        assert file.stat().st_mode & 0o777 == 0o600
    assert 10 < revoked < len(killed) - 10  # kills on both sides of the revocation


def test_once_more_after_its_end_a_replacement_changes_nothing_and_lists_again(
    enrolled: Enrolled, place: Path, tmp_path: Path
) -> None:
    announce(enrolled("hub7"), announced(b"1234", name=b"1.MP4"))
    file = tmp_path / "token"
    first = replace_station(place, "hub7", "hub7b", file, NOW)
    token = file.read_text()
    again = replace_station(place, "hub7", "hub7b", file, NOW)
    assert (again.revoked, again.missing) == (False, first.missing)
    assert file.read_text() == token
    file.unlink()  # it was brought to its station
    with pytest.raises(DepotError, match="hub7 was replaced by hub7b already"):
        replace_station(place, "hub7", "hub7b", file, NOW)
    assert not file.exists()
    assert station_of(place, f"Bearer {token.strip()}") == "hub7b"


def test_a_file_that_others_could_read_or_that_another_run_has_is_not_taken(
    enrolled: Enrolled, place: Path, tmp_path: Path
) -> None:
    kept = enrolled("hub7").token
    for name, mode in (("open", 0o644), ("busy", 0o600)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to(tmp_path / "busy")
    with (tmp_path / "busy").open() as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        for name in ("open", "busy", "link"):
            with pytest.raises(DepotError, match="cannot be written"):
                replace_station(place, "hub7", "hub7b", tmp_path / name, NOW)
    assert station_of(place, f"Bearer {kept}") == "hub7"


def test_the_next_credential_of_a_replaced_station_ends_too(place: Path, tmp_path: Path, enrolled: Enrolled) -> None:
    enrolled("hub7").upload(b"1234")
    coming = renew_station(place, "hub7", NOW)
    replace_station(place, "hub7", "hub7b", tmp_path / "token", NOW)
    assert station_of(place, f"Bearer {coming}") is None


def test_a_replacement_that_fails_after_the_old_keys_ended_says_so_and_can_be_said_once_more(
    enrolled: Enrolled, place: Path, tmp_path: Path
) -> None:
    old, file = enrolled("hub7"), tmp_path / "token"
    (place / "stations" / "hub7b.json").mkdir()  # in the way of the new one's file
    with pytest.raises(DepotError, match=r"hub7 is revoked, but hub7b has no credential in .* yet") as caught:
        replace_station(place, "hub7", "hub7b", file, NOW)
    assert "once more" in caught.value.hint
    assert old.head("/files/none").status_code == 401
    assert file.read_text() == ""
    (place / "stations" / "hub7b.json").rmdir()
    replace_station(place, "hub7", "hub7b", file, NOW)
    assert station_of(place, f"Bearer {file.read_text().strip()}") == "hub7b"
