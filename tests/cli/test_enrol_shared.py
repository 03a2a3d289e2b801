"""Several stores that name the same files: what is put in place for one is asked of all, and said of all."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.depot.command import enrol as enrol_at_depot
from tests.cli.command import Here
from tests.cli.test_enrol import configured, depot_at, given, install, request
from tests.stores.certificates import Authority

PAIR = 'client_cert = "central.pem"\nclient_key = "central.key"\n'


def beside(config: Path, url: str, more: str) -> None:
    """Add another store, named second."""
    table = f'[[stores]]\nname = "second"\nurl = "tus+{url}"\nrequire = "readback"\n{more}'
    config.write_text(f"{config.read_text()}{table}")


@pytest.fixture
def depots(tmp_path: Path) -> Iterator[tuple[Authority, list[Path], list[str]]]:
    """Two depots with TLS: the CA of stations, that of each depot, and their URLs."""
    made = [tmp_path / name for name in ("one", "two")]
    for each in made:
        each.mkdir()
    servers, stations = Authority(made[0], "servers"), Authority(made[0], "stations")
    cert, key = servers.issue("depot")
    with ExitStack() as stack:
        words = ("--tls-cert", str(cert), "--tls-key", str(key), "--client-ca", str(stations.path))
        urls = [stack.enter_context(depot_at(each / "depot", *words)) for each in made]
        yield stations, made, urls


@pytest.fixture
def config(tmp_path: Path, depots: tuple[Authority, list[Path], list[str]], here: Here) -> Path:
    """A station with a credential for each of them, whose certificate is one and the same."""
    _, made, urls = depots
    ca = f'ca = "{made[0] / "servers.pem"}"\n'
    config = configured(tmp_path, urls[0], f"{ca}{PAIR}")
    beside(config, urls[1], f'credential = "second.credential"\n{ca}{PAIR}')
    for name, each in zip(("central", "second"), made, strict=True):
        token = given(tmp_path, enrol_at_depot(each / "depot", "hub7"))
        ended = here("enrol", name, "--credential-from", token, "--untried", "--config", str(config))
        assert (ended.code, f"Store {name} was not asked" in ended.out) == (0, True), ended
    return config


def test_a_pair_that_two_stores_share_is_asked_of_both_and_renewed_by_either(
    here: Here, tmp_path: Path, depots: tuple[Authority, list[Path], list[str]], config: Path
) -> None:
    stations = depots[0]
    code, said = install(here, config, stations.sign(request(here, config)))
    assert (code, "Stores central and second take it" in said) == (0, True), said
    old_key = (tmp_path / "central.key").read_bytes()
    csr, issued = tmp_path / "second.csr", tmp_path / "second.pem"
    ended = here("renew", "second", "--csr", str(csr), "--config", str(config))
    assert "for store central and second" in ended.out
    issued.write_bytes(stations.sign(csr.read_bytes()))
    ended = here("renew", "second", "--certificate", str(issued), "--json", "--config", str(config))
    told = json.loads(ended.out)
    assert (told["store"], told["stores"], told["taken"]) == ("second", ["central", "second"], True)
    assert (tmp_path / "central.pem").read_bytes() == issued.read_bytes()
    assert [each.name for each in tmp_path.glob("identity-*")] == ["identity-central"]
    files = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert not any(old_key in content for content in files)


def test_one_that_either_of_two_stores_refuses_is_not_put_in_place_for_the_other(
    here: Here, tmp_path: Path, depots: tuple[Authority, list[Path], list[str]], config: Path
) -> None:
    stations, made, _ = depots
    first = stations.sign(request(here, config))
    assert install(here, config, first)[0] == 0
    enrol_at_depot(made[1] / "depot", "hub7", replace=True)  # so that the second one does not know the station now
    code, said = install(here, config, stations.sign(request(here, config, "renew")), "renew")
    assert (code, "store second: " in said, "Nothing was put into place" in said) == (1, True, True), said
    assert (tmp_path / "central.pem").read_bytes() == first


def test_a_key_that_is_shared_without_its_certificate_is_refused(here: Here, tmp_path: Path, config: Path) -> None:
    head, tail = config.read_text().split('[[stores]]\nname = "second"')
    config.write_text(f'{head}[[stores]]\nname = "second"{tail.replace("central.pem", "second.pem")}')
    ended = here("enrol", "central", "--csr", str(tmp_path / "x.csr"), "--config", str(config))
    assert ended.code == 1
    assert "shares one of `client_cert` and `client_key` with second" in ended.err
    assert not (tmp_path / "x.csr").exists()


def test_a_credential_that_one_store_took_is_kept_when_the_other_refuses_it(here: Here, tmp_path: Path) -> None:
    """The one that took it may have ended the old one by then."""
    with depot_at(tmp_path / "one") as url, depot_at(tmp_path / "two") as other:
        config = configured(tmp_path, url)
        beside(config, other, 'credential = "central.credential"\n')
        token = enrol_at_depot(tmp_path / "one", "hub7")
        words = ("enrol", "central", "--credential-from", given(tmp_path, token), "--config", str(config))
        ended = here(*words)
        assert (ended.code, "store second: " in ended.err) == (1, True), ended
        assert not (tmp_path / "central.credential").exists()
        assert (tmp_path / "central.credential.next").read_text().strip() == token
        config.write_text(config.read_text().replace(other, url))
        ended = here("enrol", "second", "--config", str(config))
        assert (ended.code, "Stores central and second take it" in ended.out) == (0, True), ended
