"""Kills, and what the next start makes of them."""

import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from agent.core.object import Digest
from agent.depot.catalogue import Catalogue
from agent.depot.depot import Depot
from agent.depot.listing import list_uploads, verify
from agent.depot.objects import Objects
from agent.depot.refusal import DepotError
from agent.depot.upload import Upload, UploadId
from tests.depot.conftest import NOW
from tests.depot.process import depot_process, start, wait_until_on_disk
from tests.depot.station import Station, digest_of, pattern

ID = UploadId("0123456789abcdef" * 2)
DATA = b"evidence"
DIGEST = Digest(digest_of(DATA))


@contextmanager
def opened(place: Path) -> Iterator[Depot]:
    depot = Depot(place, clock=lambda: NOW)
    try:
        yield depot
    finally:
        depot.close()


@pytest.fixture
def left(place: Path) -> Path:
    """A depot's directory as a kill leaves it, with one upload recorded and nothing else."""
    with opened(place) as depot:
        depot.catalogue.add(Upload(ID, "hub7", len(DATA), {"clip": "YzE="}, 1))
    return place


def leave(place: Path, *, part: bytes | None = None, intended: bool = False, moved: bytes | None = None) -> None:
    if part is not None:
        (place / "incoming" / f"{ID}.part").write_bytes(part)
    if moved is not None:
        (place / "objects" / DIGEST).write_bytes(moved)
    if intended:
        with closing(Catalogue(place)) as catalogue:
            catalogue.intend(ID, DIGEST)


def is_whole(place: Path) -> bool:
    (row,) = list_uploads(place)
    file = place / "objects" / DIGEST
    tidy = not list((place / "incoming").iterdir())
    return row["sha256"] == DIGEST and row["finished"] is not None and file.read_bytes() == DATA and tidy


@pytest.mark.parametrize("intended", [False, True])
def test_a_whole_part_that_was_not_moved_is_finished_at_the_start(left: Path, *, intended: bool) -> None:
    leave(left, part=DATA, intended=intended)
    with opened(left) as depot:
        assert depot.problems == ()
    assert is_whole(left)


def test_an_object_that_was_moved_but_not_recorded_is_recorded_at_the_start(left: Path) -> None:
    leave(left, moved=DATA, intended=True)
    with opened(left) as depot:
        assert depot.problems == ()
    assert is_whole(left)


def test_a_part_whose_object_is_there_already_is_one_object_with_it(left: Path) -> None:
    leave(left, part=DATA, moved=DATA, intended=True)
    with opened(left) as depot:
        assert depot.problems == ()
    assert is_whole(left)


def test_a_frozen_part_is_finished_too(left: Path) -> None:
    leave(left, part=DATA)
    (left / "incoming" / f"{ID}.part").chmod(0o400)
    with opened(left):
        pass
    assert is_whole(left)


def test_a_recovery_may_be_repeated(left: Path) -> None:
    leave(left, part=DATA, intended=True)
    for _ in range(2):
        with opened(left) as depot:
            assert depot.problems == ()
    assert is_whole(left)


def test_an_intent_is_not_believed_without_its_bytes(left: Path) -> None:
    leave(left, moved=b"otherwis", intended=True)
    with opened(left) as depot:
        assert depot.problems == (f"objects/{DIGEST} belongs to no upload; it was kept",)
    assert list_uploads(left) == []


class Killed(BaseException):
    """Stands for the end of the process: nothing in the depot may catch it."""


@pytest.mark.parametrize("moved", [False, True])
def test_a_kill_around_the_move_loses_nothing_and_leaves_no_unknown_object(
    left: Path, monkeypatch: pytest.MonkeyPatch, *, moved: bool
) -> None:
    leave(left)
    admit = Objects.admit

    def killed(objects: Objects, part: Path, digest: Digest) -> None:
        if moved:
            admit(objects, part, digest)
        raise Killed

    with opened(left) as depot:
        depot.catalogue.add(Upload(ID, "hub7", len(DATA), {}, 1))
        leave(left, part=DATA)
        found = depot.catalogue.find("hub7", ID)
        assert found is not None
        monkeypatch.setattr(Objects, "admit", killed)
        with pytest.raises(Killed):
            depot.acceptance.resume(found)
        monkeypatch.setattr(Objects, "admit", admit)
    with opened(left) as depot:
        assert depot.problems == ()
    assert is_whole(left)


def test_a_half_part_stays_as_it_is(left: Path) -> None:
    leave(left, part=DATA[:3])
    with opened(left) as depot:
        assert depot.problems == ()
    assert (left / "incoming" / f"{ID}.part").read_bytes() == DATA[:3]
    assert list_uploads(left)[0]["finished"] is None


def test_a_terminated_upload_whose_row_was_left_is_forgotten(left: Path) -> None:
    with opened(left) as depot:
        assert depot.problems == ()
    assert list_uploads(left) == []


def test_an_empty_part_without_an_upload_is_removed_and_a_filled_one_kept(place: Path) -> None:
    with opened(place):
        pass
    (place / "incoming" / "a.part").touch()
    (place / "incoming" / "b.part").write_bytes(b"bytes")
    with opened(place) as depot:
        assert depot.problems == ("incoming/b.part belongs to no upload; it was kept",)
    assert [path.name for path in (place / "incoming").iterdir()] == ["b.part"]


def test_a_finished_upload_without_its_object_is_reported(left: Path) -> None:
    leave(left, part=DATA)
    with opened(left):
        pass
    (left / "objects" / DIGEST).unlink()
    with opened(left) as depot:
        assert len(depot.problems) == 1
    assert f"upload {ID} of station hub7 is recorded as finished" in depot.problems[0]


def test_a_second_depot_in_the_same_directory_is_refused(place: Path) -> None:
    with opened(place), pytest.raises(DepotError, match="another depot already runs"):
        Depot(place, clock=lambda: NOW)
    with opened(place):
        pass


def test_a_kill_in_the_middle_of_an_upload_costs_at_most_the_block_on_its_way(place: Path) -> None:
    data = pattern(6_000_000)
    with depot_process(place) as depot, Station.enrolled(depot.url, place, "hub7") as station:
        token, path = station.token, station.create(len(data), sha256=digest_of(data))
        with station.begin_patch(path, len(data), data[:4_194_304]):
            wait_until_on_disk(place, 3_145_728)
            depot.kill()
    with depot_process(place) as depot, Station.with_token(depot.url, token) as station:
        offset = station.offset(path)
        assert 3_145_728 <= offset <= 4_194_304
        assert station.patch(path, data[offset:], offset).status_code == 204
        assert depot.stop() == 0
    assert (place / "objects" / digest_of(data)).read_bytes() == data
    assert verify(place).problems == ()


@pytest.mark.parametrize("after", [0, 3, 7])
def test_what_was_answered_for_survives_a_kill_while_uploads_finish(place: Path, after: int) -> None:
    answered: list[str] = []
    enough = threading.Event()

    def work(station: Station) -> None:
        for number in range(1000):
            try:
                answered.append(digest_of(pattern(5_000, number)))
                station.upload(pattern(5_000, number))
            except (httpx.TransportError, AssertionError):
                answered.pop()
                return
            if len(answered) > after:
                enough.set()

    with depot_process(place) as depot, Station.enrolled(depot.url, place, "hub7") as station:
        token = station.token
        worker = threading.Thread(target=work, args=(station,))
        worker.start()
        assert enough.wait(30)
        depot.kill()
        worker.join(30)
    with depot_process(place) as depot, Station.with_token(depot.url, token) as station:
        assert depot.said["problems"] == []
        for digest in answered:
            answer = station.http.get(f"/receipts/by-digest/{digest}", params={"nonce": "0" * 32})
            assert answer.status_code == 200, digest
    found = verify(place)
    assert (found.problems, found.uploads >= len(answered) > after) == ((), True)


def test_the_listing_reads_past_a_journal_that_a_kill_left_behind(left: Path) -> None:
    script = (
        "import sqlite3, sys, os\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1')\n"
        "db.execute('BEGIN')\n"
        "db.execute('UPDATE uploads SET sha256 = ?', ('0' * 64,))\n"
        "db.execute('CREATE TABLE filler (text)')\n"
        "db.executemany('INSERT INTO filler VALUES (?)', [('x' * 3000,)] * 500)\n"
        "os._exit(9)\n"
    )
    command = [sys.executable, "-c", script, str(left / "catalogue.sqlite")]
    subprocess.run(command, check=False, timeout=30)  # noqa: S603 - the script above
    assert (left / "catalogue.sqlite-journal").stat().st_size > 0
    assert [row["id"] for row in list_uploads(left)] == [ID]
    with closing(sqlite3.connect(left / "catalogue.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'filler'").fetchone() == (0,)


def test_a_refused_start_says_why_and_what_to_do(place: Path) -> None:
    with opened(place):
        process = start("--dir", str(place))
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert "another depot already runs" in err
    assert "directory of its own" in err


def test_a_disk_that_fails_costs_the_upload_and_not_the_depot(place: Path) -> None:
    data = pattern(4_000_000)
    with depot_process(place) as depot, Station.enrolled(depot.url, place, "hub7") as station:
        path = station.create(len(data))
        before = resource.prlimit(depot.process.pid, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
        answer = station.patch(path, data)
        assert (answer.status_code, answer.json()["error"]) == (500, "storage_failed")
        assert station.head(path).status_code == 404
        assert list((place / "incoming").iterdir()) == []
        resource.prlimit(depot.process.pid, resource.RLIMIT_FSIZE, before)
        assert station.receipt(station.upload(data)).status_code == 200
