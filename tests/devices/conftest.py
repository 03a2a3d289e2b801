"""The agent's end of the helper, and the helper that it speaks to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.devices.helper import Helper
from tests.fakes.helper import FakeHelper


@dataclass
class Pair:
    fake: FakeHelper
    client: Helper


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    with FakeHelper(tmp_path) as fake:
        client = Helper(fake.path)
        yield Pair(fake, client)
        client.close()
