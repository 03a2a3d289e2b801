"""Lines that break, hang, drip and lie."""

import socket
import struct
import time
from pathlib import Path

import pytest

from agent.depot import inflow, server
from tests.depot.conftest import serving
from tests.depot.station import TIMEOUT_S, Station, digest_of, pattern

DEADLINE_S = 10


def wait_for_bytes(place: Path, at_least: int) -> None:
    """Until so much of the one unfinished upload is on disk."""
    deadline = time.monotonic() + DEADLINE_S
    while sum(path.stat().st_size for path in (place / "incoming").iterdir()) < at_least:
        assert time.monotonic() < deadline, "the bytes did not reach the disk"
        time.sleep(0.01)


def reset(line: socket.socket) -> None:
    """Close with a RST, as a pulled cable and a restarted router do."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@pytest.mark.parametrize("end", [reset, socket.socket.close])
def test_what_arrived_before_the_line_broke_is_kept(station: Station, place: Path, end: object) -> None:
    data = pattern(5_000_000)
    path = station.create(len(data))
    line = station.begin_patch(path, len(data), data[:3_145_728])
    wait_for_bytes(place, 2_097_152)
    assert callable(end)
    end(line)
    offset = station.offset(path)
    assert 2_097_152 <= offset <= 3_145_728
    assert station.patch(path, data[offset:], offset).status_code == 204
    assert (place / "objects" / digest_of(data)).read_bytes() == data


def test_head_ends_a_hanging_patch_and_counts_its_bytes(station: Station, place: Path) -> None:
    data = pattern(3_145_728)
    path = station.create(5_000_000)
    with station.begin_patch(path, 5_000_000, data) as line:
        wait_for_bytes(place, 1_048_576)  # or HEAD might be first, and end nothing
        started = time.monotonic()
        first = station.offset(path)
        assert time.monotonic() - started < 10
        line.settimeout(TIMEOUT_S)
        answer = line.recv(4096)
    assert b" 409 " in answer.split(b"\r\n")[0]
    assert b"connection: close" in answer.lower()
    assert station.offset(path) == first <= len(data)


def test_a_new_patch_takes_over_from_a_hanging_one(station: Station, place: Path) -> None:
    data = pattern(4_000_000)
    path = station.create(len(data))
    with station.begin_patch(path, len(data), data[:1_048_576]):
        wait_for_bytes(place, 1_048_576)
        started = time.monotonic()
        assert station.patch(path, data[1_048_576:], 1_048_576).status_code == 204
        assert time.monotonic() - started < 10
    assert (place / "objects" / digest_of(data)).read_bytes() == data


def test_terminating_ends_a_hanging_patch(station: Station, place: Path) -> None:
    path = station.create(4_000_000)
    with station.begin_patch(path, 4_000_000, pattern(1_048_576)):
        wait_for_bytes(place, 1_048_576)
        assert station.http.delete(path, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert station.head(path).status_code == 404


def test_a_cut_body_with_a_checksum_is_discarded_whole(station: Station, place: Path) -> None:
    path = station.create(4_000_000)
    checksum = "Upload-Checksum: sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    line = station.begin_patch(path, 4_000_000, pattern(2_097_152), 0, checksum)
    wait_for_bytes(place, 1_048_576)
    reset(line)
    assert station.offset(path) == 0


def test_an_upload_that_lost_only_its_end_of_request_is_finished(station: Station, place: Path) -> None:
    data = pattern(100_000)
    path = station.create(len(data))
    with station.begin_patch(path, len(data), data):
        pass  # gone before the answer
    deadline = time.monotonic() + DEADLINE_S
    while station.offset(path) != len(data):
        offset = station.offset(path)
        assert time.monotonic() < deadline
        if offset < len(data):
            station.patch(path, data[offset:], offset)
    assert station.receipt(path).status_code == 200
    assert (place / "objects" / digest_of(data)).read_bytes() == data


def test_a_body_that_stands_still_is_ended_and_kept(
    station: Station, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflow, "IDLE_S", 0.2)
    path = station.create(4_000_000)
    with station.begin_patch(path, 4_000_000, pattern(1_048_576)) as line:
        line.settimeout(TIMEOUT_S)
        assert b" 408 " in line.recv(4096).split(b"\r\n")[0]
    assert station.offset(path) == 1_048_576
    assert place.exists()


def test_other_uploads_go_on_while_one_hangs(station: Station) -> None:
    path = station.create(4_000_000)
    with station.begin_patch(path, 4_000_000, b"x"):
        other = station.upload(pattern(2_000_000))
        assert station.receipt(other).status_code == 200


def test_stopping_cuts_hanging_bodies_at_a_safe_point(place: Path) -> None:
    data = pattern(3_000_000)
    with serving(place) as url, Station.enrolled(url, place, "hub7") as station:
        path, token = station.create(len(data)), station.token
        line = station.begin_patch(path, len(data), data[:1_048_576])
        wait_for_bytes(place, 1_048_576)
        started = time.monotonic()
    assert time.monotonic() - started < 3
    with line:
        assert b" 503 " in line.recv(4096).split(b"\r\n")[0]
    with serving(place) as url, Station.with_token(url, token) as station:
        assert station.offset(path) == 1_048_576
        assert station.patch(path, data[1_048_576:], 1_048_576).status_code == 204
    assert (place / "objects" / digest_of(data)).read_bytes() == data


def test_an_endless_request_head_is_cut_off(url: str) -> None:
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nX: ")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            line.sendall(b"x" * 100_000_000)


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    with serving(place) as url:
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as line:
            assert line.recv(1) == b""
