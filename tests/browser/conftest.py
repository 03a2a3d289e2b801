"""A browser for a whole module: starting one takes longer than most tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.launch import CHROMIUM, chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail("chromium is missing: run scripts/tools")
    async with chromium() as running:
        yield running
