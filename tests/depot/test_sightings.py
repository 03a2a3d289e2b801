"""Further clips with bytes that are here already: each has its line, and none has a receipt of its own."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from agent.depot import catalogue, sightings
from agent.depot.command import enrol, list_uploads
from agent.depot.upload import Upload
from tests.depot.conftest import serving
from tests.depot.station import Station, digest_of, label

BYTES = b"1234"


def tell(station: Station, **values: str | bytes) -> httpx.Response:
    return station.http.post(f"/sightings/{digest_of(BYTES)}", headers={"Upload-Metadata": label(**values)})


def lines(place: Path) -> list[tuple[Any, ...]]:
    return [(row["clip"], row["camera"], row["name"], row["sha256"], row["same_as"]) for row in list_uploads(place)]


def test_a_second_clip_with_the_same_bytes_has_a_line_of_its_own(station: Station, place: Path) -> None:
    path = station.upload(BYTES, clip="c1", camera="X1", name="A.MP4")
    for _ in range(2):  # an answer that was lost is asked for again
        assert tell(station, clip="c2", camera="X2", name=b"\xff.MP4").status_code == 204
    upload, digest = path.removeprefix("/files/"), digest_of(BYTES)
    name = {"hex": b"\xff.MP4".hex()}
    assert lines(place) == [("c1", "X1", "A.MP4", digest, None), ("c2", "X2", name, digest, upload)]
    (second,) = [row for row in list_uploads(place) if row["same_as"]]
    assert (second["id"], second["size"], second["finished"]) == (None, 4, "2026-03-01T12:00:00Z")
    json.dumps(second)


def test_the_clip_that_was_sent_has_one_line(station: Station, place: Path) -> None:
    station.upload(BYTES, clip="c1", camera="X1", name="A.MP4")
    assert tell(station, clip="c1", camera="X1").status_code == 204
    assert len(lines(place)) == 1


def test_only_what_the_station_brought_can_be_sighted_again(enrolled: Callable[[str], Station], place: Path) -> None:
    ours, theirs = enrolled("hub7"), enrolled("hub8")
    theirs.upload(BYTES, clip="c9")
    ours.create(4, sha256=digest_of(BYTES), clip="c1")
    assert tell(ours, clip="c2").status_code == 404
    assert ours.http.post("/sightings/nothing", headers={"Upload-Metadata": label(clip="c2")}).status_code == 404
    assert all(row["same_as"] is None for row in list_uploads(place))


@pytest.mark.parametrize("header", ["", label(camera="X2"), "clip", "clip no-base64"])
def test_a_sighting_names_its_clip(station: Station, header: str) -> None:
    station.upload(BYTES, clip="c1")
    answer = station.http.post(f"/sightings/{digest_of(BYTES)}", headers={"Upload-Metadata": header})
    assert answer.status_code == 400


def test_the_list_shows_one_moment_however_much_is_told_meanwhile(
    station: Station, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.upload(BYTES, clip="c1")
    waiting = list[Thread]()

    def slowly(db: sqlite3.Connection) -> list[tuple[Upload, int]]:
        found = catalogue.counted(db)
        told = Thread(target=lambda: tell(station, clip="c2"), daemon=True)
        told.start()
        waiting.append(told)
        told.join(0.5)  # it is written once the list was read, or before this ends
        return found

    monkeypatch.setattr("agent.depot.listing.counted", slowly)
    assert [line[0] for line in lines(place)] == ["c1"]
    monkeypatch.undo()
    waiting[0].join(20)
    assert [line[0] for line in lines(place)] == ["c1", "c2"]


def test_one_object_has_only_so_many(station: Station, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MAX_OF_ONE_OBJECT", 2)
    station.upload(BYTES, clip="c1")
    for number in range(2, 6):
        assert tell(station, clip=f"c{number}").status_code == 204
    assert [line[0] for line in lines(place)] == ["c1", "c2", "c3"]


def test_a_catalogue_from_before_sightings_is_read_and_then_brought_to_todays_version(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(catalogue, "STEPS", catalogue.STEPS[:2])
        place.mkdir()
        catalogue.Catalogue(place).close()
    assert list_uploads(place) == []
    with serving(place) as url, Station.with_token(url, enrol(place, "hub7")) as station:
        station.upload(BYTES, clip="c1")
        assert tell(station, clip="c2").status_code == 204
    assert len(lines(place)) == 2
