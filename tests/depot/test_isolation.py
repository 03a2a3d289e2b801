"""Who may see what."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.depot.listing import list_uploads
from agent.depot.refusal import DepotError
from agent.depot.stations import enrol_station, revoke_station, station_of
from tests.depot.station import BYTES, NONCE, TUS, Station, digest_of, pattern

Enrolled = Callable[[str], Station]


def test_every_path_needs_a_credential_but_the_health_page(station: Station, url: str) -> None:
    path = station.upload(b"1234")
    base = url.removesuffix("/files/")
    requests = [
        ("POST", "/files/"),
        ("HEAD", path),
        ("PATCH", path),
        ("GET", path),
        ("DELETE", path),
        ("GET", path.replace("files", "receipts")),
        ("GET", f"/objects/{digest_of(b'1234')}"),
        ("GET", "/nowhere"),
        ("POST", "/health"),
    ]
    for method, where in requests:
        answer = httpx.request(method, base + where, headers=TUS)
        assert answer.status_code == 401, (method, where)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert httpx.get(f"{base}/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer hub7.",
        "Bearer ../hub7.x",
        "Bearer hub8.x",
        "Basic aHViNzp4",
        "Bearer \xff.\xff",
    ],
)
def test_a_forged_credential_proves_nothing(station: Station, place: Path, forged: str) -> None:
    assert station_of(place, forged) is None
    assert station_of(place, f"Bearer {station.token}") == "hub7"
    assert station_of(place, f"Bearer {station.token[:-1]}") is None
    assert station_of(place, f"Bearer hub8{station.token[4:]}") is None


def test_a_station_sees_nothing_of_another(enrolled: Enrolled) -> None:
    ours, theirs = enrolled("hub7"), enrolled("hub8")
    done, open_ = ours.upload(b"1234"), ours.create(10)
    nonce = {"nonce": NONCE}
    for path in (done, open_):
        assert theirs.head(path).status_code == 404
        assert theirs.patch(path, b"x").status_code == 404
        assert theirs.http.get(path).status_code == 404
        assert theirs.http.delete(path, headers=TUS).status_code == 404
        assert theirs.receipt(path).status_code == 404
    assert theirs.http.get(f"/objects/{digest_of(b'1234')}").status_code == 404
    assert theirs.http.get(f"/receipts/by-digest/{digest_of(b'1234')}", params=nonce).status_code == 404
    assert ours.offset(open_) == 0


def test_a_stranger_cannot_end_a_running_upload(enrolled: Enrolled, place: Path) -> None:
    ours, theirs = enrolled("hub7"), enrolled("hub8")
    data = pattern(2_000_000)
    path = ours.create(len(data))
    with ours.begin_patch(path, len(data), data[:1_000_000]) as line:
        assert theirs.head(path).status_code == 404
        line.sendall(data[1_000_000:])
        assert b" 204 " in line.recv(4096).split(b"\r\n")[0]
    assert (place / "objects" / digest_of(data)).exists()


def test_the_same_bytes_from_two_stations_are_one_object_and_two_uploads(enrolled: Enrolled, place: Path) -> None:
    data = pattern(50_000)
    paths = [enrolled(name).upload(data) for name in ("hub7", "hub8")]
    assert len(set(paths)) == 2
    assert [path.name for path in (place / "objects").iterdir()] == [digest_of(data)]
    assert list((place / "incoming").iterdir()) == []
    rows = list_uploads(place)
    assert [(row["station"], row["sha256"]) for row in rows] == [("hub7", digest_of(data)), ("hub8", digest_of(data))]


@pytest.mark.parametrize(
    "forged",
    ["../../key.pem", "..%2f..%2fkey.pem", "%2e%2e", "catalogue.sqlite", "A" * 32, "0" * 32, "0" * 31, "x" * 5000],
)
def test_a_forged_id_finds_nothing(station: Station, forged: str) -> None:
    for where in ("files", "receipts", "objects", "receipts/by-digest"):
        answer = station.http.get(f"/{where}/{forged}", params={"nonce": NONCE}, headers=TUS)
        assert answer.status_code == 404, where
        assert b"PRIVATE" not in answer.content
    assert station.http.patch(f"/files/{forged}", headers={**TUS, **BYTES, "Upload-Offset": "0"}).status_code == 404


def test_enrolling_and_revoking_take_effect_while_the_depot_runs(station: Station, url: str, place: Path) -> None:
    path = station.create(4)
    with Station.enrolled(url, place, "hub7", replace=True) as renewed:
        assert station.head(path).status_code == 401
        assert renewed.offset(path) == 0
        assert revoke_station(place, "hub7")
        assert renewed.head(path).status_code == 401
    assert not revoke_station(place, "hub7")


def test_a_working_credential_is_not_replaced_unless_that_is_said(station: Station, place: Path) -> None:
    path = station.create(4)
    before = (place / "stations" / "hub7.json").read_bytes()
    with pytest.raises(DepotError, match="hub7 has a credential for this depot already") as caught:
        enrol_station(place, "hub7", datetime.now(UTC))
    assert "--replace" in caught.value.hint
    assert station.offset(path) == 0
    assert {file.name: file.read_bytes() for file in (place / "stations").iterdir()} == {"hub7.json": before}


def test_only_the_hash_of_a_credential_is_kept(station: Station, place: Path) -> None:
    (file,) = (place / "stations").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert station.token.partition(".")[2] not in file.read_text()


@pytest.mark.parametrize("name", ["", "a/b", "..%2f", "x" * 65, "hub 7", "hüb"])
def test_a_station_id_that_could_be_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DepotError, match="not a station id"):
        enrol_station(tmp_path, name, datetime.now(UTC))


def test_a_station_may_be_called_like_a_parent_folder(tmp_path: Path) -> None:
    token = enrol_station(tmp_path, "..", datetime.now(UTC))
    assert station_of(tmp_path, f"Bearer {token}") == ".."
    assert [path.name for path in tmp_path.iterdir()] == ["stations"]
