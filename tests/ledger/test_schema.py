"""The ledger refuses unsafe changes itself: the moves, and how a sighting begins and stays what it is."""

import pytest

from agent.core.clip import COPY_MOVES, MOVES, CameraId, ClipId, Copy, Custody
from agent.core.errors import IllegalMove
from agent.ledger.database import Tx
from tests.ledger.careless import refuses, refuses_move
from tests.ledger.stage import Stage, digest_of

STATES = {
    "listed": (Custody.LISTED, Copy.PRESENT),
    "spooled": (Custody.SPOOLED, Copy.PRESENT),
    "confirmed": (Custody.CONFIRMED, Copy.PRESENT),
    "looked": (Custody.CONFIRMED, Copy.PRESENT),
    "intended": (Custody.CONFIRMED, Copy.WIPE_INTENDED),
    "gone": (Custody.CONFIRMED, Copy.GONE),
    "quarantined": (Custody.QUARANTINED, Copy.MISSING),
    "held": (Custody.CONFIRMED, Copy.PRESENT),
    "missing": (Custody.SPOOLED, Copy.MISSING),
    "lost": (Custody.LOST, Copy.MISSING),
}


def test_the_peopled_ledger_holds_every_state(peopled: Stage) -> None:
    found = {name: (peopled.clip(name).custody, peopled.clip(name).copy) for name in STATES}
    assert found == STATES
    assert {custody for custody, _ in found.values()} == set(Custody)
    assert {copy for _, copy in found.values()} == set(Copy)


def test_the_ledger_knows_exactly_the_moves_of_the_core(stage: Stage) -> None:
    assert {(Custody(a), Custody(b)) for a, b in stage.sql("SELECT * FROM custody_moves")} == MOVES
    assert {(Copy(a), Copy(b)) for a, b in stage.sql("SELECT * FROM copy_moves")} == COPY_MOVES


@pytest.mark.parametrize("table", ["custody_moves", "copy_moves"])
@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO {} VALUES ('gone', 'present')",
        "INSERT OR REPLACE INTO {} VALUES ('listed', 'spooled')",
        "UPDATE {} SET becomes = 'confirmed'",
        "DELETE FROM {}",
    ],
)
def test_the_moves_themselves_cannot_be_changed(stage: Stage, table: str, change: str) -> None:
    refuses(stage, "moves are fixed", change.format(table))


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("becomes", Custody)
def test_no_illegal_custody_move_gets_through_even_with_its_event(peopled: Stage, name: str, becomes: Custody) -> None:
    was = STATES[name][0]
    if becomes is not was and (was, becomes) not in MOVES:
        refuses_move(peopled, name, r"illegal custody move|CHECK|without|unsafe", f"custody = '{becomes}'")


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("becomes", Copy)
def test_no_illegal_move_of_the_camera_copy_gets_through(peopled: Stage, name: str, becomes: Copy) -> None:
    was = STATES[name][1]
    if becomes is not was and (was, becomes) not in COPY_MOVES:
        refuses_move(peopled, name, r"illegal move of the camera copy|CHECK|unsafe wipe", f"copy = '{becomes}'")


@pytest.mark.parametrize("assignment", ["custody = 'lost'", "copy = 'missing'"])
def test_a_move_without_any_event_is_refused(peopled: Stage, assignment: str) -> None:
    refuses(peopled, "own custody event", f"UPDATE clips SET {assignment} WHERE id = ?", peopled.clip("listed").id)  # noqa: S608


def test_a_move_with_the_event_of_another_clip_is_refused(peopled: Stage) -> None:
    clip, other = peopled.clip("listed"), peopled.clip("spooled")
    before = peopled.everything()

    def work(tx: Tx) -> None:
        seq = peopled.recorder.record(tx, "clip.forced", {}, clip=other.id)
        tx.conn.execute("UPDATE clips SET custody = 'lost', last_event = ? WHERE id = ?", (seq, clip.id))

    with pytest.raises(IllegalMove, match="own custody event"):
        peopled.do(work)
    assert peopled.everything() == before


def test_a_move_with_an_event_that_is_not_the_newest_is_refused(peopled: Stage) -> None:
    clip = peopled.clip("listed")

    def work(tx: Tx) -> None:
        seq = peopled.recorder.record(tx, "clip.forced", {}, clip=clip.id)
        peopled.recorder.record(tx, "clip.forced", {}, clip=clip.id)
        tx.conn.execute("UPDATE clips SET custody = 'lost', last_event = ? WHERE id = ?", (seq, clip.id))

    with pytest.raises(IllegalMove, match="own custody event"):
        peopled.do(work)


def test_one_event_does_not_pay_for_two_moves(peopled: Stage) -> None:
    clip = peopled.clip("listed")

    def work(tx: Tx) -> None:
        seq = peopled.recorder.record(tx, "clip.forced", {}, clip=clip.id)
        tx.conn.execute("UPDATE clips SET custody = 'lost', last_event = ? WHERE id = ?", (seq, clip.id))
        tx.conn.execute("UPDATE clips SET custody = 'listed', last_event = ? WHERE id = ?", (seq, clip.id))

    with pytest.raises(IllegalMove, match="own custody event"):
        peopled.do(work)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "c" + "f" * 20),
        ("number", 9999),
        ("camera", "CAM-2"),
        ("path", b"DCIM/other.MP4"),
        ("size_bytes", 0),
        ("mtime_ns", 0),
        ("role", "sidecar"),
    ],
)
def test_a_sighting_never_changes_what_it_saw(peopled: Stage, column: str, value: object) -> None:
    peopled.dock(CameraId("CAM-2"))
    clip = peopled.clip("listed")
    text = f"UPDATE clips SET {column} = ? WHERE id = ?"  # noqa: S608
    refuses(peopled, "never changes what it saw|session of another camera", text, value, clip.id)


@pytest.mark.parametrize("value", [None, digest_of("confirmed")])
def test_a_clip_keeps_the_digest_of_its_bytes(peopled: Stage, value: str | None) -> None:
    clip = peopled.clip("spooled")
    refuses(peopled, "keeps the digest", "UPDATE clips SET sha256 = ? WHERE id = ?", value, clip.id)


INSERT = (
    "INSERT INTO clips (id, number, camera, session, listing, path, size_bytes, mtime_ns, role, event, custody, copy,"
    " sha256, looked_in, read_in, last_event) VALUES (?, ?, 'CAM-1', ?, ?, ?, 9, 9, 'clip', 0, ?, ?, ?, ?, ?, ?)"
)
NEW_ID = "c" + "e" * 20


def insert(stage: Stage, **changes: object) -> None:
    """A new clip by hand, with its own event and right in everything but `changes`."""

    def work(tx: Tx) -> None:
        seq = stage.recorder.record(tx, "clip.forced", {}, clip=stage_id)
        row = {
            "id": NEW_ID,
            "number": 9999,
            "session": session,
            "listing": 1,
            "path": b"new",
            "custody": "listed",
            "copy": "present",
            "sha256": None,
            "looked_in": None,
            "read_in": None,
            "last_event": seq,
        }
        tx.conn.execute(INSERT, tuple((row | changes).values()))

    stage_id, session = ClipId(NEW_ID), stage.clip("listed").session
    stage.do(work)


def test_a_clip_that_is_right_in_everything_can_be_inserted(peopled: Stage) -> None:
    insert(peopled)
    assert peopled.one("SELECT custody FROM clips WHERE id = ?", NEW_ID) == "listed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"custody": "spooled", "sha256": digest_of("spooled")}, "starts as listed"),
        ({"custody": "confirmed", "sha256": digest_of("spooled")}, "starts as listed"),
        ({"custody": "quarantined"}, "starts as listed"),
        ({"copy": "missing"}, "starts as listed"),
        ({"copy": "gone", "custody": "confirmed"}, "starts as listed"),
        ({"sha256": digest_of("spooled")}, "starts as listed"),
        ({"looked_in": 1}, "starts as listed"),
        ({"read_in": 1}, "starts as listed"),
        ({"last_event": 1}, "own custody event"),
        ({"last_event": 999_999}, "own custody event"),
        ({"id": "c" + "d" * 20}, "own custody event"),
        ({"id": "x" + "e" * 20}, "CHECK|own custody event"),
        ({"path": b""}, "CHECK"),
        ({"path": b"x" * 4097}, "CHECK"),
        ({"path": "text"}, "BLOB"),
        ({"custody": "deleted"}, "starts as listed"),
        ({"session": 999}, "FOREIGN KEY"),
        ({"number": 1}, "UNIQUE"),
        ({"listing": 999_999}, "FOREIGN KEY"),
    ],
)
def test_a_clip_starts_as_listed_and_present_with_its_own_event(
    peopled: Stage, changes: dict[str, object], message: str
) -> None:
    before = peopled.everything()
    with pytest.raises(IllegalMove, match=message):
        insert(peopled, **changes)
    assert peopled.everything() == before


def test_a_second_live_sighting_of_one_file_is_refused(peopled: Stage) -> None:
    clip = peopled.clip("listed")

    def work(tx: Tx) -> None:
        ident = ClipId(NEW_ID)
        seq = peopled.recorder.record(tx, "clip.forced", {}, clip=ident)
        tx.conn.execute(
            "INSERT INTO clips (id, number, camera, session, listing, path, size_bytes, mtime_ns, role, event,"
            " custody, copy, last_event) SELECT ?, 9999, camera, session, listing, path, size_bytes, mtime_ns, role,"
            " event, custody, copy, ?"
            " FROM clips WHERE id = ?",
            (NEW_ID, seq, clip.id),
        )

    with pytest.raises(IllegalMove, match="UNIQUE"):
        peopled.do(work)


def test_a_missing_copy_is_not_seen_again_beside_the_sighting_that_took_its_place(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    old = stage.spooled("a")
    stage.listing(stage.dock())
    newer = stage.dock()
    missing = stage.again(old.id)
    assert missing.copy is Copy.MISSING
    stage.listing(newer, "a")
    assert stage.one("SELECT count(*) FROM clips") == 1
