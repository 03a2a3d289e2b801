"""Which uploads a store was told of, and how little that costs however many there are."""

import time
from collections.abc import Callable

from agent.core.clip import CameraId
from agent.core.object import ReceiptKind
from agent.ledger import announcements, objects, upload_orders
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from tests.ledger.stage import CENTRAL, PLACE, Stage, digest_of

SECOND = StorePolicy("second", ReceiptKind.CHECKSUM, counts=True, place="file:///srv/evidence")


def names(stage: Stage, store: str = "central", limit: int = 99) -> list[str]:
    """The files that a store has yet to be told of, in order."""
    found = stage.do(lambda tx: announcements.unannounced(tx, store, limit))
    return [each.path.decode().removeprefix("DCIM/").removesuffix(".MP4") for each in found]


def tell(stage: Stage, store: str = "central", limit: int = 99) -> None:
    def work(tx: Tx) -> None:
        announcements.announced(tx, store, announcements.unannounced(tx, store, limit))

    stage.do(work)


def spooled(stage: Stage, *names: str) -> None:
    stage.listing(stage.dock(), *names)
    for name in names:
        stage.spooled(name)


def request(stage: Stage, name: str) -> None:
    stage.sql("UPDATE clips SET requested = 1 WHERE id = ?", stage.clip(name).id)


def test_each_store_is_told_once_of_each_object_urgent_ones_first(stage: Stage) -> None:
    stage.gate(stores=(CENTRAL, SECOND))
    spooled(stage, "a", "b", "c")
    request(stage, "c")
    assert names(stage) == ["c", "a", "b"]
    tell(stage, limit=2)
    assert names(stage) == ["b"]
    assert names(stage, "second") == ["c", "a", "b"]
    assert stage.do(lambda tx: announcements.count_unannounced(tx, "second")) == 3
    tell(stage)
    assert names(stage) == []


def test_it_outlives_a_restart(stage: Stage) -> None:
    spooled(stage, "a", "b")
    tell(stage, limit=1)
    stage.close()
    again = Stage(stage.path)
    again.gate()
    assert names(again) == ["b"]
    again.close()


def test_what_became_urgent_is_told_again_also_while_it_was_being_told(stage: Stage) -> None:
    spooled(stage, "a")
    before = stage.do(lambda tx: announcements.unannounced(tx, "central", 9))
    request(stage, "a")
    stage.do(lambda tx: announcements.announced(tx, "central", before))
    assert names(stage) == ["a"]
    tell(stage)
    assert names(stage) == []


def test_what_is_held_back_or_has_arrived_is_not_told(stage: Stage) -> None:
    spooled(stage, "a", "b", "c")
    clip = stage.clip("a").id
    stage.do(lambda tx: upload_orders.hold_back(tx, stage.recorder, clip, "check first"))
    stage.proved("b")
    assert names(stage) == ["c"]
    stage.do(lambda tx: upload_orders.let_go(tx, stage.recorder, clip, "checked"))
    assert names(stage) == ["a", "c"]


def test_a_store_that_moved_is_told_anew(stage: Stage) -> None:
    spooled(stage, "a")
    tell(stage)
    stage.gate(stores=(StorePolicy("central", ReceiptKind.SIGNED, counts=True, place=PLACE + "new/"),))
    assert names(stage) == ["a"]


def test_the_label_is_that_of_the_oldest_sighting(stage: Stage) -> None:
    spooled(stage, "a")
    other = CameraId("CAM-2")
    stage.listing(stage.dock(other), "a", camera=other)
    stage.spooled("a", other)
    (told,) = stage.do(lambda tx: announcements.unannounced(tx, "central", 9))
    oldest = stage.do(lambda tx: objects.clips_of(tx, digest_of("a")))[0]
    assert (told.camera, told.path, told.size_bytes) == (oldest.camera, oldest.entry.path, oldest.entry.size_bytes)


def test_a_hundred_thousand_waiting_objects_cost_what_ten_do(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    spooled(stage, "a", "b")
    for (trigger,) in stage.sql("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'clips'"):
        stage.sql(f"DROP TRIGGER {trigger}")  # the long way here, one by one, takes minutes
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)"
    stage.sql(f"{numbers} INSERT INTO objects SELECT printf('%064x', n), 1, 'present', NULL, 0, 1, NULL FROM n")  # noqa: S608
    stage.sql(
        f"{numbers} INSERT INTO clips (id, number, camera, session, listing, path, size_bytes, mtime_ns, role, event,"  # noqa: S608
        " custody, copy, sha256, last_event) SELECT printf('c%020x', n), n + 100, camera, session, listing,"
        " CAST(n AS BLOB), 1, 1, role, 0, 'spooled', 'present', printf('%064x', n), last_event FROM n, clips c"
        " WHERE c.number = 1"
    )
    stage.sql(
        "INSERT INTO uploads (sha256, store, camera, urgent, number, announced)"
        " SELECT sha256, 'central', 'CAM-1', 0, number, 1 FROM clips WHERE number > 100"
    )
    began = time.process_time()
    for _ in range(20):
        assert names(stage) == ["a", "b"]
        assert stage.do(lambda tx: announcements.count_unannounced(tx, "central")) == 2
    told_s = (time.process_time() - began) / 20
    stage.sql("UPDATE uploads SET announced = 0")
    began = time.process_time()
    for _ in range(20):
        assert stage.do(lambda tx: announcements.count_unannounced(tx, "central")) == announcements.COUNTED
        stage.do(lambda tx: announcements.unannounced(tx, "central", 500))
    waiting_s = (time.process_time() - began) / 20
    record_property(
        "told", f"nothing to tell of 100,000: {told_s * 1e3:.2f} ms; the next 500: {waiting_s * 1e3:.2f} ms"
    )
    assert told_s < 0.005
    assert waiting_s < 0.05
