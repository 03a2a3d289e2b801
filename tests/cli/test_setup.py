import json
import os
import pwd
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.config import load_config
from tests.cli.command import ROOT, Ended, Here, environment, on_a_terminal

SECRET = "c4nary-token-of-hub7"
TRIAL = ("--allow-unsafe-spool",)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "agent.toml"


def fed(text: str, *words: str) -> Ended:
    """The real command, with a text on its stdin."""
    command = [sys.executable, "-m", "agent", *words]
    ended = subprocess.run(  # noqa: S603 - our own program
        command, input=text, capture_output=True, text=True, check=False, cwd=ROOT, env=environment(), timeout=60
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def store_of(tmp_path: Path) -> tuple[str, str]:
    folder = tmp_path / "evidence"
    folder.mkdir(exist_ok=True)
    return "--store", f"file://{folder}"


def test_options_alone_make_a_configuration_that_the_agent_loads(here: Here, tmp_path: Path, etc: Path) -> None:
    bays = ("--bay", f"left={tmp_path}/left", "--bay", f"{tmp_path}/right")
    zone = ("--time-zone", "Europe/London")
    state = ("--state-dir", str(tmp_path / "state"))
    ended = here("setup", "--station", "hub7", *store_of(tmp_path), *bays, *zone, *state, *TRIAL, "--config", str(etc))
    assert (ended.code, ended.err) == (0, "")
    config = load_config(etc)
    assert (config.station.id, config.station.time_zone) == ("hub7", "Europe/London")
    assert config.station.state_dir == tmp_path / "state"
    assert [(bay.name, bay.folder) for bay in config.bays] == [("left", tmp_path / "left"), ("2", tmp_path / "right")]
    assert all(bay.must_be_mount for bay in config.bays)
    assert [(store.name, store.require) for store in config.stores] == [("central", "readback")]
    assert not config.wipe.enabled
    assert not (tmp_path / "state").exists()
    assert here("check", "--config", str(etc)).code == 0


def test_without_folders_the_next_step_is_to_learn_the_bays(here: Here, tmp_path: Path, etc: Path) -> None:
    ended = here("setup", "--station", "hub7", *store_of(tmp_path), *TRIAL, "--config", str(etc), "--json")
    told = json.loads(ended.out)
    assert told["config"] == str(etc)
    assert (told["credential"], told["kept"]) == (None, None)
    assert told["next"] == [
        f"dock-agent bays learn --count N --config {etc}",
        f"dock-agent doctor store central --config {etc}",
        f"dock-agent run --config {etc}",
    ]
    assert any("Wiping is off" in note for note in told["notes"])


def test_a_store_that_is_shown_no_credential_is_told(here: Here, etc: Path) -> None:
    words = ("setup", "--station", "hub7", "--store", "tus+https://evidence.example/files/", *TRIAL)
    made = here(*words, "--config", str(etc))
    assert "Store central is shown no credential. Give it with --credential-from" in made.out
    (etc.parent / "central.credential").write_text(SECRET)
    again = here(*words, "--replace", "--config", str(etc))
    assert f"{etc.parent}/central.credential is there and not used: give it with --credential-from" in again.out
    given = ("--credential-from", str(etc.parent / "central.credential"))
    assert "is shown no credential" not in here(*words, *given, "--replace", "--config", str(etc)).out


def test_a_store_whose_key_is_known_must_sign(here: Here, tmp_path: Path, etc: Path) -> None:
    key = tmp_path / "central.pub"
    public = Ed25519PrivateKey.generate().public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = ("--store", "tus+https://evidence.example/files/", "--receipt-key", str(key))
    ended = here("setup", "--station", "hub7", *words, *TRIAL, "--config", str(etc))
    assert (ended.code, ended.err) == (0, "")
    (store,) = load_config(etc).stores
    assert (store.require, store.receipt_key) == ("signed", key)


def test_an_existing_configuration_is_never_written_over(here: Here, etc: Path) -> None:
    etc.parent.mkdir()
    etc.write_text("# mine\n")
    ended = here("setup", "--station", "hub7", "--config", str(etc))
    assert ended.code == 1
    assert "--replace" in ended.err
    assert etc.read_text() == "# mine\n"
    assert [each.name for each in etc.parent.iterdir()] == ["agent.toml"]


def test_each_replaced_configuration_is_kept_beside_the_new_one(here: Here, etc: Path) -> None:
    etc.parent.mkdir()
    etc.write_text("# first\n")
    for station in ("hub8", "hub9"):
        assert here("setup", "--station", station, *TRIAL, "--replace", "--config", str(etc)).code == 0
    assert load_config(etc).station.id == "hub9"
    assert etc.with_name("agent.toml.old").read_text() == "# first\n"
    assert tomllib.loads(etc.with_name("agent.toml-2.old").read_text())["station"]["id"] == "hub8"


def test_what_check_would_refuse_is_told_with_file_and_key_and_nothing_is_written(here: Here, etc: Path) -> None:
    etc.parent.mkdir()
    etc.write_text("# mine\n")
    secret = etc.parent.parent / "token"
    secret.write_text(SECRET)
    words = ("--store", "tus+https://evidence.example/files/", "--require", "signed", "--credential-from", str(secret))
    ended = here("setup", "--station", "hub 7", *words, "--replace", "--config", str(etc))
    assert (ended.code, ended.out) == (78, "")
    assert f"dock-agent: {etc}: station.id: " in ended.err
    assert etc.read_text() == "# mine\n"
    assert [each.name for each in etc.parent.iterdir()] == ["agent.toml"]


def test_a_store_that_must_sign_needs_its_key(here: Here, etc: Path) -> None:
    words = ("--store", "tus+https://evidence.example/files/", "--require", "signed")
    ended = here("setup", "--station", "hub7", *words, "--config", str(etc))
    assert ended.code == 78
    assert "stores.0.receipt_key" in ended.err
    assert not etc.exists()


def test_a_mistake_in_another_file_is_told_by_that_file(here: Here, etc: Path) -> None:
    other = etc.parent / "conf.d" / "more.toml"
    other.parent.mkdir(parents=True)
    other.write_text('[wipe]\nenabled = "perhaps"\n')
    ended = here("setup", "--station", "hub7", "--config", str(etc))
    assert ended.code == 78
    assert f"dock-agent: {other}: wipe.enabled: " in ended.err


def test_a_credential_lies_in_a_file_of_its_own_that_nobody_else_reads(here: Here, tmp_path: Path, etc: Path) -> None:
    source = tmp_path / "token"
    source.write_text(f"{SECRET}\n")
    words = ("--store", "tus+https://evidence.example/files/", "--credential-from", str(source))
    ended = here("setup", "--station", "hub7", *words, *TRIAL, "--config", str(etc))
    assert (ended.code, ended.err) == (0, "")
    kept = etc.parent / "central.credential"
    assert kept.read_text() == f"{SECRET}\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert SECRET not in etc.read_text() + ended.out
    assert load_config(etc).stores[0].credential == kept


def test_a_new_credential_leaves_the_old_one_to_the_old_configuration(here: Here, tmp_path: Path, etc: Path) -> None:
    source = tmp_path / "token"
    words = ("--store", "tus+https://evidence.example/files/", "--credential-from", str(source))
    for secret in ("old", "new"):
        source.write_text(secret)
        assert here("setup", "--station", "hub7", *words, *TRIAL, "--replace", "--config", str(etc)).code == 0
    assert load_config(etc).stores[0].credential == etc.parent / "central-2.credential"
    assert (etc.parent / "central.credential").read_text() == "old"
    assert (etc.parent / "central-2.credential").read_text() == "new"


def test_a_credential_may_come_through_a_pipe(etc: Path) -> None:
    words = ("--store", "tus+https://evidence.example/files/", "--credential-from", "-")
    ended = fed(f"{SECRET}\n", "setup", "--station", "hub7", *words, *TRIAL, "--config", str(etc))
    assert (ended.code, ended.err) == (0, "")
    assert (etc.parent / "central.credential").read_text() == f"{SECRET}\n"


def test_an_empty_credential_is_refused(etc: Path) -> None:
    ended = fed("\n", "setup", "--station", "hub7", "--credential-from", "-", "--config", str(etc))
    assert ended.code == 1
    assert not etc.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_gives_the_credential_to_the_user_of_the_service(here: Here, tmp_path: Path, etc: Path) -> None:
    source = tmp_path / "token"
    source.write_text(SECRET)
    words = ("--store", "tus+https://evidence.example/files/", "--credential-from", str(source))
    assert here("setup", "--station", "hub7", *words, "--service-user", "nobody", "--config", str(etc)).code == 0
    assert (etc.parent / "central.credential").stat().st_uid == pwd.getpwnam("nobody").pw_uid


def test_without_a_person_the_name_must_be_given(etc: Path) -> None:
    ended = fed("", "setup", "--config", str(etc))
    assert ended.code == 2
    assert "--station" in ended.err
    assert not etc.parent.exists()


def test_a_bay_needs_a_whole_path(here: Here, etc: Path) -> None:
    ended = here("setup", "--station", "hub7", "--bay", "1=media/bay1", "--config", str(etc))
    assert ended.code == 2
    assert not etc.exists()


def test_a_kind_of_receipt_that_there_is_not_is_a_usage_error(here: Here, etc: Path) -> None:
    ended = here("setup", "--station", "hub7", "--require", "sworn", "--config", str(etc))
    assert (ended.code, ended.out) == (2, "")
    assert all(kind in ended.err for kind in ("signed", "readback", "checksum"))


def test_cameras_are_copied_into_a_plain_spool_only_if_somebody_says_so(here: Here, etc: Path) -> None:
    words = ("--station", "hub7", "--state-dir", "/dev/shm/hub7", *TRIAL, "--config", str(etc), "--json")  # noqa: S108
    told = json.loads(here("setup", *words).out)
    assert not load_config(etc).station.allow_plain_spool
    assert any("The spool is not encrypted; cameras at USB ports would be refused" in note for note in told["notes"])
    told = json.loads(here("setup", *words, "--allow-plain-spool", "--replace").out)
    assert load_config(etc).station.allow_plain_spool
    assert any("The spool is not encrypted (allow_plain_spool = true)" in note for note in told["notes"])


@pytest.mark.parametrize(("answer", "allowed"), [("y", True), ("", False)])
def test_at_a_terminal_that_is_asked_where_the_bays_are_usb_ports(etc: Path, answer: str, allowed: bool) -> None:
    typed = ["hub7", "", "", answer]
    place = ("--state-dir", "/dev/shm/hub7")  # noqa: S108 - memory: never encrypted, and nothing is written there
    said = on_a_terminal("setup", *place, *TRIAL, "--config", str(etc), typed=typed)
    assert "hub7/spool is not encrypted: it lies on tmpfs" in " ".join(said.split())
    assert load_config(etc).station.allow_plain_spool is allowed


def test_a_person_is_asked_for_what_is_missing_and_the_secret_is_not_shown(tmp_path: Path, etc: Path) -> None:
    typed = ["hub7", "tus+https://evidence.example/files/", "", SECRET, f"{tmp_path}/a, {tmp_path}/b"]
    said = on_a_terminal("setup", *TRIAL, "--config", str(etc), typed=typed)
    config = load_config(etc)
    assert config.station.id == "hub7"
    assert [(bay.name, bay.folder) for bay in config.bays] == [("1", tmp_path / "a"), ("2", tmp_path / "b")]
    assert (etc.parent / "central.credential").read_text() == f"{SECRET}\n"
    assert SECRET not in said
    assert "Next:" in said
