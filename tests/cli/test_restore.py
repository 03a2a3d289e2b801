"""A restoration changes nothing before all was looked at, and may be ended at any step."""

import fcntl
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger import doubts
from agent.ledger.database import Database
from tests.cli.command import ROOT, Here, environment
from tests.cli.test_backup import Station, archive, other, rewritten, station
from tests.ledger.stage import Stage

__all__ = ["archive", "other", "station"]

STEPS = 6
"""Files that are put in place: a store's record, the note, the ledger, conf.d, the credential, the main file."""

ENDED_AFTER = """
import os, signal, sys
from agent.files import durable
from agent.cli.main import carry_out
after, number, count = int(sys.argv[1]), int(sys.argv[2]), 0
if number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)  # tests that run in the background may have it ignored
publish = durable.DurablePart.publish
def counted(self, target, mode=0o400):
    global count
    publish(self, target, mode)
    if ".restore-" not in str(target):
        count += 1
        if count == after:
            os.kill(os.getpid(), number)
durable.DurablePart.publish = counted
sys.exit(carry_out(sys.argv[3:]))
"""


def ended_after(step: int, number: int, archive: Path, other: Station) -> int:
    command = [sys.executable, "-c", ENDED_AFTER, str(step), str(number)]
    command += ["restore", str(archive), "--config", str(other.config)]
    done = subprocess.run(command, check=False, timeout=60, env=environment(), cwd=ROOT, capture_output=True)  # noqa: S603
    return done.returncode


def stamps(folder: Path) -> dict[Path, int]:
    """When names last came or went in each folder."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_dir()}


@pytest.fixture
def same_but_for_conf_d(station: Station, other: Station) -> Station:
    shutil.copytree(station.config.parent, other.config.parent)
    (other.config.parent / "conf.d" / "cameras.toml").unlink()
    return other


def test_a_running_service_never_sees_a_file_of_a_refused_restoration(
    here: Here, archive: Path, same_but_for_conf_d: Station
) -> None:
    """What lies in conf.d for a moment is taken over at once: it may turn wiping on."""
    other = same_but_for_conf_d
    before = stamps(other.config.parent)
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(other.root / "s"))
        service.listen()
        ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, "The service runs" in ended.err) == (1, True), ended
    assert stamps(other.config.parent) == before


def test_nor_one_that_holds_the_ledger_or_has_a_history(
    here: Here, archive: Path, same_but_for_conf_d: Station
) -> None:
    other = same_but_for_conf_d
    before = stamps(other.config.parent)
    database = Database.open(other.ledger)
    assert "in use" in here("restore", str(archive), "--config", str(other.config)).err
    database.close()
    stage = Stage(other.ledger)
    stage.dock()
    stage.close()
    assert "of its own already" in here("restore", str(archive), "--config", str(other.config)).err
    assert stamps(other.config.parent) == before


def test_what_a_killed_restoration_staged_is_cleared_at_the_next_boot_and_never_under_a_running_one(
    archive: Path, other: Station, tmp_path: Path
) -> None:
    assert ended_after(1, signal.SIGKILL, archive, other) == -signal.SIGKILL
    root = tmp_path / "machine"
    (root / "etc").mkdir(parents=True)
    shutil.move(other.config.parent, root / "etc" / "dock-agent")
    rules = tmp_path / "rules.conf"
    shipped = (ROOT / "config" / "tmpfiles.d" / "dock-agent.conf").read_text()
    # The others need the package's users, and make folders.
    rules.write_text("".join(f"{line}\n" for line in shipped.splitlines() if line.startswith("R")))
    tidy = ["/usr/bin/systemd-tmpfiles", f"--root={root}", "--remove", str(rules)]

    def left() -> list[Path]:
        return list((root / "etc" / "dock-agent").glob(".restore-*"))

    subprocess.run(tidy, check=True, timeout=60)  # noqa: S603 - as an upgrade of the package does
    assert left()
    subprocess.run([*tidy, "--boot"], check=True, timeout=60)  # noqa: S603 - our own words
    assert not left()
    assert (root / "etc" / "dock-agent").is_dir()


@pytest.mark.parametrize("step", range(1, STEPS))
def test_killed_at_any_step_it_leaves_no_configuration_to_begin_with_and_can_be_run_again(
    here: Here, archive: Path, station: Station, other: Station, step: int
) -> None:
    assert ended_after(step, signal.SIGKILL, archive, other) == -signal.SIGKILL
    assert not other.config.exists(), "a service that waits for it would begin"
    assert list(other.config.parent.glob(".restore-*"))
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 0, ended
    assert not list(other.root.rglob(".*")), "secrets of the killed run are gone"
    config = {n: d for n, d in station.files().items() if n.startswith("etc/")}
    assert {n: d for n, d in other.files().items() if n.startswith("etc/")} == config
    assert (other.state / "ledger.restored").exists()
    stage = Stage(other.ledger)
    assert list(stage.do(doubts.doubts)) == [doubts.ROLLED_BACK]
    assert stage.events().count("ledger.restored") == 1
    stage.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", [1, 3, 5])
def test_ended_by_a_signal_it_takes_everything_away_again(
    archive: Path, other: Station, step: int, number: int
) -> None:
    assert ended_after(step, number, archive, other) == 1
    assert other.files() == {}
    assert not other.state.exists()


def test_a_signal_after_the_last_step_changes_nothing(archive: Path, other: Station) -> None:
    assert ended_after(STEPS, signal.SIGTERM, archive, other) == 0
    assert other.config.exists()
    assert other.ledger.exists()


def test_a_clock_that_is_behind_is_to_be_set_first(here: Here, archive: Path, other: Station) -> None:
    def later(name: str, raw: bytes) -> bytes:
        if name != "manifest.json":
            return raw
        return json.dumps(json.loads(raw) | {"made_at": "2999-01-01T00:00:00+00:00"}).encode()

    rewritten(archive, later)
    ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, "Set the clock" in ended.err) == (1, True), ended
    assert other.files() == {}


def test_two_restorations_do_not_meet(here: Here, archive: Path, other: Station) -> None:
    other.config.parent.mkdir(parents=True)
    fd = os.open(other.config.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        ended = here("restore", str(archive), "--config", str(other.config))
    finally:
        os.close(fd)
    assert (ended.code, "Another command writes" in ended.err) == (1, True), ended


@pytest.mark.parametrize("headers", [{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}, {"size": "-5"}, {"size": "x"}])
def test_an_entry_with_holes_or_impossible_numbers_spoils_the_whole(
    here: Here, archive: Path, other: Station, headers: dict[str, str]
) -> None:
    with tarfile.open(archive) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if name == members[-1][0]:
                entry.pax_headers = {**headers, "GNU.sparse.realsize": "99999999"}
            tar.addfile(entry, io.BytesIO(content))
    ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, "Nothing was changed" in ended.err) == (1, True), ended
    assert other.files() == {}


def test_a_link_among_what_is_known_of_stores_is_not_followed(here: Here, station: Station, tmp_path: Path) -> None:
    folder = station.state / "stores"
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("SECRET")
    (folder / "link").symlink_to(tmp_path / "private" / "key")
    file = tmp_path / "x.tar"
    assert here("backup", str(file), "--config", str(station.config)).code == 0
    assert b"SECRET" not in file.read_bytes()
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "private")
    ended = here("backup", str(tmp_path / "y.tar"), "--config", str(station.config))
    assert (ended.code, "is a link, or lies behind one" in ended.err) == (1, True), ended
    assert not (tmp_path / "y.tar").exists()


def test_two_backups_at_once_do_not_take_each_others_copy(here: Here, station: Station, tmp_path: Path) -> None:
    fd = os.open(station.state, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        ended = here("backup", str(tmp_path / "x.tar"), "--config", str(station.config))
    finally:
        os.close(fd)
    assert (ended.code, "Another backup is being written" in ended.err) == (1, True), ended


@pytest.fixture
def open_to_others() -> Iterator[Station]:
    """A station below folders that every user may pass."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    yield Station(root / "b")
    shutil.rmtree(root)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@as_root
def test_as_root_the_state_becomes_that_of_the_service(here: Here, archive: Path, open_to_others: Station) -> None:
    made = open_to_others
    ended = here("restore", str(archive), "--config", str(made.config), "--service-user", "nobody")
    assert ended.code == 0, ended
    uid = pwd.getpwnam("nobody").pw_uid
    assert {path.stat().st_uid for path in [made.state, *made.state.rglob("*")]} == {uid}
    assert (made.config.parent / "central.credential").stat().st_uid == uid
    assert made.config.stat().st_uid == os.geteuid() == 0


@as_root
@pytest.mark.parametrize("name", ["ledger.lock", "stores"])
def test_as_root_no_link_of_the_service_leads_out_of_its_state(
    here: Here, archive: Path, open_to_others: Station, name: str
) -> None:
    made = open_to_others
    victim = made.root.parent / "victim"
    victim.mkdir()
    (victim / "file").touch(0o600)
    made.state.mkdir(parents=True)
    nobody = pwd.getpwnam("nobody")
    os.chown(made.state, nobody.pw_uid, nobody.pw_gid)
    (made.state / name).symlink_to(victim / "file" if name == "ledger.lock" else victim)
    ended = here("restore", str(archive), "--config", str(made.config), "--service-user", "nobody")
    assert ended.code == 1, ended
    assert [(path.name, path.stat().st_uid) for path in victim.iterdir()] == [("file", 0)]
    assert not made.config.exists()


@as_root
def test_as_root_the_state_directory_of_another_user_is_refused(
    here: Here, archive: Path, open_to_others: Station
) -> None:
    made = open_to_others
    made.state.mkdir(parents=True)
    ended = here("restore", str(archive), "--config", str(made.config), "--service-user", "nobody")
    assert (ended.code, "belongs to the user root." in ended.err) == (1, True), ended
    assert made.files() == {}
