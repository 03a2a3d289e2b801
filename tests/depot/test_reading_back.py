"""Large uploads are read back from the disk while they still arrive, and that reading is as good as one at the end."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from agent.depot import reading
from agent.depot.part import FOLLOW_BYTES
from agent.depot.reading import Reading
from tests.depot.station import Station, digest_of, pattern

SIZE = 5 * FOLLOW_BYTES + 4321
FIRST = 4 * FOLLOW_BYTES + 1234


@pytest.fixture(scope="module")
def data() -> bytes:
    return pattern(SIZE)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The stretches that were read back, in order."""
    stretches: list[tuple[int, int]] = []
    go_on = Reading.go_on

    def noted(reading: Reading, fd: int, end_bytes: int) -> None:
        begin = reading.size_bytes
        go_on(reading, fd, end_bytes)
        stretches.append((begin, reading.size_bytes))

    monkeypatch.setattr(Reading, "go_on", noted)
    return stretches


def alter(place: Path, at: int) -> None:
    """Change one byte of the one unfinished upload, as a failing disk does."""
    (part,) = (place / "incoming").iterdir()
    with part.open("r+b") as raw:
        raw.seek(at)
        before = raw.read(1)
        raw.seek(at)
        raw.write(bytes([before[0] ^ 1]))


def is_stored(station: Station, place: Path, path: str, data: bytes) -> bool:
    return station.receipt(path).status_code == 200 and (place / "objects" / digest_of(data)).read_bytes() == data


def test_one_reading_goes_on_through_several_requests(
    station: Station, place: Path, data: bytes, read: list[tuple[int, int]]
) -> None:
    path = station.create(SIZE, sha256=digest_of(data))
    assert station.patch(path, data[:FIRST]).status_code == 204
    assert read[-1][1] >= FOLLOW_BYTES
    assert station.patch(path, data[FIRST:], FIRST).status_code == 204
    assert [begin for begin, _ in read] == [0, *(end for _, end in read[:-1])]
    assert read[-1][1] == SIZE
    assert is_stored(station, place, path, data)


def test_what_was_read_too_long_ago_is_read_again_at_the_end(
    station: Station, place: Path, data: bytes, read: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = station.create(SIZE, sha256=digest_of(data))
    station.patch(path, data[:FIRST])
    assert read
    alter(place, 0)
    monkeypatch.setattr(reading, "FRESH_S", -1.0)
    answer = station.patch(path, data[FIRST:], FIRST)
    assert (answer.status_code, answer.json()["error"]) == (460, "digest_mismatch")
    assert [*(place / "incoming").iterdir(), *(place / "objects").iterdir()] == []


def test_bytes_altered_on_disk_before_they_were_read_are_never_signed(
    station: Station, place: Path, data: bytes, read: list[tuple[int, int]]
) -> None:
    path = station.create(SIZE, sha256=digest_of(data))
    station.patch(path, data[:FIRST])
    assert 0 < read[-1][1] < FIRST
    alter(place, FIRST - 1)
    assert station.patch(path, data[FIRST:], FIRST).status_code == 460


def test_a_reading_of_bytes_that_were_discarded_is_forgotten(
    station: Station, place: Path, data: bytes, read: list[tuple[int, int]]
) -> None:
    path = station.create(SIZE, sha256=digest_of(data))
    wrong = bytes(FIRST)
    checksum = f"sha256 {b64encode(sha256(b'').digest()).decode()}"
    assert station.patch(path, wrong, Upload_Checksum=checksum).status_code == 460
    assert read
    assert station.offset(path) == 0
    assert station.patch(path, data).status_code == 204
    assert is_stored(station, place, path, data)
