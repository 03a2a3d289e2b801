"""`dock-agent doctor store` as a person runs it, against real stores."""

import json
import os
import pwd
import signal
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app import open_ledger
from agent.config import load_config
from agent.core.object import ReceiptKind
from agent.files import block_layers, swap
from agent.stores.probe_record import read_record, record_path, write_record
from tests.cli.command import END_S, Here, dock_agent, running
from tests.cli.conftest import Place
from tests.cli.depot_process import depot_for


@pytest.fixture
def nas(place: Place, tmp_path: Path) -> Path:
    """A directory store in the place's configuration."""
    root = tmp_path / "nas"
    root.mkdir()
    (place.state).mkdir()
    add_store(place, "nas", root.as_uri())
    return root


def add_store(place: Place, name: str, url: str, more: str = 'require = "readback"') -> None:
    place.config.write_text(place.config.read_text() + f'[[stores]]\nname = "{name}"\nurl = "{url}"\n{more}\n')


def test_what_was_found_is_shown_in_a_table_and_kept(here: Here, place: Place, nas: Path) -> None:
    ended = here("doctor", "store", "nas", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["probe", "verdict", "what", "was", "sent", "what", "the", "store", "answered"]
    assert any(line.split()[:2] == ["no_overwrite", "holds"] for line in lines)
    assert "Receipts that this store can give: readback" in lines
    assert 'The strongest, for its [[stores]] table: require = "readback"' in lines
    record = read_record(record_path(place.state, "nas"))
    assert record is not None
    assert record.place == nas.as_uri()
    assert record.kinds == {ReceiptKind.READBACK}


def test_json_is_one_object_with_each_probe(here: Here, place: Place, nas: Path) -> None:
    ended = here("doctor", "store", "nas", "--json", "--config", str(place.config))
    found = json.loads(ended.out)
    assert (ended.code, found["url"], found["kinds"]) == (0, nas.as_uri(), ["readback"])
    assert (found["require"], found["meets_require"], found["config"]) == ("readback", True, 'require = "readback"')
    assert all(set(probe) == {"name", "sent", "answered", "verdict"} for probe in found["probes"])


def test_it_works_while_the_ledger_is_in_use(here: Here, place: Place, nas: Path) -> None:
    database = open_ledger(load_config(place.config))
    try:
        ended = here("doctor", "store", "nas", "--config", str(place.config))
    finally:
        database.close()
    assert ended.code == 0
    assert list(nas.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_root_probes_with_the_services_own_rights(here: Here, place: Place, nas: Path) -> None:
    """What root left beside the ledger the service could not replace."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:  # where that user gets, other than in this test's own
        state, store = Path(folder, "state"), Path(folder, "nas")
        for path in (Path(folder), state, store):
            path.mkdir(exist_ok=True)
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        text = place.config.read_text().replace('"state"', json.dumps(str(state)))
        place.config.write_text(text.replace(nas.as_uri(), store.as_uri()))
        ended = here("doctor", "store", "nas", "--config", str(place.config))
        assert (ended.code, ended.err) == (0, "")
        assert {path.stat().st_uid for path in state.rglob("*")} == {nobody.pw_uid}
        store.chmod(0o500)
        refused = here("doctor", "store", "nas", "--config", str(place.config))
        assert refused.code != 0, "root's own rights were used"


def test_a_store_that_nobody_configured_is_a_mistake_on_the_command_line(here: Here, place: Place, nas: Path) -> None:
    ended = here("doctor", "store", "central", "--config", str(place.config))
    assert (ended.code, ended.out) == (2, "")
    assert "known are: nas" in ended.err
    assert list(nas.iterdir()) == []


def test_a_store_that_cannot_even_be_opened_is_a_mistake_in_the_configuration(here: Here, place: Place) -> None:
    add_store(place, "far", "tus+http://store.example/files/")
    ended = here("doctor", "store", "far", "--config", str(place.config))
    assert (ended.code, ended.out) == (78, "")
    assert "in the clear" in ended.err


def test_a_content_destination_needs_no_probing_and_that_is_said(here: Here, place: Place) -> None:
    add_store(place, "vms", "axis:vms.json")
    ended = here("doctor", "store", "vms", "--config", str(place.config))
    assert (ended.code, ended.out) == (78, "")
    assert "content destinations are not probed" in ended.err
    assert "read back" in ended.err


def test_a_depot_with_the_wrong_key_does_not_meet_what_is_required(here: Here, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with depot_for(one) as (config, depot), depot_for(other) as (_, stranger):
        good = here("doctor", "store", "depot", "--json", "--config", str(config))
        key = json.dumps(str(depot / "receipt.pub"))
        assert key in config.read_text()
        config.write_text(config.read_text().replace(key, json.dumps(str(stranger / "receipt.pub"))))
        bad = here("doctor", "store", "depot", "--json", "--config", str(config))
    assert (good.code, json.loads(good.out)["kinds"]) == (0, ["signed", "readback"])
    assert "random bytes only" in good.err
    assert (bad.code, json.loads(bad.out)["meets_require"]) == (1, False)


def test_a_spool_that_is_not_encrypted_is_told_with_what_that_means(
    here: Here, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_layers, "why_plain", lambda spool: f"nothing encrypts {spool}")
    ended = here("doctor", "spool", "--config", str(place.config))
    assert (ended.code, ended.err) == (1, "")
    assert f"is not encrypted: nothing encrypts {place.state / 'spool'}." in ended.out
    assert "Cameras at USB ports are not copied." in ended.out
    place.config.write_text(place.config.read_text().replace("[api]", "allow_plain_spool = true\n[api]"))
    ended = here("doctor", "spool", "--config", str(place.config))
    assert ended.code == 1
    assert "Cameras at USB ports are allowed by" in ended.out


def test_a_spool_on_an_encrypted_disk_is_fine_and_what_was_not_looked_at_is_said(
    here: Here, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_layers, "why_plain", lambda _spool: None)
    monkeypatch.setattr(swap, "plain_swaps", list)
    ended = here("doctor", "spool", "--config", str(place.config))
    assert ended.code == 0
    assert ended.out.startswith(f"The spool {place.state / 'spool'} lies on encrypted disks only.\nNot looked at, ")
    assert "cipher_null" in ended.out
    told = json.loads(here("doctor", "spool", "--json", "--config", str(place.config)).out)
    assert told == {
        "spool": str(place.state / "spool"),
        "encrypted": True,
        "why": None,
        "allowed": False,
        "plain_swap": [],
        "not_looked_at": ["cipher", "key", "unfinished_change"],
    }


def test_swap_that_is_not_encrypted_is_told_and_no_success(
    here: Here, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_layers, "why_plain", lambda _spool: None)
    monkeypatch.setattr(swap, "plain_swaps", lambda: ["/dev/sda2: nothing encrypts what goes to sda"])
    ended = here("doctor", "spool", "--config", str(place.config))
    assert ended.code == 1
    assert "Swap is not encrypted: /dev/sda2: nothing encrypts what goes to sda." in ended.out
    told = json.loads(here("doctor", "spool", "--json", "--config", str(place.config)).out)
    assert told["plain_swap"] == ["/dev/sda2: nothing encrypts what goes to sda"]


@pytest.fixture
def silence() -> Iterator[socket.socket]:
    """Something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(END_S)
        yield listener


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_probe_that_is_interrupted_leaves_the_record_as_it_was(
    place: Place, nas: Path, silence: socket.socket, ending: signal.Signals
) -> None:
    assert dock_agent("doctor", "store", "nas", "--config", str(place.config)).code == 0
    path = record_path(place.state, "nas")
    before = path.read_bytes()
    url = f"tus+http://127.0.0.1:{silence.getsockname()[1]}/files/"
    place.config.write_text(place.config.read_text().replace(nas.as_uri(), url))
    with running("doctor", "store", "nas", "--config", str(place.config)) as process:
        connection, _ = silence.accept()
        with connection:
            process.send_signal(ending)
            assert process.wait(END_S) != 0
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["nas.json"]


def test_check_names_the_command_until_a_store_was_probed(here: Here, place: Place, nas: Path) -> None:
    told = "note: Store nas was never probed: run `dock-agent doctor store nas`."
    assert told in here("check", "--config", str(place.config)).out.splitlines()
    assert here("doctor", "store", "nas", "--config", str(place.config)).code == 0
    assert "probed" not in here("check", "--config", str(place.config)).out
    (nas.parent / "moved").mkdir()
    place.config.write_text(place.config.read_text().replace(nas.as_uri(), (nas.parent / "moved").as_uri()))
    assert "its url is another one now: run `dock-agent doctor" in here("check", "--config", str(place.config)).out


@pytest.mark.usefixtures("nas")
def test_check_says_when_probing_found_that_nothing_can_ever_be_confirmed(here: Here, place: Place) -> None:
    assert here("doctor", "store", "nas", "--config", str(place.config)).code == 0
    path = record_path(place.state, "nas")
    record = read_record(path)
    assert record is not None
    write_record(path, replace(record, kinds=frozenset()))
    ended = here("check", "--config", str(place.config))
    assert ended.code == 0
    assert "note: Nothing can ever be confirmed: [confirm] copies = 1" in ended.out
    assert 'Store nas cannot confirm: require = "readback", but it was found to give nothing.' in ended.out
