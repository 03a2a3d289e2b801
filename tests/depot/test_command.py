"""What the command line builds on: running, listing, verifying."""

import json
import signal
import ssl
from pathlib import Path

import httpx
import pytest

from agent.depot.command import enrol, list_uploads, parse_listen, run_depot, verify
from agent.depot.refusal import DepotError
from agent.depot.server import Tls
from tests.depot.certificate import make_certificate
from tests.depot.conftest import serving
from tests.depot.process import depot_process, start
from tests.depot.station import Station, digest_of


def test_a_ready_depot_says_one_json_object_and_ends_on_sigterm(place: Path) -> None:
    with depot_process(place) as depot:
        said = depot.said
        assert httpx.options(said["url"]).status_code == 204
        assert Path(said["receipt_key"]).read_text() == said["receipt_key_pem"]
        assert len(said["receipt_key_id"]) == 16
        assert str(place) in said["enrol"]
        assert (said["tls"], said["problems"]) == (False, [])
        assert depot.stop(signal.SIGTERM) == 0
        assert depot.process.communicate() == ("", "")


def test_a_ready_depot_tells_a_person_what_to_do_next_and_ends_on_sigint(place: Path) -> None:
    process = start("--dir", str(place))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert lines[0].startswith("depot ready: http://127.0.0.1:")
    assert "receipt.pub" in lines[1]
    assert f"--dir {place} --enrol STATION" in lines[5]
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_depot_keeps_its_key_and_its_stations_over_a_restart(place: Path) -> None:
    with depot_process(place) as depot, Station.enrolled(depot.url, place, "hub7") as station:
        key, token, path = depot.said["receipt_key_id"], station.token, station.upload(b"1234")
        depot.stop()
    with depot_process(place) as depot, Station.with_token(depot.url, token) as station:
        assert depot.said["receipt_key_id"] == key
        assert station.receipt(path).json()["key"] == key


async def refused(
    place: Path, listen: str = "127.0.0.1:0", tls_cert: Path | None = None, tls_key: Path | None = None
) -> str:
    with pytest.raises(DepotError) as caught:
        await run_depot(place, listen, out=lambda _: None, tls_cert=tls_cert, tls_key=tls_key)
    return f"{caught.value} {caught.value.hint}"


def is_no_depot(place: Path) -> bool:
    """Whether there is no depot in `place`."""
    with pytest.raises(DepotError, match="no depot in"):
        list_uploads(place)
    return not place.exists()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "depot.example:0"])
async def test_listening_beyond_this_machine_needs_tls(place: Path, listen: str) -> None:
    assert "--tls-cert" in await refused(place, listen)
    assert is_no_depot(place)


async def test_half_a_tls_setting_is_refused(place: Path) -> None:
    assert "certificate and its key" in await refused(place, tls_cert=place / "cert.pem")


@pytest.mark.parametrize("listen", ["", "8430", ":8430", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(DepotError, match="not an address"):
        parse_listen(listen)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert parse_listen("[::1]:80") == ("::1", 80)


async def test_a_key_that_others_can_read_is_refused(place: Path) -> None:
    with depot_process(place) as depot:
        depot.stop()
    (place / "key.pem").chmod(0o640)
    assert "chmod 600" in await refused(place)


async def test_a_lost_key_is_not_silently_replaced(place: Path) -> None:
    with depot_process(place) as depot:
        depot.stop()
    (place / "key.pem").unlink()
    assert "from a copy" in await refused(place)
    assert not (place / "key.pem").exists()


async def test_a_busy_port_is_named_and_the_directory_let_go(url: str, tmp_path: Path) -> None:
    address = url.split("/")[2]
    other = tmp_path / "other"
    assert "cannot listen on 127.0.0.1" in await refused(other, address)
    assert "cannot listen on 127.0.0.1" in await refused(other, address)


async def test_an_address_or_a_certificate_that_cannot_be_used_leaves_no_new_depot_behind(
    url: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert "cannot listen on 127.0.0.1" in await refused(other, url.split("/")[2])
    assert "cannot listen on 192.0.2.1" in await refused(other, "192.0.2.1:0", *make_certificate(tmp_path))
    (tmp_path / "no.pem").write_text("no certificate")
    assert "cannot be used" in await refused(other, "127.0.0.1:0", tmp_path / "no.pem", tmp_path / "no.pem")
    assert not other.exists()


async def test_a_file_for_tls_that_is_not_there_is_named(place: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    key.unlink()
    assert f"there is no file {key}" in await refused(place, "0.0.0.0:0", tls_cert=certificate, tls_key=key)
    assert is_no_depot(place)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
async def test_an_address_that_only_this_machine_understands_is_not_offered_to_stations(
    place: Path, tmp_path: Path, listen: str
) -> None:
    certificate, key = make_certificate(tmp_path)
    said: list[str] = []

    def out(text: str) -> None:
        said.append(text)
        signal.raise_signal(signal.SIGTERM)

    assert await run_depot(place, listen, out=out, tls_cert=certificate, tls_key=key) == 0
    assert "(in a station's configuration: tus+https://THIS-MACHINE:" in said[0]


@pytest.mark.parametrize("with_client_ca", [False, True])
def test_a_depot_with_tls_takes_an_upload_and_no_stranger_to_its_client_ca(
    place: Path, tmp_path: Path, *, with_client_ca: bool
) -> None:
    certificate, key = make_certificate(tmp_path)
    client_ca = certificate if with_client_ca else None
    with serving(place, tls=Tls(certificate, key, client_ca)) as url:
        assert url.startswith("https://")
        base, headers = url.removesuffix("/files/"), {"Authorization": f"Bearer {enrol(place, 'hub7')}"}
        trust = ssl.create_default_context(cafile=str(certificate))
        if with_client_ca:
            with httpx.Client(verify=trust, headers=headers) as http, pytest.raises(httpx.TransportError):
                http.get(f"{base}/health")
            trust.load_cert_chain(certificate, key)
        with httpx.Client(base_url=base, verify=trust, headers=headers) as http:
            station = Station(http, url, "")
            assert station.receipt(station.upload(b"1234")).status_code == 200


def test_the_listing_shows_what_a_station_said_also_while_the_depot_runs(station: Station, place: Path) -> None:
    path = station.upload(
        b"1234",
        clip="c1",
        camera="X-1",
        bay="3",
        station="forged",
        name=b"DCIM/\xff.MP4",
        role="clip",
        event="1",
        started_at="2026-03-01T08:00:00Z",
    )
    station.receipt(path)
    station.receipt(path)
    half = station.create(10)
    rows = list_uploads(place)
    json.dumps(rows)
    done, open_ = sorted(rows, key=lambda row: row["finished"] is None)
    assert done == {
        "id": path.removeprefix("/files/"),
        "station": "hub7",
        "clip": "c1",
        "camera": "X-1",
        "bay": "3",
        "class": "clip",
        "name": {"hex": b"DCIM/\xff.MP4".hex()},
        "size": 4,
        "sha256": digest_of(b"1234"),
        "event": True,
        "started_at": "2026-03-01T08:00:00Z",
        "finished": "2026-03-01T12:00:00Z",
        "receipts": 2,
        "announced": None,
        "same_as": None,
    }
    assert (open_["id"], open_["finished"], open_["sha256"]) == (half.removeprefix("/files/"), None, None)


def test_a_listing_of_no_depot_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(DepotError, match="no depot in"):
        list_uploads(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_verifying_finds_every_kind_of_harm(station: Station, place: Path) -> None:
    for data in (b"good", b"rots", b"gone", b"open"):
        station.upload(data)
    assert verify(place).problems == ()
    objects = place / "objects"
    (objects / digest_of(b"gone")).unlink()
    rotten = objects / digest_of(b"rots")
    rotten.chmod(0o600)
    rotten.write_bytes(b"rotX")
    rotten.chmod(0o400)
    (objects / digest_of(b"open")).chmod(0o644)
    (objects / "stray").touch()
    found = verify(place)
    assert (found.uploads, found.objects, found.size_bytes) == (4, 4, 4)
    told = "\n".join(found.problems)
    assert len(found.problems) == 4
    assert f"{digest_of(b'gone')}, needed by 1 upload(s): it cannot be read" in told
    assert f"its bytes have SHA-256 {digest_of(b'rotX')}" in told
    assert "its mode is 0644" in told
    assert "objects/stray belongs to no upload" in told
