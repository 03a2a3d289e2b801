"""Turns as they are really taken: the ledger's question and the policy together, over whole queues."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.core.queue_policy import Waiting, choose_next
from agent.ledger import upload_orders, uploads
from agent.ledger.custody import to_us
from agent.ledger.database import Tx
from agent.ledger.uploads import Failure
from tests.ledger.stage import Stage

CAMERAS = [CameraId(f"CAM-{n}") for n in range(4)]
CALM, URGENT, HELD, ASIDE = "calm", "urgent", "held", "aside"
FATES = (CALM, CALM, CALM, URGENT, HELD, ASIDE)

loads = st.lists(st.lists(st.sampled_from(FATES), max_size=6), min_size=2, max_size=4)


def filled(stage: Stage, load: list[list[str]]) -> dict[Digest, str]:
    """Spool the cameras' clips, one camera after the other; what becomes of each object."""
    fates: dict[Digest, str] = {}
    for number, (camera, clips) in enumerate(zip(CAMERAS, load, strict=False)):
        names = [f"{number}-{n}" for n in range(len(clips))]
        stage.listing(stage.dock(camera, bay=str(number)), *names, camera=camera)
        for name, fate in zip(names, clips, strict=True):
            clip = stage.spooled(name, camera)
            assert clip.sha256 is not None
            fates[clip.sha256] = fate
            if fate == URGENT:
                stage.sql("UPDATE clips SET requested = 1 WHERE id = ?", clip.id)
            if fate == HELD:
                stage.do(lambda tx, c=clip: upload_orders.hold_back(tx, stage.recorder, c.id, "sgt: why"))  # type: ignore[misc]
            if fate == ASIDE:
                failure = Failure(to_us(stage.now) + 1_000_000, "refused", set_aside=True)
                stage.do(lambda tx, c=clip, f=failure: uploads.upload_failed(tx, c.sha256, "central", f))  # type: ignore[misc]
    return fates


def turns(stage: Stage, running: int) -> list[Waiting]:
    """Take all that may go, with so many under way at a time, as the uploader does."""
    under_way: list[Waiting] = []
    served: dict[CameraId, int] = {}
    order: list[Waiting] = []
    while True:
        places = 1 + max(Counter(w.camera for w in under_way).values(), default=0)
        found = stage.do(lambda tx, p=places: uploads.waiting(tx, "central", p))  # type: ignore[misc]
        chosen = choose_next([w for w in found if w not in under_way], served)
        if chosen is not None:
            served[chosen.camera] = len(order)
            order.append(chosen)
            under_way.append(chosen)
        if chosen is None and not under_way:
            return order
        if chosen is None or len(under_way) > running:
            ended = under_way.pop(0)
            stage.sql("DELETE FROM uploads WHERE sha256 = ?", ended.sha256)  # as its receipt would


def test_no_camera_waits_behind_more_than_one_clip_of_each_other_camera() -> None:
    """Within one urgency, and whatever else lies in the queue."""
    met: Counter[str] = Counter()

    @settings(deadline=None, max_examples=40)
    @given(loads, st.integers(1, 3))
    def holds(load: list[list[str]], running: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Path(folder) / "ledger.db")
            try:
                stage.gate()
                fates = filled(stage, load)
                order = turns(stage, running)
            finally:
                stage.close()
        assert {w.sha256 for w in order} == {d for d, fate in fates.items() if fate in (CALM, URGENT)}
        assert [w.urgent for w in order] == sorted((w.urgent for w in order), reverse=True)
        for urgent in (True, False):
            fair(met, [w for w in order if w.urgent is urgent])
        met.update(fates.values())
        met["urgent before calm"] += order != [] and order[0].urgent and not order[-1].urgent
        met["several under way"] += running > 1 and len(order) > running

    holds()
    assert {*FATES, "urgent before calm", "several under way", "another camera twice", "waited for all others"} <= {
        what for what, times in met.items() if times
    }


def fair(met: Counter[str], order: list[Waiting]) -> None:
    """Between two turns of a camera that still has clips, and before its first one, no other camera gets two."""
    sequences = {camera: [w.sequence for w in order if w.camera == camera] for camera in CAMERAS}
    assert all(numbers == sorted(numbers) for numbers in sequences.values())
    for camera in {w.camera for w in order}:
        others: Counter[CameraId] = Counter()
        last = max(n for n, w in enumerate(order) if w.camera == camera)
        for w in order[: last + 1]:
            if w.camera != camera:
                others[w.camera] += 1
                assert others[w.camera] == 1, (camera, order)
                continue
            met["waited for all others"] += len(others) == len({w.camera for w in order}) - 1 > 1
            others.clear()
    met["another camera twice"] += max(Counter(w.camera for w in order).values(), default=0) > 1


@pytest.mark.parametrize("ask", ["waiting", "wake"])
def test_the_choice_costs_the_same_however_many_wait(tmp_path: Path, ask: str) -> None:
    """Counted in steps of SQLite's machine, which no other program on the computer changes."""
    few, many = (steps(tmp_path / str(count), count, ask) for count in (400, 8_000))
    assert many <= few * 1.05


def steps(path: Path, count: int, ask: str) -> int:
    stage = Stage(path)
    stage.gate()
    event = stage.do(lambda tx: stage.recorder.record(tx, "agent.started", {}))

    def fill(tx: Tx) -> None:
        for number in range(count):
            digest = f"{number:064x}"
            tx.conn.execute("INSERT INTO objects VALUES (?, 1, 'present', NULL, 1, ?, NULL)", (digest, event))
            lane = {"waiting": (0, 0, 0), "wake": (to_us(stage.now) + 10**9, number % 2, 0)}[ask]
            tx.conn.execute(
                "INSERT INTO uploads (sha256, store, camera, urgent, number, next_us, asked_person, held)"
                " VALUES (?, 'central', ?, 0, ?, ?, ?, ?)",
                (digest, CAMERAS[number % 4], number, *lane),
            )

    stage.do(fill)
    taken = [0]

    def counted(tx: Tx) -> None:
        tx.conn.set_progress_handler(lambda: taken.__setitem__(0, taken[0] + 1), 1)
        try:
            if ask == "waiting":
                assert len(uploads.waiting(tx, "central", 3)) == 12
            else:
                uploads.wake(tx, to_us(stage.now))
        finally:
            tx.conn.set_progress_handler(None, 1)

    stage.do(counted)
    stage.close()
    return taken[0]
