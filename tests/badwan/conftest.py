"""A far end that only notes what arrives."""

from collections.abc import AsyncIterator

import pytest

from tests.badwan.far_end import FarEnd


@pytest.fixture
async def far() -> AsyncIterator[FarEnd]:
    async with FarEnd() as end:
        yield end
