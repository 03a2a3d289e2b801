"""The ledger refuses unsafe changes itself: what is never deleted, rewritten or purged, and values without meaning."""

import pytest

from agent.core.clip import CameraId, Custody
from agent.core.errors import IllegalMove
from tests.ledger.careless import refuses, refuses_move
from tests.ledger.stage import CAMERA, Stage, digest_of


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("clips", "clips are never forgotten"),
        ("objects", "objects are never forgotten"),
        ("receipts", "receipts are never removed"),
        ("events", "custody events are never removed"),
        ("cameras", "cameras are never forgotten"),
        ("gate", "the gate cannot be removed"),
    ],
)
def test_what_counts_as_evidence_is_never_deleted(peopled: Stage, table: str, message: str) -> None:
    refuses(peopled, message, f"DELETE FROM {table}")  # noqa: S608


@pytest.mark.parametrize("table", ["clips", "objects", "receipts", "events", "cameras", "gate"])
def test_replacing_a_row_is_deleting_it(peopled: Stage, table: str) -> None:
    refuses(peopled, ".", f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")  # noqa: S608


def test_a_session_is_never_deleted(peopled: Stage) -> None:
    refuses(peopled, "never forgotten", "DELETE FROM sessions")


@pytest.mark.parametrize("change", ["ended_us = NULL", "ended_us = 1", "bay = '9'", "camera = 'CAM-2'"])
def test_a_session_ends_once_and_stays_where_it_was(peopled: Stage, change: str) -> None:
    peopled.dock(CameraId("CAM-2"))
    ended = "ended_us IS NOT NULL" if "ended" in change else "ended_us IS NULL"
    peopled.sql("UPDATE sessions SET ended_us = 5 WHERE id = (SELECT max(id) FROM sessions)")
    refuses(peopled, "ends once", f"UPDATE sessions SET {change} WHERE {ended}")  # noqa: S608


def test_a_clip_is_never_put_into_a_session_of_another_camera(peopled: Stage) -> None:
    peopled.dock(CameraId("CAM-2"))
    text = "UPDATE clips SET session = (SELECT max(id) FROM sessions WHERE camera = 'CAM-2') WHERE id = ?"
    refuses(peopled, "session of another camera", text, peopled.clip("listed").id)


@pytest.mark.parametrize("column", ["seq", "event", "clip", "camera", "at_us", "line", "digest"])
def test_a_custody_event_is_never_changed(peopled: Stage, column: str) -> None:
    refuses(peopled, "custody events are never changed", f"UPDATE events SET {column} = {column}")  # noqa: S608


FORGED = (
    "INSERT INTO events (seq, event, at_us, line, digest) SELECT {seq}, '{event}', 0, {line}, '{digest}' FROM events"
)

NEXT = "max(seq) + 1"
LAST_DIGEST = "(SELECT digest FROM events ORDER BY seq DESC LIMIT 1)"


@pytest.mark.parametrize(
    ("seq", "line", "digest"),
    [
        ("max(seq) + 2", f"json_object('seq', max(seq) + 2, 'event', 'x', 'prev', {LAST_DIGEST})", "a" * 64),
        ("1", "json_object('seq', 1, 'event', 'x', 'prev', '')", "a" * 64),
        (NEXT, f"json_object('seq', max(seq), 'event', 'x', 'prev', {LAST_DIGEST})", "a" * 64),
        (NEXT, f"json_object('seq', max(seq) + 1, 'event', 'y', 'prev', {LAST_DIGEST})", "a" * 64),
        (NEXT, "json_object('seq', max(seq) + 1, 'event', 'x', 'prev', printf('%064d', 0))", "a" * 64),
        (NEXT, "json_object('seq', max(seq) + 1, 'event', 'x')", "a" * 64),
        (NEXT, f"json_object('seq', max(seq) + 1, 'event', 'x', 'prev', {LAST_DIGEST})", "short"),
    ],
)
def test_a_custody_event_that_does_not_follow_is_refused(peopled: Stage, seq: str, line: str, digest: str) -> None:
    statement = FORGED.format(seq=seq, event="x", line=line, digest=digest)
    refuses(peopled, "must follow|CHECK", statement)


@pytest.mark.parametrize("field", ["seq", "prev", "event"])
def test_an_event_whose_fields_hide_what_binds_it_is_refused(peopled: Stage, field: str) -> None:
    before = peopled.everything()
    with pytest.raises(ValueError, match="may not be named"):
        peopled.do(lambda tx: peopled.recorder.record(tx, "clip.forced", {field: "forged"}))
    assert peopled.everything() == before


@pytest.mark.parametrize("name", ["listed", "spooled", "quarantined"])
def test_a_purge_of_what_is_not_confirmed_is_refused(stage: Stage, name: str) -> None:
    stage.listing(stage.dock(), name)
    stage.spooled(name)
    if name == "quarantined":
        stage.quarantined(name)
    if name == "listed":
        stage.quarantined(name)
        stage.listing(stage.dock(), name)
    assert stage.clip(name).custody == name
    refuses(stage, "unsafe purge", "UPDATE objects SET spool = 'absent'")


def test_a_purge_with_one_unconfirmed_sighting_is_refused(peopled: Stage) -> None:
    other = CameraId("CAM-2")
    peopled.listing(peopled.dock(other, bay="2"), "confirmed", camera=other)
    clip = peopled.clip("confirmed", other)
    peopled.spooled("confirmed", other)
    assert peopled.again(clip.id).custody is Custody.SPOOLED
    refuses(peopled, "unsafe purge", "UPDATE objects SET spool = 'absent' WHERE sha256 = ?", digest_of("confirmed"))


def test_a_purge_under_a_hold_is_refused(peopled: Stage) -> None:
    refuses(peopled, "unsafe purge", "UPDATE objects SET spool = 'absent' WHERE sha256 = ?", digest_of("held"))


def test_a_purge_of_bytes_that_no_clip_names_is_refused(peopled: Stage) -> None:
    peopled.sql("INSERT INTO objects VALUES (?, 7, 'present', NULL, 0, 1, NULL)", digest_of("nowhere"))
    refuses(peopled, "unsafe purge", "UPDATE objects SET spool = 'absent' WHERE sha256 = ?", digest_of("nowhere"))


def test_a_fault_is_no_way_round_while_a_clip_counts_on_the_spool(peopled: Stage) -> None:
    refuses(
        peopled,
        "unsafe purge",
        "UPDATE objects SET spool = 'absent', fault = 'gone' WHERE sha256 = ?",
        digest_of("spooled"),
    )


@pytest.mark.parametrize(
    "row",
    [
        "('{d}', 7, 'absent', NULL, 0, 1, NULL)",
        "('{d}', -1, 'present', NULL, 0, 1, NULL)",
        "('{d}', 7, 'half', NULL, 0, 1, NULL)",
        "('ABC', 7, 'present', NULL, 0, 1, NULL)",
        "('" + "G" * 64 + "', 7, 'present', NULL, 0, 1, NULL)",
    ],
)
def test_an_object_starts_in_the_spool_under_a_digest(stage: Stage, row: str) -> None:
    stage.dock()
    refuses(stage, "starts in the spool|CHECK", f"INSERT INTO objects VALUES {row.format(d='0' * 64)}")  # noqa: S608


@pytest.mark.parametrize("event", ["NULL", "999999"])
def test_an_object_names_the_event_that_its_receipts_must_follow(peopled: Stage, event: str) -> None:
    text = f"INSERT INTO objects VALUES (?, 7, 'present', NULL, 0, {event}, NULL)"  # noqa: S608
    refuses(peopled, "NOT NULL|FOREIGN KEY", text, digest_of("nowhere"))


@pytest.mark.parametrize("change", ["size_bytes = 1", f"sha256 = '{'0' * 64}'"])
def test_an_object_is_its_bytes(peopled: Stage, change: str) -> None:
    refuses(peopled, "an object is its bytes", f"UPDATE objects SET {change} WHERE sha256 = ?", digest_of("spooled"))  # noqa: S608


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE gate SET copies = 0",
        "UPDATE gate SET wiping = 2",
        "INSERT INTO gate VALUES (2, 1, 1)",
        "UPDATE stores SET require = 0",
        "UPDATE stores SET require = 4",
        "UPDATE stores SET counts = 7",
        "INSERT INTO cameras (id, profile, first_seen_us, last_seen_us) VALUES ('', 'p', 0, 0)",
        "UPDATE clips SET event = 2",
        "UPDATE clips SET requested = 2",
    ],
)
def test_values_that_mean_nothing_are_refused(peopled: Stage, change: str) -> None:
    refuses(peopled, "CHECK", change)


@pytest.mark.parametrize("change", ["UPDATE gate SET copies = 'many'", "UPDATE stores SET require = 'signed'"])
def test_text_where_a_number_belongs_is_refused(stage: Stage, change: str) -> None:
    refuses(stage, "cannot store TEXT", change)


def test_a_quarantined_clip_says_why(peopled: Stage) -> None:
    refuses_move(peopled, "listed", "CHECK", "custody = 'quarantined', problem = NULL")
    refuses(peopled, "CHECK", "UPDATE clips SET problem = NULL WHERE id = ?", peopled.clip("quarantined").id)


def test_a_clip_of_a_camera_that_was_never_seen_is_refused(stage: Stage) -> None:
    with pytest.raises(IllegalMove, match="FOREIGN KEY"):
        stage.sql("INSERT INTO sessions (camera, bay, started_us) VALUES ('CAM-9', '1', 0)")
    assert CAMERA == "CAM-1"
