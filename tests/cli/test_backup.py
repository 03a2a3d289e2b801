import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.cli.service import find_service
from agent.config import load_config
from agent.core.custody import verify_chain
from agent.ledger import doubts
from agent.ledger.database import Database
from tests.cli.command import Here, start
from tests.ledger.stage import Stage, digest_of

SECRET = "t0ken-of-hub7"


class Station:
    """A configured station in a folder of its own, and where it is restored to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "etc" / "agent.toml"
        self.state = root / "state"
        self.ledger = self.state / "ledger.sqlite"

    def configure(self) -> None:
        (self.config.parent / "conf.d").mkdir(parents=True)
        (self.config.parent / "conf.d" / "cameras.toml").write_text('[cameras]\nenrolled = ["CAM*"]\n')
        secret = self.config.parent / "central.credential"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        self.config.write_text(
            '[station]\nid = "hub7"\nstate_dir = "../state"\nallow_unsafe_spool = true\n'
            '[[stores]]\nname = "central"\nurl = "tus+https://evidence.example/files/"\nrequire = "readback"\n'
            'credential = "central.credential"\n'
            '[api]\nlisten = "127.0.0.1:0"\nsocket = "../s"\n'
        )

    def live(self) -> Stage:
        """Record something, and leave a probe's record."""
        stage = Stage(self.ledger)
        stage.gate()
        (self.state / "stores").mkdir()
        (self.state / "stores" / "central.json").write_text("{}")
        return stage

    def files(self) -> dict[str, str]:
        """Every file with the digest of its bytes."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {str(p.relative_to(self.root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "a")
    made.configure()
    stage = made.live()
    session = stage.dock()
    stage.listing(session, "one", "two")
    stage.close()
    return made


@pytest.fixture
def archive(here: Here, station: Station, tmp_path: Path) -> Path:
    file = tmp_path / "hub7.tar"
    ended = here("backup", str(file), "--config", str(station.config))
    assert (ended.code, ended.err) == (0, ""), ended
    return file


@pytest.fixture
def other(tmp_path: Path) -> Station:
    return Station(tmp_path / "b")


def rewritten(archive: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write the archive anew with other contents; None leaves a file out."""
    with tarfile.open(archive) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w") as tar:
        for name, content in members:
            new = change(name, content)
            if new is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(new)
                tar.addfile(entry, io.BytesIO(new))


def test_a_backup_is_one_file_for_its_owner_alone_whose_digests_any_tool_can_check(
    station: Station, archive: Path, tmp_path: Path
) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    command = ["tar", "-xf", str(archive), "-C", str(shelf)]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603 - names of our own
    manifest = json.loads((shelf / "manifest.json").read_text())
    for kept in manifest["files"]:
        assert hashlib.sha256((shelf / kept["name"]).read_bytes()).hexdigest() == kept["sha256"]
    assert {kept["name"] for kept in manifest["files"]} == {
        "ledger.sqlite",
        "custody.jsonl",
        "config/agent.toml",
        "config/conf.d/cameras.toml",
        "config/central.credential",
        "state/stores/central.json",
    }
    report = verify_chain((shelf / "custody.jsonl").read_text().splitlines())
    assert (report.events, report.head, report.fault) == (manifest["events"], manifest["head"], None)
    assert not (station.state / "ledger.snapshot").exists()


def test_what_lies_elsewhere_is_named_and_left_out(here: Here, station: Station, tmp_path: Path) -> None:
    elsewhere = tmp_path / "ca.pem"
    elsewhere.write_text("x")
    station.config.write_text(
        station.config.read_text().replace('credential = "', f'ca = "{elsewhere}"\ncredential = "')
    )
    ended = here("backup", str(tmp_path / "b.tar"), "--config", str(station.config))
    assert ended.code == 0
    assert f"dock-agent: Not in the backup, because it lies elsewhere than the configuration: {elsewhere}" in ended.err


def test_a_backup_never_writes_over_a_file(here: Here, station: Station, archive: Path) -> None:
    before = archive.read_bytes()
    ended = here("backup", str(archive), "--config", str(station.config))
    assert ended.code == 1
    assert archive.read_bytes() == before


def test_a_folder_that_is_missing_is_named_with_what_to_do(here: Here, station: Station, tmp_path: Path) -> None:
    ended = here("backup", str(tmp_path / "no where" / "hub7.tar"), "--config", str(station.config))
    assert (ended.code, ended.out) == (1, "")
    assert f"There is no folder {tmp_path / 'no where'}" in ended.err
    assert f"mkdir -p '{tmp_path / 'no where'}'" in ended.err


def test_a_restoration_says_where_the_state_lies_and_repeats_where_the_configuration_is(
    here: Here, archive: Path, other: Station
) -> None:
    ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, ended.err) == (0, "")
    assert f"Ledger and keys lie in {other.config.parent / '../state'}." in ended.out
    assert "ReadWritePaths" not in ended.out
    steps = ended.out.partition("Next:\n")[2].splitlines()
    assert len(steps) == 3
    assert all(f"--config {other.config}" in step for step in steps)


def test_a_state_directory_beside_the_configuration_is_pointed_out(
    here: Here, station: Station, other: Station, tmp_path: Path
) -> None:
    station.config.write_text(station.config.read_text().replace('"../state"', '"state"'))
    (station.config.parent / "state").mkdir()
    Station.live(Station(station.config.parent)).close()
    file = tmp_path / "beside.tar"
    assert here("backup", str(file), "--config", str(station.config)).code == 0
    ended = here("restore", str(file), "--config", str(other.config))
    assert (ended.code, ended.err) == (0, "")
    assert (
        f"Ledger and keys lie in {other.config.parent / 'state'}.\nnote: that is beside the configuration" in ended.out
    )


def test_a_damaged_ledger_makes_no_backup(here: Here, station: Station, tmp_path: Path) -> None:
    with closing(sqlite3.connect(station.ledger)) as ledger:
        ledger.execute("DROP INDEX clips_find")
    output = tmp_path / "backup.tar"
    ended = here("backup", str(output), "--config", str(station.config))
    assert (ended.code, "clips_find was removed" in ended.err) == (1, True), ended
    assert not output.exists()


def test_a_running_service_is_backed_up_without_being_stopped(here: Here, station: Station, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar"
    process = start("run", "--config", str(station.config))
    try:
        socket = load_config(station.config).api.socket
        deadline = time.monotonic() + 60
        while find_service(socket) is None:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        ended = here("backup", str(archive), "--config", str(station.config), "--json")
        while ended.code != 0:  # until the audit of this start has ended
            assert "still being checked" in ended.err
            assert time.monotonic() < deadline
            ended = here("backup", str(archive), "--config", str(station.config), "--json")
        told = json.loads(ended.out)
        events = here("custody", "export", "--config", str(station.config)).out
        assert '"event":"ledger.backed_up"' in events
        assert told["events"] <= len(events.splitlines())
    finally:
        process.terminate()
        process.communicate(timeout=60)
    with tarfile.open(archive) as tar:
        stream = tar.extractfile("custody.jsonl")
        assert stream is not None
        lines = stream.read().decode().splitlines()
    assert lines == events.splitlines()[: len(lines)]
    assert len(lines) == told["events"]


def test_a_restored_station_has_everything_and_is_in_doubt(
    here: Here, station: Station, archive: Path, other: Station
) -> None:
    ended = here("restore", str(archive), "--config", str(other.config))
    assert (ended.code, ended.err) == (0, ""), ended
    assert "custody accept" in ended.out
    config = {name for name in station.files() if name.startswith("etc/")}
    assert {n: d for n, d in other.files().items() if n.startswith("etc/")} == {n: station.files()[n] for n in config}
    assert (other.config.parent / "central.credential").stat().st_mode & 0o777 == 0o600
    assert other.ledger.stat().st_mode & 0o777 == 0o600
    assert here("custody", "verify", "--config", str(other.config)).code == 0
    stage = Stage(other.ledger)
    assert list(stage.do(doubts.doubts)) == [doubts.ROLLED_BACK]
    assert [stage.events()[-1], len(stage.sql("SELECT id FROM clips"))] == ["ledger.restored", 2]
    stage.close()
    assert sorted(path.name for path in other.root.iterdir()) == ["etc", "state"]
    assert not list(other.root.rglob(".*"))


def test_clips_whose_bytes_are_gone_are_listed(here: Here, station: Station, other: Station, tmp_path: Path) -> None:
    shutil.rmtree(station.state)
    stage = station.live()
    session = stage.dock()
    stage.listing(session, "here", "gone")
    for name in ("here", "gone"):
        stage.spooled(name)
    stage.close()
    archive = tmp_path / "c.tar"
    assert here("backup", str(archive), "--config", str(station.config)).code == 0
    folder = other.state / "spool" / "objects" / digest_of("here")[:2]
    folder.mkdir(parents=True)
    (folder / digest_of("here")).write_bytes(b"here")
    ended = here("restore", str(archive), "--config", str(other.config), "--json")
    assert ended.code == 0, ended
    (missing,) = json.loads(ended.out)["not_in_the_spool"]
    assert (missing["camera"], missing["name"], missing["state"]) == ("CAM-1", "DCIM/gone.MP4", "spooled")


def test_a_station_with_a_history_is_left_as_it_is(here: Here, station: Station, archive: Path) -> None:
    stage = Stage(station.ledger)
    stage.dock()
    stage.close()
    before = station.files()
    ended = here("restore", str(archive), "--config", str(station.config))
    assert ended.code == 1
    assert "has a ledger of its own already" in ended.err
    assert station.files() == before


def test_a_ledger_without_an_event_gives_way(here: Here, archive: Path, other: Station) -> None:
    Stage(other.ledger).close()
    assert here("restore", str(archive), "--config", str(other.config)).code == 0
    stage = Stage(other.ledger)
    assert len(stage.sql("SELECT id FROM clips")) == 2
    stage.close()


def test_what_is_known_of_a_store_here_stays(here: Here, archive: Path, other: Station) -> None:
    newer = other.state / "stores" / "central.json"
    newer.parent.mkdir(parents=True)
    newer.write_text('{"newer": true}')
    assert here("restore", str(archive), "--config", str(other.config)).code == 0
    assert newer.read_text() == '{"newer": true}'


def test_another_configuration_is_not_written_over(here: Here, archive: Path, other: Station) -> None:
    other.config.parent.mkdir(parents=True)
    other.config.write_text("# mine\n")
    before = other.files()
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert f"{other.config} is there already" in ended.err
    assert other.files() == before


def test_not_while_another_process_has_the_ledger(here: Here, archive: Path, other: Station) -> None:
    database = Database.open(other.ledger)
    try:
        ended = here("restore", str(archive), "--config", str(other.config))
    finally:
        database.close()
    assert ended.code == 1
    assert "in use by another process" in ended.err
    assert not other.config.exists()


def test_a_disk_that_fills_up_leaves_nothing_behind(
    here: Here, archive: Path, other: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file of all cannot be written."""

    def note(*_: object) -> Path:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("agent.ledger.restored.note_restored", note)
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "No space left" in ended.err
    assert other.files() == {}
    assert not other.state.exists()


@pytest.mark.parametrize(
    "victim", ["ledger.sqlite", "custody.jsonl", "config/central.credential", "state/stores/central.json"]
)
def test_one_altered_byte_spoils_the_whole(here: Here, archive: Path, other: Station, victim: str) -> None:
    rewritten(archive, lambda name, raw: raw[:-1] + bytes([raw[-1] ^ 1]) if name == victim else raw)
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "digest does not fit" in ended.err
    assert other.files() == {}


def test_a_file_that_is_missing_or_too_much_spoils_the_whole(here: Here, archive: Path, other: Station) -> None:
    rewritten(archive, lambda name, raw: None if name == "config/central.credential" else raw)
    assert "ends before config/central.credential" in here("restore", str(archive), "--config", str(other.config)).err
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo("config/more.toml"))
    assert "has no config/more.toml" in here("restore", str(archive), "--config", str(other.config)).err
    assert other.files() == {}


def test_a_link_in_the_archive_is_refused(here: Here, archive: Path, other: Station) -> None:
    rewritten(archive, lambda name, raw: None if name == "config/central.credential" else raw)
    with tarfile.open(archive, "a") as tar:
        entry = tarfile.TarInfo("config/central.credential")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(entry)
    ended = here("restore", str(archive), "--config", str(other.config))
    assert "is not what its manifest says" in ended.err
    assert other.files() == {}


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000])
def test_what_is_no_archive_is_refused(here: Here, tmp_path: Path, other: Station, content: bytes) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(content)
    ended = here("restore", str(file), "--config", str(other.config))
    assert ended.code == 1
    assert other.files() == {}


def with_other_ledger(archive: Path, change: str) -> None:
    """Alter the ledger in the archive, and let the manifest say so."""
    kept: dict[str, bytes] = {}

    def alter(name: str, raw: bytes) -> bytes:
        if name == "ledger.sqlite":
            file = archive.with_suffix(".sqlite")
            file.write_bytes(raw)
            connection = sqlite3.connect(file)
            connection.executescript(change)
            connection.close()
            kept[name] = raw = file.read_bytes()
        return raw

    rewritten(archive, alter)

    def tell(name: str, raw: bytes) -> bytes:
        if name != "manifest.json":
            return raw
        manifest = json.loads(raw)
        for file in manifest["files"]:
            if file["name"] in kept:
                file["size"] = len(kept[file["name"]])
                file["sha256"] = hashlib.sha256(kept[file["name"]]).hexdigest()
        if "user_version" in change:
            manifest["schema"] = 9999
        return json.dumps(manifest).encode()

    rewritten(archive, tell)


def test_a_ledger_of_a_newer_agent_is_refused_with_what_to_do(here: Here, archive: Path, other: Station) -> None:
    with_other_ledger(archive, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 9999")
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "schema 9999" in ended.err
    assert "newer first" in ended.err
    assert other.files() == {}


def test_a_chain_that_does_not_hold_is_refused(here: Here, archive: Path, other: Station) -> None:
    with_other_ledger(
        archive,
        "PRAGMA journal_mode = DELETE; DROP TRIGGER events_same;"
        " UPDATE events SET line = replace(line, 'hub7', 'hub8') WHERE seq = 2",
    )
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "does not hold" in ended.err
    assert other.files() == {}


def test_a_row_that_the_custody_log_contradicts_is_refused(here: Here, archive: Path, other: Station) -> None:
    with_other_ledger(
        archive, "PRAGMA journal_mode = DELETE; UPDATE cameras SET last_seen_us = 0; DROP INDEX clips_find;"
    )
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "clips_find was removed" in ended.err
    assert other.files() == {}


def test_the_backup_of_another_station_is_refused(here: Here, archive: Path, other: Station) -> None:
    """The configuration that is here already is that of the backup but for the name."""

    def rename(name: str, raw: bytes) -> bytes:
        if name != "manifest.json":
            return raw
        return raw.replace(b'"station": "hub7"', b'"station": "hub8"')

    rewritten(archive, rename)
    ended = here("restore", str(archive), "--config", str(other.config))
    assert ended.code == 1
    assert "is of station hub8" in ended.err
    assert other.files() == {}


def test_a_service_of_an_older_agent_says_what_to_do(station: Station) -> None:
    """Downgrade: the ledger is refused untouched, in words."""
    raw = sqlite3.connect(station.ledger)
    raw.execute("PRAGMA user_version = 9999")
    raw.commit()
    raw.close()
    before = station.files()
    with start("run", "--config", str(station.config)) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 78, "systemd would start it for ever"
    assert "The ledger has schema 9999, this agent knows only" in err
    assert "Install the newer dock-agent again" in err
    assert {n: d for n, d in station.files().items() if n in before} == before
