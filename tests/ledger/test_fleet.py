"""Cameras and sessions."""

import json

import pytest

from agent.core.clip import BayName, CameraId, Custody
from agent.core.errors import IllegalMove
from agent.ledger import clips, fleet
from agent.ledger.clips import Sighting
from agent.ledger.database import Tx
from agent.ledger.fleet import Aboard
from tests.ledger.stage import CAMERA, Stage, entry_of


def test_a_camera_is_unknown_until_it_was_seen(stage: Stage) -> None:
    assert stage.do(lambda tx: fleet.camera(tx, CAMERA)) is None
    stage.dock()
    row = stage.do(lambda tx: fleet.camera(tx, CAMERA))
    assert row is not None
    assert (row.id, row.profile, row.claimed_by, row.seized_by) == (CAMERA, "plain", "config", None)


def test_a_camera_without_a_voucher_stays_unclaimed_until_someone_claims_it(stage: Stage) -> None:
    stage.dock(claimed_by=None)
    row = stage.do(lambda tx: fleet.see_camera(tx, stage.recorder, CAMERA, "plain", "X1", None))
    assert row.claimed_by is None
    stage.do(lambda tx: fleet.claim(tx, stage.recorder, CAMERA, "sergeant"))
    again = stage.do(lambda tx: fleet.see_camera(tx, stage.recorder, CAMERA, "other", None, "config"))
    assert (again.claimed_by, again.profile) == ("sergeant", "other")
    assert stage.one("SELECT model FROM cameras") == "X1"
    assert stage.events().count("camera.claimed") == 1


def test_a_seizure_is_durable_and_ends_only_by_a_person(stage: Stage) -> None:
    stage.do(lambda tx: fleet.seize(tx, stage.recorder, CAMERA, "sergeant", "case 12"))
    stage.dock()
    row = stage.do(lambda tx: fleet.camera(tx, CAMERA))
    assert row is not None
    assert (row.seized_by, row.seized_reason, row.profile) == ("sergeant", "case 12", "plain")
    stage.do(lambda tx: fleet.release(tx, stage.recorder, CAMERA, "inspector", "closed"))
    row = stage.do(lambda tx: fleet.camera(tx, CAMERA))
    assert row is not None
    assert row.seized_by is None
    with pytest.raises(IllegalMove, match="is not seized"):
        stage.do(lambda tx: fleet.release(tx, stage.recorder, CAMERA, "inspector", "closed"))


def test_a_seizure_holds_for_every_camera_that_shows_the_serial_and_for_no_other(stage: Stage) -> None:
    def holds(camera: str) -> bool:
        return stage.do(lambda tx: fleet.seizure(tx, CameraId(camera))) is not None

    stage.do(lambda tx: fleet.seize(tx, stage.recorder, CameraId("X1~2"), "sergeant", "case 12"))
    assert holds("X1")
    assert holds("X1~2")
    assert not any(map(holds, ["X", "X11", "X1~", "X1~22", "X1~3", "X2", "W"]))
    stage.do(lambda tx: fleet.release(tx, stage.recorder, CameraId("X1~2"), "sergeant", "closed"))
    assert not holds("X1")
    stage.do(lambda tx: fleet.seize(tx, stage.recorder, CameraId("X1"), "sergeant", "case 12"))
    assert holds("X1")
    assert not holds("X11")


@pytest.mark.parametrize("act", ["claim", "release"])
def test_an_unknown_camera_is_named(stage: Stage, act: str) -> None:
    def work(tx: Tx) -> None:
        if act == "claim":
            fleet.claim(tx, stage.recorder, CameraId("CAM-9"), "x")
        else:
            fleet.release(tx, stage.recorder, CameraId("CAM-9"), "x", "y")

    with pytest.raises(IllegalMove, match="knows no camera 'CAM-9'"):
        stage.do(work)
    assert stage.events() == []


def test_only_a_camera_that_was_in_a_bay_was_docked_before(stage: Stage) -> None:
    """Being known is not enough: a seizure or a claim names cameras that never came."""
    assert not stage.do(lambda tx: fleet.docked_before(tx, CAMERA))
    stage.do(lambda tx: fleet.seize(tx, stage.recorder, CAMERA, "sergeant", "case 12"))
    assert not stage.do(lambda tx: fleet.docked_before(tx, CAMERA))
    session = stage.dock()
    assert stage.do(lambda tx: fleet.docked_before(tx, CAMERA))
    stage.do(lambda tx: fleet.end_session(tx, stage.recorder, session, "undocked"))
    assert stage.do(lambda tx: fleet.docked_before(tx, CAMERA))
    assert not stage.do(lambda tx: fleet.docked_before(tx, CameraId("CAM-2")))


def test_a_serial_that_no_column_holds_is_refused(stage: Stage) -> None:
    with pytest.raises(IllegalMove, match="CHECK"):
        stage.dock(CameraId("x" * 201))


def test_a_session_that_was_left_open_is_superseded_by_the_next(stage: Stage) -> None:
    first = stage.dock()
    second = stage.dock(bay="2")
    assert stage.sql("SELECT id, bay, outcome FROM sessions ORDER BY id") == [
        (first, "1", "superseded"),
        (second, "2", None),
    ]
    assert stage.events()[-2:] == ["camera.undocked", "camera.docked"]
    line = json.loads(stage.one("SELECT line FROM events ORDER BY seq DESC"))
    assert (line["bay"], line["session"]) == ("2", second)


def test_the_sessions_of_other_cameras_stay_open(stage: Stage) -> None:
    first = stage.dock()
    stage.dock(CameraId("CAM-2"), bay="2")
    assert stage.one("SELECT ended_us FROM sessions WHERE id = ?", first) is None


def test_ending_a_session_twice_changes_nothing(stage: Stage) -> None:
    session = stage.dock()
    stage.do(lambda tx: fleet.end_session(tx, stage.recorder, session, "undocked"))
    before = stage.everything()
    stage.do(lambda tx: fleet.end_session(tx, stage.recorder, session, "again"))
    stage.do(lambda tx: fleet.end_session(tx, stage.recorder, session.__class__(999), "unknown"))
    assert stage.everything() == before


def test_a_session_records_the_facts_of_its_docking(stage: Stage) -> None:
    def work(tx: Tx) -> None:
        fleet.see_camera(tx, stage.recorder, CAMERA, "plain", None, None)
        fleet.start_session(tx, stage.recorder, CAMERA, BayName("1"), {"battery_percent": 40})

    stage.do(work)
    assert json.loads(stage.one("SELECT line FROM events ORDER BY seq DESC"))["battery_percent"] == 40


def test_what_is_aboard_is_counted_by_custody(peopled: Stage) -> None:
    found = peopled.do(lambda tx: fleet.aboard(tx, CAMERA))
    here = ("listed", "spooled", "confirmed", "looked", "intended", "held")
    assert found == Aboard(
        listed=1,
        spooled=1,
        confirmed=4,
        quarantined=0,
        wipe_intended=1,
        bytes_listed=len("listed"),
        bytes_total=sum(map(len, here)),
    )
    assert peopled.do(lambda tx: fleet.aboard(tx, CameraId("CAM-9"))) == Aboard()


def test_clips_aboard_come_urgent_first_then_oldest(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a", "b", "c", "d", "e")
    stage.sql("UPDATE clips SET requested = 1 WHERE path = ?", stage.clip("d").entry.path)
    stage.sql("UPDATE clips SET event = 1 WHERE path = ?", stage.clip("c").entry.path)
    stage.spooled("b")
    found = stage.do(lambda tx: fleet.clips_aboard(tx, CAMERA, Custody.LISTED, 3))
    assert [clip.id for clip in found] == [stage.clip(name).id for name in ("c", "d", "a")]


def test_clips_that_this_session_has_only_seen_by_name_are_read_again(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b", "c")
    for name in ("a", "b"):
        stage.spooled(name)
    stage.proved("a")
    session = stage.dock()
    stage.listing(session, "a", "b", "c")

    def to_read() -> list[str]:
        return [c.id for c in stage.do(lambda tx: fleet.clips_to_read_again(tx, CAMERA, session, 10))]

    assert to_read() == [stage.clip("a").id, stage.clip("b").id]
    clip = stage.clip("a")
    stage.do(lambda tx: clips.read_again(tx, stage.recorder, clip))
    stage.spooled("c")
    assert to_read() == [stage.clip("b").id]


def test_a_session_tells_every_clip_that_it_saw(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b")
    session = stage.dock()
    stage.listing(session, "b", "c")
    found = stage.do(lambda tx: fleet.clips_in(tx, session))
    assert [clip.entry.path for clip in found] == [stage.clip("b").entry.path, stage.clip("c").entry.path]


def test_clips_to_wipe_are_confirmed_present_held_by_nobody_and_named_by_the_profile(peopled: Stage) -> None:
    def named(*roles: str) -> list[str]:
        return [clip.id for clip in peopled.do(lambda tx: fleet.clips_to_wipe(tx, CAMERA, roles, 10))]

    assert named("clip", "sidecar") == [peopled.clip("confirmed").id, peopled.clip("looked").id]
    assert named("sidecar") == []
    assert len(peopled.do(lambda tx: fleet.clips_to_wipe(tx, CAMERA, ["clip"], 1))) == 1


def test_clips_to_wipe_are_read_on_from_behind_one_role_by_role(stage: Stage) -> None:
    roles = {"a": "sidecar", "b": "clip", "c": "clip", "d": "sidecar"}
    session = stage.dock()
    stage.gate()

    def show(tx: Tx) -> None:
        listing = clips.start_listing(tx, stage.recorder, CAMERA, session)
        seen = [Sighting(entry_of(name), role, event=False) for name, role in roles.items()]
        clips.reconcile(tx, stage.recorder, listing, seen)

    stage.do(show)
    for name in roles:
        stage.spooled(name)
        stage.proved(name)
    found: list[str] = []
    last = None
    for _ in range(5):
        page = stage.do(lambda tx, after=last: fleet.clips_to_wipe(tx, CAMERA, ["clip", "sidecar"], 1, after))  # type: ignore[misc]
        found += [clip.id for clip in page]
        last = page[-1] if page else last
    assert found == [stage.clip(name).id for name in "bcad"]


def test_confirmed_clips_that_are_not_for_wiping_are_counted_with_their_reason(peopled: Stage) -> None:
    assert peopled.do(lambda tx: fleet.not_for_wiping(tx, CAMERA, ["clip"])) == {"on_hold": 1}
    assert peopled.do(lambda tx: fleet.not_for_wiping(tx, CAMERA, [])) == {"not_in_profile": 3}
