"""Whole lives under kill -9 of agent, readers and depot, with an outside look after each kill.

`SOAK_ROUNDS` says how many rounds there are at least, `SOAK_SEED` where the choice of kills begins.
"""

import asyncio
import os
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.crash.life import Life
from tests.crash.tally import Tally

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "40"))
SEED = int(os.environ.get("SOAK_SEED", "20261123"))
SIDE_BY_SIDE = 2


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_whatever_is_killed_nothing_is_lost_and_it_carries_on(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally, numbers = Tally(ROUNDS), count()

    async def lives() -> None:
        while not tally.is_enough():
            number = next(numbers)
            life = Life(tmp_path / str(number), random.Random(SEED + number), tally)  # noqa: S311 - repeatable
            await life.begin()
            await life.live()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(SIDE_BY_SIDE):
                group.create_task(lives())
    finally:
        record_property("told", tally.report())
    assert not tally.missing()
