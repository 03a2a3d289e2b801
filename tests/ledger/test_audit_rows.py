"""The audit holds cameras and objects against the custody log, and passes what the log explains."""

import sqlite3
import threading
from datetime import timedelta

import pytest

from agent.core.clip import CameraId, Entry
from agent.core.custody import line_digest
from agent.ledger import audit as module
from agent.ledger import clips, fleet, objects
from agent.ledger.audit import audit
from agent.ledger.clips import Sighting
from tests.ledger.stage import CAMERA, Stage, digest_of
from tests.ledger.tamper import behind_its_back

OTHER = CameraId("CAM-2")


def found_in(stage: Stage) -> str | None:
    stage.close()
    return audit(stage.path, threading.Event()).fault


def changed(stage: Stage, *statements: str) -> str | None:
    stage.close()
    behind_its_back(stage.path, *statements)
    return audit(stage.path, threading.Event()).fault


@pytest.fixture
def seized(peopled: Stage) -> Stage:
    """CAM-1 was seized, released and seized again; CAM-2 was released and claimed twice; a clip's bytes are purged."""
    for reason in ("case 1", "case 2"):
        peopled.do(lambda tx, r=reason: fleet.seize(tx, peopled.recorder, CAMERA, "sergeant", r))  # type: ignore[misc]
        if reason == "case 1":
            peopled.do(lambda tx: fleet.release(tx, peopled.recorder, CAMERA, "sergeant", "closed"))
    peopled.do(lambda tx: fleet.seize(tx, peopled.recorder, OTHER, "sergeant", "case 3"))
    peopled.do(lambda tx: fleet.release(tx, peopled.recorder, OTHER, "sergeant", "closed"))
    for actor in ("config", "clerk"):
        peopled.do(lambda tx, a=actor: fleet.claim(tx, peopled.recorder, OTHER, a))  # type: ignore[misc]
    peopled.do(lambda tx: objects.purged(tx, peopled.recorder, digest_of("confirmed")))
    return peopled


def test_decisions_and_purges_that_the_log_tells_pass(seized: Stage) -> None:
    assert found_in(seized) is None


@pytest.mark.parametrize(
    ("change", "camera", "wrong"),
    [
        ("seized_by = NULL, seized_reason = NULL", CAMERA, "seizure"),
        ("seized_reason = 'case 1'", CAMERA, "seizure"),
        ("seized_by = 'somebody'", CAMERA, "seizure"),
        ("seized_by = 'sergeant', seized_reason = 'case 3'", OTHER, "seizure"),
        ("claimed_by = NULL", CAMERA, "claim"),
        ("claimed_by = 'config'", OTHER, "claim"),
    ],
)
def test_a_camera_that_says_other_than_its_events_is_named(seized: Stage, change: str, camera: str, wrong: str) -> None:
    found = changed(seized, f"UPDATE cameras SET {change} WHERE id = '{camera}'")  # noqa: S608 - our own text
    assert found == f"Camera {camera} was altered: its {wrong} is not what the custody log says."


def test_a_claim_that_nobody_made_is_named(stage: Stage) -> None:
    stage.dock(claimed_by=None)
    found = changed(stage, "UPDATE cameras SET claimed_by = 'invented'")
    assert found == "Camera CAM-1 was altered: its claim is not what the custody log says."


@pytest.mark.parametrize(
    ("change", "name", "wrong"),
    [
        ("spooled_event = 1", "looked", "newest copy"),
        ("spooled_event = spooled_event + 1", "looked", "newest copy"),
        ("size_bytes = size_bytes + 1", "looked", "size"),
        ("spool = 'absent'", "looked", "place"),
        ("spool = 'present'", "confirmed", "place"),
        ("confirmed_us = 0", "looked", "time of confirmation"),
        ("confirmed_us = confirmed_us - 61000000", "looked", "time of confirmation"),
        ("confirmed_us = NULL", "looked", "time of confirmation"),
        ("confirmed_us = 0", "spooled", "time of confirmation"),
    ],
)
def test_an_object_that_says_other_than_its_events_is_named(seized: Stage, change: str, name: str, wrong: str) -> None:
    sha256 = digest_of(name)
    found = changed(seized, f"UPDATE objects SET {change} WHERE sha256 = '{sha256}'")  # noqa: S608 - our own text
    assert found == f"Object {sha256} was altered: its {wrong} is not what the custody log says."


def test_a_copy_that_failed_is_not_in_the_spool(peopled: Stage) -> None:
    sha256 = digest_of("spooled")
    peopled.do(lambda tx: objects.spool_copy_failed(tx, peopled.recorder, sha256, "altered", "disk"))
    found = changed(peopled, f"UPDATE objects SET spool = 'present', fault = NULL WHERE sha256 = '{sha256}'")  # noqa: S608
    assert found == f"Object {sha256} was altered: its place is not what the custody log says."


def test_a_copy_that_failed_and_came_again_passes(peopled: Stage) -> None:
    for name in ("spooled", "looked"):
        sha256 = digest_of(name)
        peopled.do(lambda tx, d=sha256: objects.spool_copy_failed(tx, peopled.recorder, d, "altered", "disk"))  # type: ignore[misc]
    peopled.spooled("spooled")
    peopled.proved("spooled")
    assert found_in(peopled) is None


def test_a_receipt_for_what_no_clip_waits_for_passes(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.quarantined("a")
    stage.proved("a")
    assert stage.one("SELECT confirmed_us FROM objects") is not None
    assert found_in(stage) is None


def test_bytes_purged_and_brought_again_pass(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.proved("a")
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    stage.listing(stage.dock(OTHER), "a", camera=OTHER)
    stage.spooled("a", OTHER)
    assert found_in(stage) is None


def test_a_hold_that_began_again_because_the_clock_was_ahead_passes_and_is_held_to_its_own_event(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.now += timedelta(days=9)
    stage.proved("a")
    stage.now -= timedelta(days=8)
    stage.do(lambda tx: objects.restart_holds(tx, stage.recorder))
    assert found_in(stage) is None
    behind_its_back(stage.path, "UPDATE objects SET confirmed_us = confirmed_us - 61000000")
    assert audit(stage.path, threading.Event()).fault is not None


@pytest.mark.parametrize("sizes", [(1 << 62, 100), (1 << 53, 101), ((1 << 54) + 1, 3), ((1 << 63) - 1, (1 << 63) - 1)])
def test_a_camera_may_claim_any_size_and_the_ledger_stays_sound(stage: Stage, sizes: tuple[int, ...]) -> None:
    session = stage.dock()
    seen = [Sighting(Entry(f"DCIM/{n}".encode(), size, 1), "clip", event=False) for n, size in enumerate(sizes)]
    walk = stage.do(lambda tx: clips.start_listing(tx, stage.recorder, CAMERA, session))
    stage.do(lambda tx: clips.reconcile(tx, stage.recorder, walk, seen))
    first = stage.again(stage.one("SELECT id FROM clips ORDER BY number"))
    stage.do(lambda tx: clips.hold(tx, stage.recorder, first.id, "case"))
    stage.do(lambda tx: fleet.aboard(tx, CAMERA))
    stage.close()
    assert audit(stage.path, threading.Event()).fault is None
    behind_its_back(stage.path, "UPDATE tallies SET clips = clips + 1 WHERE clips > 0")
    assert audit(stage.path, threading.Event()).fault == "The tally of clips is wrong for camera CAM-1."


def test_numbers_that_somebody_made_huge_do_not_make_it_longer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.listing(stage.dock(), "a", "b", "c")
    stage.close()
    behind_its_back(stage.path, "UPDATE clips SET number = number + 9000000000000000000")
    monkeypatch.setattr(module, "PAGE", 1)
    rests: list[float] = []

    class Counting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0)
            return len(rests) > 200

    assert audit(stage.path, Counting()).fault is None


def test_text_that_is_none_is_an_altered_event(peopled: Stage) -> None:
    found = changed(peopled, "UPDATE events SET line = CAST(x'7bff' AS TEXT) WHERE seq = 5")
    assert found == "Custody event 5 was altered, or does not follow from the one before."


def test_a_newest_event_that_is_no_json_is_found_though_its_digest_fits(peopled: Stage) -> None:
    seq, line = peopled.sql("SELECT seq, line FROM events ORDER BY seq DESC LIMIT 1")[0]
    forged = line[:-1]
    found = changed(peopled, f"UPDATE events SET line = '{forged}', digest = '{line_digest(forged)}' WHERE seq = {seq}")  # noqa: S608
    assert found == f"Custody event {seq} was altered, or does not follow from the one before."


def test_an_event_before_the_first_is_found(peopled: Stage) -> None:
    found = changed(
        peopled, "INSERT INTO events SELECT -1, event, clip, camera, at_us, line || ' ', digest FROM events LIMIT 1"
    )
    assert found == "Custody event 1 is missing."


def test_statistics_that_a_person_had_made_are_no_damage(peopled: Stage) -> None:
    peopled.close()
    raw = sqlite3.connect(peopled.path)
    raw.execute("ANALYZE")
    raw.close()
    assert audit(peopled.path, threading.Event()).fault is None
