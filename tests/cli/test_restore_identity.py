"""A certificate that was renewed lies behind a link: what a backup makes of that, and a restoration after it."""

import shutil
import ssl
from pathlib import Path

import pytest

from agent.stores.own_certificate import make_key, make_request
from agent.stores.own_pair import OwnPair
from tests.cli.command import Here
from tests.cli.test_backup import Station, other, station
from tests.stores.certificates import Authority

__all__ = ["other", "station"]


def nothing(_path: Path) -> None:
    pass


def pair_of(station: Station) -> OwnPair:
    return OwnPair("central", station.config.parent / "hub7.pem", station.config.parent / "private" / "hub7.key")


def renew(station: Station, authority: Authority) -> bytes:
    """Put another certificate and its key into place, as `renew` does; the certificate."""
    key, pair = make_key(), pair_of(station)
    certificate = authority.sign(make_request(key, "hub7"))
    pair.install(pair.generation(certificate, key, nothing), nothing)
    return certificate


def shown_by(station: Station) -> bytes:
    """The certificate that is in place, of which OpenSSL takes the key as well."""
    pair = pair_of(station)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair.certificate, pair.key, password="")
    return pair.certificate.read_bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "forceca")


@pytest.fixture
def renewed(station: Station, authority: Authority) -> tuple[Station, bytes]:
    """A station whose first pair were files, and whose second one is there by a link; and its certificate."""
    pair = pair_of(station)
    pair.key.parent.mkdir()
    key = make_key()
    pair.certificate.write_bytes(authority.sign(make_request(key, "hub7")))
    pair.key.touch(0o600)
    pair.key.write_bytes(key)
    names = 'client_cert = "hub7.pem"\nclient_key = "private/hub7.key"\n'
    station.config.write_text(station.config.read_text().replace("credential = ", f"{names}credential = "))
    return station, renew(station, authority)


@pytest.fixture
def archive(here: Here, renewed: tuple[Station, bytes], tmp_path: Path) -> Path:
    file = tmp_path / "hub7.tar"
    ended = here("backup", str(file), "--config", str(renewed[0].config))
    assert (ended.code, ended.err) == (0, ""), ended
    return file


def test_a_backup_after_a_renewal_brings_the_pair_that_is_in_use_to_another_machine_which_can_renew_it(
    here: Here, renewed: tuple[Station, bytes], archive: Path, other: Station, authority: Authority
) -> None:
    ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, ended.err) == (0, ""), ended
    assert shown_by(other) == renewed[1]
    pair = pair_of(other)
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert here("check", "--config", str(other.config)).code == 0
    old_key = pair.key.read_bytes()
    assert shown_by(other) != renew(other, authority) == shown_by(other)
    files = [path.read_bytes() for path in other.config.parent.rglob("*") if path.is_file()]
    assert not any(old_key in content for content in files)


def test_the_same_machine_that_lost_its_state_keeps_its_links(
    here: Here, renewed: tuple[Station, bytes], archive: Path
) -> None:
    station, certificate = renewed
    shutil.rmtree(station.state)
    assert here("restore", str(archive), "--config", str(station.config)).code == 0
    assert shown_by(station) == certificate
    assert pair_of(station).certificate.is_symlink()
    assert pair_of(station).key.is_symlink()


def test_a_pair_that_was_renewed_since_the_backup_is_not_exchanged_for_the_old_one(
    here: Here, renewed: tuple[Station, bytes], archive: Path, authority: Authority
) -> None:
    station = renewed[0]
    shutil.rmtree(station.state)
    newer = renew(station, authority)
    ended = here("restore", str(archive), "--config", str(station.config))
    assert (ended.code, "is there already and is another one than in the backup" in ended.err) == (1, True), ended
    assert shown_by(station) == newer
    assert not station.state.exists()


def test_links_that_lead_nowhere_are_named_before_anything_is_put_in_place(
    here: Here, renewed: tuple[Station, bytes], archive: Path
) -> None:
    station, certificate = renewed
    shutil.rmtree(station.state)
    shutil.rmtree(pair_of(station).folder)
    ended = here("restore", str(archive), "--config", str(station.config))
    assert (ended.code, "is a link that leads nowhere" in ended.err) == (1, True), ended
    assert not station.state.exists()
    for link in (pair_of(station).certificate, pair_of(station).key):
        link.unlink()
    assert here("restore", str(archive), "--config", str(station.config)).code == 0
    assert shown_by(station) == certificate
