"""Takes pictures of the page: python -m tests.browser.picture docs/page.png [--bays 8] [--dark] [--size 1280x800]."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.browser.launch import chromium
from tests.browser.shift import bays
from tests.fakes.desk import FakeDesk
from tests.web.serving import serving


async def take(target: Path, count: int, size: tuple[int, int], *, dark: bool) -> None:
    """Save one picture of a station at the end of a shift."""
    desk = FakeDesk(*bays(count))
    with tempfile.TemporaryDirectory() as directory:
        async with serving(desk, Path(directory)) as api, chromium() as browser:
            page = await browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
            )
            await page.goto(api.url)
            await page.locator(".tile").nth(count - 1).wait_for()
            await page.screenshot(path=target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--bays", type=int, default=8)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--size", default="1280x800")
    wanted = parser.parse_args()
    width, height = map(int, wanted.size.split("x"))
    asyncio.run(take(wanted.target, wanted.bays, (width, height), dark=wanted.dark))
