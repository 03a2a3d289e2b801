"""Three thousand random walks over a real ledger, each answer compared with an independent model."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger import custody
from tests.ledger.stage import Stage
from tests.properties.ledger_model import COPY_MOVES, CUSTODY_MOVES
from tests.properties.ledger_walker import digest_of
from tests.properties.random_walker import RandomWalker

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - no disk to wait for: these walks are about rules, not durability
ROUNDS = 6
WALKS = 500
STEPS = 16


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else tmp_path) as folder:
        made = Stage(Path(folder) / "ledger.db")
        yield made
        made.close()


def walked(stage: Stage, seed: int, reached: Counter[tuple[str, ...]]) -> RandomWalker:
    walker = RandomWalker(stage, seed)
    walker.go(STEPS)
    compare(stage, walker, reached)
    return walker


def asked(stage: Stage, text: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows, read on the thread that this runs on: the ledger's."""
    return stage.database.transact(lambda tx: list(tx.conn.execute(text, values)))


def compare(stage: Stage, walker: RandomWalker, reached: Counter[tuple[str, ...]]) -> None:
    """The rows, and the event lines alone, tell of each clip what the model tells."""
    for clip in walker.model.clips.values():
        row = asked(
            stage, "SELECT custody, copy, sha256, hold IS NOT NULL, session FROM clips WHERE id = ?", clip.ident
        )
        digest = None if clip.content is None else digest_of(clip.content)
        assert row == [(clip.custody, clip.copy, digest, clip.held, clip.session)], walker.log
        told: tuple[str, str] | None = None
        for (line,) in asked(stage, "SELECT line FROM events WHERE clip = ? ORDER BY seq", clip.ident):
            body = json.loads(line)
            if "custody" not in body:
                continue
            now = (body["custody"], body["copy"])
            if told is not None:
                note_moves(told, now, reached)
            told = now
            reached["custody", now[0]] += 1
            reached["copy", now[1]] += 1
        assert told == (clip.custody, clip.copy), walker.log
    for content, present in walker.model.spool.items():
        spool = asked(stage, "SELECT spool FROM objects WHERE sha256 = ?", digest_of(content))[0][0]
        assert (spool == "present") == present, walker.log
        reached["spool", spool] += 1


RECOUNTS = {
    "tallies": (
        "SELECT camera, role, custody, copy, held, clips, bytes FROM tallies WHERE clips > 0 ORDER BY 1, 2, 3, 4, 5",
        """
        SELECT camera, role, custody, copy, hold IS NOT NULL, count(*), total(size_bytes) FROM clips
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
        """,
    ),
    "spool": (
        "SELECT objects, bytes FROM spool_tally",
        "SELECT count(*), total(size_bytes) FROM objects WHERE spool = 'present'",
    ),
    "uploads": (
        "SELECT sha256, store, camera, urgent, number FROM uploads ORDER BY sha256, store",
        """
        SELECT w.sha256, s.name, (SELECT camera FROM clips WHERE number = w.number), w.urgent, w.number
        FROM stores s JOIN (
          SELECT o.*, max(c.event OR c.requested) AS urgent, min(c.number) AS number
          FROM objects o JOIN clips c ON c.sha256 = o.sha256 AND c.custody IN ('spooled', 'confirmed')
          WHERE o.spool = 'present' GROUP BY o.sha256) w
        WHERE NOT EXISTS (
          SELECT 1 FROM receipts r WHERE r.sha256 = w.sha256 AND r.store = s.name AND r.place = s.place
          AND r.kind >= s.require AND r.event > w.spooled_event)
        ORDER BY w.sha256, s.name
        """,
    ),
}


def recount(stage: Stage, log: list[str]) -> int:
    """What triggers keep is what the rows say; returns how many uploads are outstanding."""
    for kept, counted in RECOUNTS.values():
        assert asked(stage, kept) == asked(stage, counted), log
    return len(asked(stage, RECOUNTS["uploads"][0]))


def note_moves(was: tuple[str, str], now: tuple[str, str], reached: Counter[tuple[str, ...]]) -> None:
    if was[0] != now[0]:
        assert (was[0], now[0]) in CUSTODY_MOVES
        reached[("custody", was[0], now[0])] += 1
    if was[1] != now[1]:
        assert (was[1], now[1]) in COPY_MOVES
        reached[("copy", was[1], now[1])] += 1


def everything_reachable() -> set[tuple[str, ...]]:
    moves = {("custody", *move) for move in CUSTODY_MOVES} | {("copy", *move) for move in COPY_MOVES}
    states = {(machine, state) for machine, *states in moves for state in states}
    return moves | states | {("spool", "present"), ("spool", "absent")}


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_no_illegal_move_gets_through_and_every_legal_one_does(stage: Stage, round_number: int) -> None:
    reached: Counter[tuple[str, ...]] = Counter()
    refused = outstanding = 0
    for seed in range(round_number * WALKS, (round_number + 1) * WALKS):
        walker = stage.database._thread.submit(walked, stage, seed, reached).result()
        refused += walker.refused
        if seed % 25 == 0:
            outstanding += stage.database._thread.submit(recount, stage, walker.log).result()
    assert everything_reachable() - set(reached) == set()
    assert refused > WALKS
    assert outstanding > 0
    report = stage.do(custody.verify)
    assert report.fault is None
    assert report.events == stage.one("SELECT count(*) FROM events")
