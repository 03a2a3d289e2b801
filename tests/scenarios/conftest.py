from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.shift import Shift


@pytest.fixture
async def shift(tmp_path: Path) -> AsyncIterator[Shift]:
    made = Shift(tmp_path)
    await made.depot.start()
    made.write_config()
    yield made
    await made.depot.stop()
