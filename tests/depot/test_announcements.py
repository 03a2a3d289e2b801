"""What stations announce: kept until it arrives, bounded, and nobody else's business."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.core.announcement import MAX_BYTES, Announced, Announcement
from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.depot import announcements, catalogue
from agent.depot.catalogue import read_catalogue
from agent.depot.command import enrol, list_uploads
from agent.depot.refusal import DepotError
from tests.depot.conftest import serving
from tests.depot.process import depot_process
from tests.depot.station import Station, digest_of


def announced(data: bytes, *, urgent: bool = False, name: bytes = b"DCIM/1.MP4") -> Announced:
    return Announced(Digest(digest_of(data)), len(data), CameraId("X-1"), name, "2026-03-01T08:00:00Z", True, urgent)


def announce(station: Station, *objects: Announced, name: str = "hub7") -> httpx.Response:
    return station.http.post("/announcements", content=Announcement.of(name, objects).text())


def awaited(place: Path) -> list[dict[str, Any]]:
    return [row for row in list_uploads(place) if row["announced"]]


def test_it_is_offered_shown_and_no_longer_awaited_once_it_is_here(station: Station, place: Path, url: str) -> None:
    assert httpx.options(url).headers["dock-announcements"] == "1"
    assert announce(station, announced(b"1234", name=b"DCIM/\xff"), announced(b"5678", urgent=True)).status_code == 204
    first, second = awaited(place)
    assert first == {
        "id": None,
        "station": "hub7",
        "clip": None,
        "camera": "X-1",
        "bay": None,
        "class": None,
        "name": {"hex": b"DCIM/\xff".hex()},
        "size": 4,
        "sha256": None,
        "event": True,
        "started_at": "2026-03-01T08:00:00Z",
        "finished": None,
        "receipts": 0,
        "announced": {"at": "2026-03-01T12:00:00Z", "sha256": digest_of(b"1234"), "priority": "normal"},
        "same_as": None,
    }
    assert second["announced"]["priority"] == "urgent"
    json.dumps(first)
    station.upload(b"1234", sha256=digest_of(b"1234"))
    assert [row["announced"]["sha256"] for row in awaited(place)] == [digest_of(b"5678")]
    station.upload(b"5678")
    assert awaited(place) == []


def test_what_has_begun_to_arrive_is_shown_once(station: Station, place: Path) -> None:
    announce(station, announced(b"1234"))
    station.create(4, sha256=digest_of(b"1234"))
    (row,) = list_uploads(place)
    assert row["id"] is not None
    assert row["announced"] is None


def test_the_same_again_changes_the_priority_and_nothing_else(station: Station, place: Path) -> None:
    for urgent in (False, False, True, True, False):
        assert announce(station, announced(b"1234", urgent=urgent)).status_code == 204
        (row,) = awaited(place)
        assert row["announced"]["priority"] == ("urgent" if urgent else "normal")


def test_an_announcement_that_was_overtaken_by_its_bytes_is_not_awaited(station: Station, place: Path) -> None:
    station.upload(b"1234")
    assert announce(station, announced(b"1234")).status_code == 204
    assert awaited(place) == []


def test_each_station_announces_for_itself_alone(enrolled: Callable[[str], Station], place: Path) -> None:
    ours, theirs = enrolled("hub7"), enrolled("hub8")
    assert announce(ours, announced(b"1234")).status_code == 204
    refused = announce(theirs, announced(b"5678"))
    assert (refused.status_code, refused.json()["error"]) == (403, "other_station")
    theirs.upload(b"1234")
    assert [row["station"] for row in awaited(place)] == ["hub7"]


def test_without_a_credential_nothing_is_taken(url: str, place: Path) -> None:
    answer = httpx.post(
        url.replace("/files/", "/announcements"), content=Announcement.of("hub7", [announced(b"1")]).text()
    )
    assert answer.status_code == 401
    assert list_uploads(place) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"\xff\xfe", 400),
        (b"[" * 50_000, 400),
        (b" " * (MAX_BYTES + 1), 413),
        (b'{"format": "bwv-announcement/1", "station": "hub7", "objects": [{}]}', 400),
    ],
)
def test_what_is_no_announcement_is_refused_and_harms_nobody(
    station: Station, place: Path, body: bytes, status: int
) -> None:
    answer = station.http.post("/announcements", content=body)
    assert answer.status_code == status
    assert "error" in answer.json()
    assert station.http.get("/announcements").status_code == 405
    assert announce(station, announced(b"1234")).status_code == 204
    assert len(awaited(place)) == 1


def test_of_one_station_only_the_newest_are_kept(
    enrolled: Callable[[str], Station], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "MAX_OF_ONE_STATION", 5)
    ours, theirs = enrolled("hub7"), enrolled("hub8")
    announce(theirs, announced(b"theirs"), name="hub8")
    announce(ours, *(announced(b"%d" % n) for n in range(12)))
    kept = [row["announced"]["sha256"] for row in awaited(place) if row["station"] == "hub7"]
    assert kept == [digest_of(b"%d" % n) for n in range(7, 12)]
    assert len(awaited(place)) == 6


def test_what_was_acknowledged_outlives_a_kill(place: Path) -> None:
    with depot_process(place) as depot, Station.with_token(depot.url, enrol(place, "hub7")) as station:
        token = station.token
        assert announce(station, announced(b"1234")).status_code == 204
        depot.kill()
    assert len(awaited(place)) == 1
    with depot_process(place) as depot, Station.with_token(depot.url, token) as station:
        station.upload(b"1234")
    assert awaited(place) == []


def test_a_catalogue_from_before_announcements_is_read_and_then_brought_to_todays_version(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(catalogue, "STEPS", catalogue.STEPS[:1])
        place.mkdir()
        old = catalogue.Catalogue(place)
        old.close()
    assert list_uploads(place) == []
    with serving(place) as url, Station.with_token(url, enrol(place, "hub7")) as station:
        station.upload(b"0")
        assert announce(station, announced(b"1234")).status_code == 204
    assert len(read_catalogue(place)) == 1
    assert len(awaited(place)) == 1


def test_a_catalogue_of_a_newer_agent_is_left_alone(place: Path) -> None:
    with serving(place):
        pass
    with sqlite3.connect(place / catalogue.FILE) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(DepotError, match="version 9"):
        catalogue.Catalogue(place)
