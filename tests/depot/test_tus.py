"""The tus protocol as the depot speaks it, over real sockets."""

import hashlib
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from tests.depot.conftest import serving
from tests.depot.station import BYTES, TUS, Station, digest_of, label, pattern


def test_options_says_what_the_server_can_without_a_credential(url: str) -> None:
    answer = httpx.options(url)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,creation-with-upload,expiration,termination,checksum"
    assert answer.headers["tus-checksum-algorithm"] == "sha256,sha1"
    assert "tus-max-size" not in answer.headers
    assert "server" not in answer.headers


def test_bytes_sent_in_pieces_become_one_object_named_by_its_digest(station: Station, place: Path) -> None:
    data = pattern(3_500_000)
    path = station.create(len(data))
    for start in range(0, len(data), 1_000_003):
        piece = data[start : start + 1_000_003]
        answer = station.patch(path, piece, start)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(start + len(piece)))
    file = place / "objects" / digest_of(data)
    assert file.read_bytes() == data
    assert file.stat().st_mode & 0o777 == 0o400
    assert list((place / "incoming").iterdir()) == []


def test_head_tells_offset_length_and_label_and_is_never_cached(station: Station) -> None:
    path = station.create(10, camera="X-1", name=b"DCIM/\xff.MP4")
    station.patch(path, b"1234")
    answer = station.head(path)
    assert answer.status_code == 200
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("4", "10")
    assert answer.headers["upload-metadata"] == label(camera="X-1", name=b"DCIM/\xff.MP4")
    assert answer.headers["cache-control"] == "no-store"


def test_the_location_is_a_path_with_an_id_that_cannot_be_guessed(station: Station) -> None:
    first, second = station.create(1), station.create(1)
    assert first != second
    assert first.startswith("/files/")
    assert len(first.removeprefix("/files/")) == 32


def test_an_empty_file_is_finished_by_its_creation(station: Station, place: Path) -> None:
    path = station.create(0)
    assert station.receipt(path).status_code == 200
    assert (place / "objects" / digest_of(b"")).read_bytes() == b""


def test_creation_may_bring_the_first_bytes(station: Station) -> None:
    headers = {**TUS, **BYTES, "Upload-Length": "6"}
    answer = station.http.post("/files/", content=b"abcd", headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "4")
    assert station.patch(answer.headers["location"], b"ef", 4).status_code == 204
    assert station.http.get(answer.headers["location"]).content == b"abcdef"


def test_creation_with_too_many_bytes_leaves_nothing_behind(station: Station, place: Path) -> None:
    answer = station.http.post("/files/", content=b"abcd", headers={**TUS, **BYTES, "Upload-Length": "3"})
    assert answer.status_code == 413
    assert list((place / "incoming").iterdir()) == []


def test_a_wrong_offset_is_refused_with_the_true_one(station: Station) -> None:
    path = station.create(10)
    station.patch(path, b"1234")
    answer = station.patch(path, b"xx", 3)
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "4")
    assert station.offset(path) == 4


@pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_is_refused_with_ours(station: Station, headers: dict[str, str]) -> None:
    answer = station.http.post("/files/", headers={"Upload-Length": "1", **headers})
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


def test_a_body_of_another_type_is_refused(station: Station) -> None:
    path = station.create(4)
    assert station.patch(path, b"1234", Content_Type="video/mp4").status_code == 415
    assert station.offset(path) == 0


def test_more_bytes_than_announced_at_creation_are_refused(station: Station) -> None:
    path = station.create(4)
    assert station.patch(path, b"12345").status_code == 413
    assert station.offset(path) == 0


def test_an_endless_body_is_refused_and_nothing_of_it_is_kept(station: Station) -> None:
    path = station.create(3_000_000)
    station.patch(path, b"head")
    answer = station.patch(path, (bytes(500_000) for _ in range(9)), 4)
    assert answer.status_code == 413
    assert station.offset(path) == 4


@pytest.mark.parametrize(
    "bad",
    [
        {"Upload-Length": "-1"},
        {"Upload-Length": "ten"},
        {},
        {"Upload-Defer-Length": "1"},
        {"Upload-Length": "5", "Upload-Concat": "partial"},
        {"Upload-Length": "5", "Upload-Metadata": "name !!!"},
        {"Upload-Length": "5", "Upload-Metadata": "name YQ==,name YQ=="},
        {"Upload-Length": "5", "Upload-Metadata": f"sha256 {b64encode(b'short').decode()}"},
    ],
)
def test_a_creation_that_cannot_be_understood_is_refused(station: Station, place: Path, bad: dict[str, str]) -> None:
    answer = station.http.post("/files/", headers={**TUS, **bad})
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert list((place / "incoming").iterdir()) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_body_with_its_right_checksum_is_taken(station: Station, algorithm: str) -> None:
    path = station.create(4)
    checksum = b64encode(hashlib.new(algorithm, b"1234").digest()).decode()
    assert station.patch(path, b"1234", Upload_Checksum=f"{algorithm} {checksum}").status_code == 204


def test_a_body_with_a_wrong_checksum_is_discarded(station: Station) -> None:
    good, bad = pattern(1_500_000), pattern(1_500_000, seed=2)
    path = station.create(3_000_000)
    assert station.patch(path, good).status_code == 204
    checksum = b64encode(hashlib.sha256(b"else").digest()).decode()
    assert station.patch(path, bad, len(good), Upload_Checksum=f"sha256 {checksum}").status_code == 460
    assert station.offset(path) == len(good)
    assert station.patch(path, good, len(good)).status_code == 204
    assert station.receipt(path).json()["statement"].splitlines()[2] == f"sha256 {digest_of(good + good)}"


@pytest.mark.parametrize("header", ["md5 AAAA", "sha256 AAAA", "sha256", "sha256 ????"])
def test_a_checksum_that_cannot_be_checked_is_refused(station: Station, header: str) -> None:
    path = station.create(4)
    assert station.patch(path, b"1234", Upload_Checksum=header).status_code == 400
    assert station.offset(path) == 0


def test_bytes_that_are_not_what_the_client_announced_are_dropped(station: Station, place: Path) -> None:
    path = station.create(4, sha256=digest_of(b"1234"))
    answer = station.patch(path, b"1235")
    assert (answer.status_code, answer.json()["error"]) == (460, "digest_mismatch")
    assert station.head(path).status_code == 404
    assert list((place / "objects").iterdir()) == list((place / "incoming").iterdir()) == []


def test_an_unfinished_upload_can_be_terminated(station: Station, place: Path) -> None:
    path = station.create(10)
    station.patch(path, b"1234")
    assert station.http.delete(path, headers=TUS).status_code == 204
    assert station.head(path).status_code == 404
    assert list((place / "incoming").iterdir()) == []


def test_a_finished_upload_cannot_be_terminated_or_written(station: Station) -> None:
    path = station.upload(b"1234")
    assert station.http.delete(path, headers=TUS).status_code == 403
    assert station.patch(path, b"5", 4).status_code == 413
    assert station.patch(path, b"5", 0).status_code == 409
    assert station.http.get(path).content == b"1234"


def test_the_last_answer_may_be_lost_and_asked_for_again(station: Station) -> None:
    path = station.upload(b"1234")
    assert station.offset(path) == 4
    assert station.patch(path, b"", 4).status_code == 204


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("DELETE", 204)])
def test_a_post_may_stand_for_another_method(station: Station, method: str, status: int) -> None:
    path = station.create(4)
    answer = station.http.post(path, headers={**TUS, "X-HTTP-Method-Override": method})
    assert answer.status_code == status


def test_a_post_may_stand_for_a_patch(station: Station) -> None:
    path = station.create(4)
    headers = {**TUS, **BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert station.http.post(path, content=b"1234", headers=headers).status_code == 204
    assert station.offset(path) == 4


def test_unfinished_bytes_are_not_given_out(station: Station) -> None:
    path = station.create(4)
    station.patch(path, b"12")
    assert station.http.get(path).status_code == 409


def test_an_upload_above_the_limit_is_refused_before_any_byte(place: Path) -> None:
    with serving(place, max_size_bytes=100) as url, Station.enrolled(url, place, "hub7") as station:
        assert httpx.options(url).headers["tus-max-size"] == "100"
        assert station.http.post("/files/", headers={**TUS, "Upload-Length": "101"}).status_code == 413
        station.create(100)


def test_an_upload_that_the_disk_has_no_room_for_is_refused(station: Station) -> None:
    answer = station.http.post("/files/", headers={**TUS, "Upload-Length": str(2**62)})
    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")
