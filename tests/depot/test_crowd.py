"""A peer that opens more connections than there are places, and says nothing: the others hardly notice."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from agent.depot import door
from agent.depot.command import enrol
from agent.depot.guests import MAX_OF_ONE_PEER, MAX_PLACES
from agent.depot.server import Tls
from tests.depot.certificate import make_certificate
from tests.depot.conftest import serving
from tests.depot.station import TIMEOUT_S, Station, pattern

CROWD = 300
assert CROWD > MAX_PLACES > MAX_OF_ONE_PEER


@contextmanager
def crowd(url: str, said: bytes, peers: int = 1) -> Iterator[list[socket.socket]]:
    """Connections that begin to speak and stop, from 127.0.0.1 or from that many addresses beginning there."""
    host, port = url.split("/")[2].split(":")
    with ExitStack() as stack:
        lines = []
        for number in range(CROWD):
            source = f"127.0.0.{1 + number % peers}"
            line = socket.create_connection((host, int(port)), timeout=TIMEOUT_S, source_address=(source, 0))
            lines.append(stack.enter_context(line))
            line.sendall(said)
        yield lines


@contextmanager
def station_at(url: str, place: Path, address: str, trust: ssl.SSLContext | None = None) -> Iterator[Station]:
    """A station that comes from this address."""
    token = enrol(place, "hub7", replace=True)
    transport = httpx.HTTPTransport(local_address=address, verify=trust or False)
    headers = {"Authorization": f"Bearer {token}"}
    base = url.removesuffix("/files/")
    with httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_S, transport=transport) as http:
        yield Station(http, url, token)


@pytest.mark.parametrize("said", [b"", b"POST /files/ HTTP/1.1\r\nX: "], ids=["silent", "half a head"])
@pytest.mark.parametrize(("address", "peers"), [("127.0.0.200", 1), ("127.0.0.1", 1), ("127.0.0.200", 100)])
def test_silent_connections_keep_nobody_out(url: str, place: Path, said: bytes, address: str, peers: int) -> None:
    with crowd(url, said, peers), station_at(url, place, address) as station:
        assert station.receipt(station.upload(pattern(100_000))).status_code == 200


def test_a_station_that_is_being_served_is_not_sent_away_for_the_crowd(url: str, place: Path) -> None:
    data = pattern(2_000_000)
    with station_at(url, place, "127.0.0.1") as station:
        path = station.create(len(data))
        with station.begin_patch(path, len(data), data[:1_000_000]) as line, crowd(url, b""):
            line.sendall(data[1_000_000:])
            assert b" 204 " in line.recv(4096).split(b"\r\n")[0]


def still_open(lines: list[socket.socket]) -> int:
    """How many lines the depot has not closed."""
    return sum(map(is_open, lines))


def is_open(line: socket.socket) -> bool:
    line.settimeout(0)
    try:
        return line.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_one_peer_keeps_no_more_than_its_share(url: str, place: Path) -> None:
    with crowd(url, b"GET ") as lines, station_at(url, place, "127.0.0.200") as station:
        station.create(1)
        assert 0 < still_open(lines) <= MAX_OF_ONE_PEER


def test_connections_that_never_agree_on_tls_keep_nobody_out_nor_more_than_their_share(
    place: Path, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    with serving(place, tls=Tls(certificate, key)) as url, crowd(url, b"\x16\x03") as lines:
        for address in ("127.0.0.1", "127.0.0.200"):
            with station_at(url, place, address, trust) as station:
                assert station.receipt(station.upload(pattern(1000))).status_code == 200
        assert 0 < still_open(lines) <= MAX_OF_ONE_PEER


def test_a_connection_that_never_agrees_on_tls_is_closed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_S", 0.2)
    with serving(place, tls=Tls(*make_certificate(tmp_path))) as url:
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as line:
            assert line.recv(1) == b""


def test_stopping_does_not_wait_for_a_crowd(place: Path) -> None:
    with serving(place) as url, crowd(url, b"GET "):
        pass  # `serving` fails when the depot does not stop
