"""A careless programmer: raw SQL on the ledger's connection, past every check in Python."""

import pytest

from agent.core.clip import Clip
from agent.core.errors import IllegalMove
from agent.ledger.database import Tx
from tests.ledger.stage import PLACE, Stage, digest_of


def raw_move(stage: Stage, clip: Clip, assignments: str, event_for: str | None = None) -> None:
    """An UPDATE of one clip with an honest custody event for it, but without any of the checks in Python."""

    def work(tx: Tx) -> None:
        owner = stage.clip(event_for) if event_for else clip
        seq = stage.recorder.record(tx, "clip.forced", {}, clip=owner.id, camera=clip.camera)
        tx.conn.execute(
            f"UPDATE clips SET {assignments}, last_event = ? WHERE id = ?",  # noqa: S608
            (seq, clip.id),
        )

    stage.do(work)


def raw_receipt(stage: Stage, name: str, told: str = "object.proved", of: str = "", **changes: object) -> None:
    """A receipt by hand, right in everything but `changes`, with an event called `told` for the object `of`."""

    def work(tx: Tx) -> None:
        seq = stage.recorder.record(tx, told, {"sha256": digest_of(of or name), "store": "central"})
        row = {
            "sha256": digest_of(name),
            "store": "central",
            "place": PLACE,
            "kind": 3,
            "size_bytes": len(name),
            "handle": "h",
            "issued_us": 0,
            "checked_us": 0,
            "proof": "p",
            "event": seq,
        }
        tx.conn.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple((row | changes).values()))

    stage.do(work)


def refuses_receipt(stage: Stage, message: str, name: str, **changes: object) -> None:
    before = stage.everything()
    with pytest.raises(IllegalMove, match=message):
        raw_receipt(stage, name, **changes)  # type: ignore[arg-type]
    assert stage.everything() == before


def refuses(stage: Stage, message: str, text: str, *values: object) -> None:
    before = stage.everything()
    with pytest.raises(IllegalMove, match=message):
        stage.sql(text, *values)
    assert stage.everything() == before


def refuses_move(stage: Stage, name: str, message: str, assignments: str) -> None:
    clip, before = stage.clip(name), stage.everything()
    with pytest.raises(IllegalMove, match=message):
        raw_move(stage, clip, assignments)
    assert stage.everything() == before
