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
    refused = 0
    for seed in range(round_number * WALKS, (round_number + 1) * WALKS):
        walker = stage.database._thread.submit(walked, stage, seed, reached).result()
        refused += walker.refused
    assert everything_reachable() - set(reached) == set()
    assert refused > WALKS
    report = stage.do(custody.verify)
    assert report.fault is None
    assert report.events == stage.one("SELECT count(*) FROM events")
