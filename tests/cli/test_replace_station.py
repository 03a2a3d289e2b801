"""A station that is lost, from its last announcement to the list of cameras to dock, by the real commands."""

import json
from pathlib import Path

import pytest

from agent.depot.command import enrol as enrol_at_depot
from agent.depot.stations import station_of
from agent.ledger.custody import Recorder
from agent.ledger.database import Database
from tests.cli.command import Here
from tests.cli.conftest import Place
from tests.cli.test_enrol import configured, depot_at, given
from tests.depot.station import Station, digest_of
from tests.depot.test_announcements import announce, announced
from tests.stores.certificates import Authority


def named(config: Path, station: str) -> Path:
    config.write_text(config.read_text().replace('id = "hub7"', f'id = "{station}"'))
    return config


def test_from_the_lost_station_to_the_cameras_to_dock_and_the_first_use_of_the_new_key(
    here: Here, tmp_path: Path
) -> None:
    place, box = tmp_path / "depot", tmp_path / "box"
    box.mkdir()
    with depot_at(place) as url:
        old = enrol_at_depot(place, "hub7")
        with Station.with_token(url, old) as lost:
            here_already = lost.upload(b"whole", sha256=digest_of(b"whole"), name="1.MP4")
            assert announce(lost, announced(b"gone", name=b"2.MP4"), announced(b"lost", name=b"3.MP4")).is_success
            token = tmp_path / "hub7b.token"
            words = ("depot", "replace", "hub7", "hub7b", "--credential-to", str(token), "--dir", str(place))
            ended = here(*words, "--json")
            assert (ended.code, ended.err) == (0, "")
            assert lost.head(here_already).status_code == 401
        report = box / "missing.json"
        report.write_text(ended.out)
        facts = json.loads(ended.out)
        assert (facts["old"], facts["new"], facts["revoked"], len(facts["missing"])) == ("hub7", "hub7b", True, 2)
        assert token.read_text().strip() not in ended.out

        config = named(configured(box, url), "hub7b")
        said = here("replace-station", "hub7", "--missing", str(report), "--config", str(config))
        assert (said.code, said.err) == (0, "")
        assert "dock-agent enrol central --credential-from FILE" in said.out
        assert "X-1" in said.out
        assert here("enrol", "central", "--credential-from", str(token), "--config", str(config)).code == 0
        listed = here("replace-station", "hub7", "--missing", str(report), "--config", str(config), "--json")
        assert json.loads(listed.out) == {
            "old": "hub7",
            "station": "hub7b",
            "in_the_way": [],
            "next": [f"dock-agent check --config {config}"],
            "cameras": [{"camera": "X-1", "clips": 2, "bytes": 8, "events": 2, "since": "2026-03-01T08:00:00Z"}],
        }
        with Station.with_token(url, (box / "central.credential").read_text().strip()) as new:
            new.upload(b"gone", sha256=digest_of(b"gone"), name="2.MP4")
            new.upload(b"lost", sha256=digest_of(b"lost"), name="3.MP4")
        left = here("depot", "ls", "--station", "hub7", "--missing", "--dir", str(place))
        assert left.out == "All that was begun or announced is here.\n"


def test_for_people_the_depot_lists_cameras_and_says_what_nobody_can_know(here: Here, tmp_path: Path) -> None:
    place = tmp_path / "depot"
    with depot_at(place) as url, Station.with_token(url, enrol_at_depot(place, "hub7")) as lost:
        assert announce(lost, announced(b"gone")).is_success
        token = tmp_path / "token"
        ended = here("depot", "replace", "hub7", "hub7b", "--credential-to", str(token), "--dir", str(place))
        assert "1 clip that hub7 had announced never came" in ended.out
        assert "X-1" in ended.out
        assert "had not announced yet, nobody knows" in ended.out
        assert station_of(place, f"Bearer {token.read_text().strip()}") == "hub7b"


def test_a_depot_that_is_none_is_refused_and_nothing_is_made(here: Here, tmp_path: Path) -> None:
    words = ("depot", "replace", "hub7", "hub7b", "--credential-to", str(tmp_path / "t"), "--dir", str(tmp_path / "no"))
    ended = here(*words)
    assert (ended.code, "there is no depot" in ended.err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_old_name_is_refused_and_a_backup_is_named(here: Here, tmp_path: Path) -> None:
    config = configured(tmp_path, "http://127.0.0.1:9/files/")
    ended = here("replace-station", "hub7", "--config", str(config))
    assert ended.code == 1
    assert "dock-agent restore" in ended.err
    assert "Next" not in ended.out


def test_an_old_key_under_a_new_name_is_refused(here: Here, tmp_path: Path) -> None:
    more = 'client_cert = "central.pem"\nclient_key = "central.key"\n'
    config = named(configured(tmp_path, "http://127.0.0.1:9/files/", more), "hub7b")
    credential = tmp_path / "central.credential"
    credential.touch(mode=0o600)
    credential.write_text("hub7.secretsecret\n")
    cert, key = Authority(tmp_path, "ca").issue("hub7")
    cert.rename(tmp_path / "central.pem")
    key.rename(tmp_path / "central.key")
    (tmp_path / "central.key").chmod(0o600)
    ended = here("replace-station", "hub7", "--config", str(config))
    assert ended.code == 1
    assert "The credential for store central is that of hub7" in ended.err
    assert "The certificate for store central is that of hub7" in ended.err
    assert "secretsecret" not in ended.err + ended.out


def test_a_ledger_that_the_old_station_began_is_refused(here: Here, tmp_path: Path) -> None:
    config = named(configured(tmp_path, "http://127.0.0.1:9/files/"), "hub7b")
    database = Database.open(tmp_path / "state" / "ledger.sqlite")
    database.run_blocking(lambda tx: Recorder("hub7", "test").record(tx, "agent.started", {}))
    database.close()
    ended = here("replace-station", "hub7", "--config", str(config))
    assert (ended.code, "was begun by hub7" in ended.err) == (1, True)
    assert here("replace-station", "hub6", "--config", str(config)).code == 0


@pytest.mark.parametrize(
    "text",
    ["", "[1]", '{"old": "hub8", "missing": []}', '{"missing": [{}]}', '[{"station": "hub7"}]', "[" * 100_000],
)
def test_a_file_that_is_not_the_list_of_this_station_is_refused(here: Here, tmp_path: Path, text: str) -> None:
    config = named(configured(tmp_path, "http://127.0.0.1:9/files/"), "hub7b")
    report = given(tmp_path, text)
    ended = here("replace-station", "hub7", "--missing", report, "--config", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert "depot replace OLD NEW --json" in ended.err


def test_a_store_for_which_the_station_has_no_key_at_all_is_pointed_out(
    here: Here, place: Place, tmp_path: Path
) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    far = '[[stores]]\nname = "far"\nurl = "tus+https://store.example/files/"\nrequire = "readback"\n'
    near = f'[[stores]]\nname = "near"\nurl = "{nas.as_uri()}"\nrequire = "readback"\n'
    place.config.write_text(place.config.read_text() + far + near)
    ended = here("replace-station", "hub6", "--config", str(place.config), "--json")
    assert (ended.code, ended.err) == (0, "")
    steps = json.loads(ended.out)["next"]
    assert [step for step in steps if step.startswith("# store far ")]
    assert not [step for step in steps if "near" in step]
