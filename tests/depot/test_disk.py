"""What is signed is what lies on the disk, and no more is promised than it has room for."""

import asyncio
import os
from pathlib import Path

import pytest

from agent.core.object import Digest
from agent.depot import acceptance
from agent.depot.depot import RESERVE_BYTES, Depot
from tests.depot.conftest import NOW
from tests.depot.station import NONCE, TUS, Station, digest_of


def alter(file: Path) -> None:
    """Change one byte, as a failing disk does: size, name and mode stay."""
    file.chmod(0o600)
    with file.open("r+b") as raw:
        raw.write(b"X")
    file.chmod(0o400)


def test_an_altered_object_earns_no_receipt_by_digest_and_is_put_aside(station: Station, place: Path) -> None:
    station.upload(b"1234")
    alter(place / "objects" / digest_of(b"1234"))
    answer = station.http.get(f"/receipts/by-digest/{digest_of(b'1234')}", params={"nonce": NONCE})
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_object")
    assert [path.read_bytes() for path in (place / "damaged").iterdir()] == [b"X234"]
    assert station.receipt(station.upload(b"1234")).status_code == 200


def test_an_altered_object_earns_no_receipt_by_upload_once_its_end_is_past(
    station: Station, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = station.upload(b"1234")
    monkeypatch.setattr(acceptance, "FRESH_S", -1.0)
    assert station.receipt(path).status_code == 200
    alter(place / "objects" / digest_of(b"1234"))
    assert station.receipt(path).status_code == 410
    assert len(list((place / "damaged").iterdir())) == 1


def test_bytes_altered_between_two_requests_are_never_signed(station: Station, place: Path) -> None:
    path = station.create(8, sha256=digest_of(b"12345678"))
    station.patch(path, b"1234")
    (part,) = (place / "incoming").iterdir()
    with part.open("r+b") as raw:
        raw.write(b"X")
    answer = station.patch(path, b"5678", 4)
    assert (answer.status_code, answer.json()["error"]) == (460, "digest_mismatch")
    assert station.head(path).status_code == 404
    assert [*(place / "incoming").iterdir(), *(place / "objects").iterdir()] == []


async def test_all_who_ask_for_one_object_wait_for_one_reading(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depot = Depot(place, clock=lambda: NOW)
    asked: list[Digest] = []

    def prove(digest: Digest) -> bool:
        asked.append(digest)
        return True

    try:
        monkeypatch.setattr(depot.objects, "prove", prove)
        digest = Digest(digest_of(b"1234"))
        assert all(await asyncio.gather(*(depot._checks.proves(digest) for _ in range(5))))
        assert asked == [digest]
        assert await depot._checks.proves(digest)
        assert asked == [digest, digest]
    finally:
        depot.close()


def test_what_unfinished_uploads_lack_is_not_promised_twice(station: Station, place: Path) -> None:
    disk = os.statvfs(place)
    most = disk.f_bavail * disk.f_frsize - RESERVE_BYTES
    first = station.create(most // 10 * 6)
    headers = {**TUS, "Upload-Length": str(most // 10 * 6)}
    assert station.http.post("/files/", headers=headers).status_code == 507
    assert station.http.delete(first, headers=TUS).status_code == 204
    assert station.http.post("/files/", headers=headers).status_code == 201
