"""Credentials that overlap: the next one holds beside the old one until it is used for the first time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.depot.command import enrol
from agent.depot.refusal import DepotError
from agent.depot.stations import enrol_station, renew_station, revoke_station, station_of
from tests.depot.process import depot_process
from tests.depot.station import TUS, Station

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Enrolled = Callable[[str], Station]


def says(token: str, place: Path) -> str | None:
    return station_of(place, f"Bearer {token}")


def test_both_hold_until_the_next_one_is_used_and_then_only_it_does(place: Path) -> None:
    old = enrol_station(place, "hub7", NOW)
    new = renew_station(place, "hub7", NOW)
    assert old != new
    assert says(old, place) == says(old, place) == "hub7"
    assert says(new, place) == "hub7"
    assert says(old, place) is None
    assert says(new, place) == "hub7"
    assert [file.name for file in (place / "stations").iterdir()] == ["hub7.json"]


def test_a_running_depot_lets_both_in_and_ends_the_old_one_with_the_first_use(tmp_path: Path) -> None:
    place = tmp_path / "depot"
    with depot_process(place) as depot:
        old = enrol(place, "hub7")
        new = enrol(place, "hub7", renew=True)

        def asked(token: str) -> int:
            headers = {**TUS, "Authorization": f"Bearer {token}"}
            return httpx.head(f"{depot.url}{'0' * 32}", headers=headers, timeout=20).status_code

        assert [asked(old), asked(new), asked(old), asked(new)] == [404, 404, 401, 404]


def test_a_next_one_that_was_never_used_ends_with_the_one_after_it(place: Path) -> None:
    old = enrol_station(place, "hub7", NOW)
    lost, kept = (renew_station(place, "hub7", NOW) for _ in range(2))
    assert says(lost, place) is None
    assert (says(old, place), says(kept, place)) == ("hub7", "hub7")


def test_revoking_and_replacing_end_the_next_one_too(place: Path) -> None:
    tokens = [enrol_station(place, "hub7", NOW), renew_station(place, "hub7", NOW)]
    tokens += [enrol_station(place, "hub7", NOW, replace=True)]
    assert [says(token, place) for token in tokens] == [None, None, "hub7"]
    tokens += [renew_station(place, "hub7", NOW)]
    assert revoke_station(place, "hub7")
    assert [says(token, place) for token in tokens] == [None] * 4
    assert list((place / "stations").iterdir()) == []


def test_a_next_credential_alone_lets_nobody_in(place: Path) -> None:
    """As if a hand had removed the station's file, which is how one is revoked without the command."""
    enrol_station(place, "hub7", NOW)
    new = renew_station(place, "hub7", NOW)
    (place / "stations" / "hub7.json").unlink()
    assert says(new, place) is None
    assert says(new, place) is None


def test_a_next_credential_that_was_left_behind_does_not_come_back_with_a_new_enrolment(place: Path) -> None:
    """Else whoever holds it would be let in again, and would end the new one by that."""
    enrol_station(place, "hub7", NOW)
    left = renew_station(place, "hub7", NOW)
    (place / "stations" / "hub7.json").unlink()
    new = enrol_station(place, "hub7", NOW)
    assert says(left, place) is None
    assert says(new, place) == "hub7"


def test_an_enrolment_that_is_refused_leaves_the_next_credential_alone(place: Path) -> None:
    enrol_station(place, "hub7", NOW)
    new = renew_station(place, "hub7", NOW)
    with pytest.raises(DepotError, match="already"):
        enrol_station(place, "hub7", NOW)
    assert says(new, place) == "hub7"


def test_only_a_station_that_has_a_credential_gets_a_next_one(place: Path) -> None:
    with pytest.raises(DepotError, match="no credential"):
        renew_station(place, "hub7", NOW)
    enrol_station(place, "hub7", NOW)
    assert revoke_station(place, "hub7")
    with pytest.raises(DepotError, match="no credential"):
        renew_station(place, "hub7", NOW)


def test_the_next_credential_of_one_station_is_none_of_another(place: Path) -> None:
    enrol_station(place, "hub7", NOW)
    enrol_station(place, "hub8", NOW)
    new = renew_station(place, "hub7", NOW)
    _, _, secret = new.rpartition(".")
    assert says(f"hub8.{secret}", place) is None
    assert says(new, place) == "hub7"
