"""The kiosk page in a real browser."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.shift import bays
from tests.fakes.desk import FakeDesk, bay_view, empty_bay, station_view
from tests.web.serving import Api, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLOURS = (Path(__file__).parent / "colours.js").read_text("utf-8")
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}\u202egnp.exe'


@asynccontextmanager
async def shown(
    browser: Browser,
    desk: FakeDesk,
    directory: Path,
    *,
    scheme: Literal["dark", "light"] = "light",
    size: tuple[int, int] = (1280, 800),
    script: bool = True,
    complaints: list[str] | None = None,
) -> AsyncIterator[tuple[Page, Api]]:
    """The page of `desk` in the browser; what the browser complains of fails the test, or goes to `complaints`."""
    heard: list[str] = []
    async with serving(desk, directory) as api, AsyncExitStack() as held:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=script
        )
        held.push_async_callback(context.close)
        page = await context.new_page()
        page.on("console", lambda said: heard.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        await page.goto(api.url)
        if script and desk.bay_views:
            await page.locator(".tile").nth(len(desk.bay_views) - 1).wait_for()
        yield page, api
        if complaints is None:
            assert heard == []
        else:
            complaints += heard


async def test_each_tile_says_its_bay_and_its_one_advice(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(*bays(8))
    async with shown(browser, desk, tmp_path) as (page, _):
        tiles = page.locator(".tile")
        for index, bay in enumerate(desk.bay_views):
            tile = tiles.nth(index)
            await expect(tile.locator(".name")).to_have_text(f"Bay {bay['bay']}")
            await expect(tile.locator(".advice")).to_have_text(str(bay["advice"] or "empty"))
        assert await tiles.count() == 8


async def test_a_tile_tells_amount_rate_time_counts_and_camera(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1", clips={"listed": 4, "spooled": 2, "confirmed": 6, "quarantined": 1}))
    async with shown(browser, desk, tmp_path) as (page, _):
        tile = page.locator(".tile")
        await expect(tile.locator(".amount")).to_have_text("1.2 of 3.4 GB · 42.0 MB/s · 3 min left")
        await expect(tile.locator(".counts")).to_have_text("13 aboard · 8 copied · 6 confirmed · 1 quarantined")
        await expect(tile.locator(".camera")).to_have_text("Camera X60A0001 · battery 64 %")
        await expect(tile.locator(".reason")).to_have_text("copying, 4 clips left")
        assert await tile.locator("progress").evaluate("bar => bar.value / bar.max") == pytest.approx(12 / 34)


async def test_a_change_is_shown_and_told_to_those_who_listen(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"), empty_bay("2"))
    async with shown(browser, desk, tmp_path) as (page, _):
        await expect(page.locator("#spoken")).to_have_text("")
        desk.bay_views = [bay_view("1", "take"), empty_bay("2")]
        desk.ring()
        await expect(page.locator(".advice").first).to_have_text("take")
        await expect(page.locator("#spoken")).to_have_text("Bay 1: take.")
        assert await page.locator("#spoken").get_attribute("aria-live") == "polite"


async def test_a_station_without_bays_says_how_to_set_them_up(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk()
    async with shown(browser, desk, tmp_path) as (page, _):
        await expect(page.locator("#none")).to_contain_text("No bay is set up yet.")
        desk.bay_views = [empty_bay("1")]
        desk.ring()
        await expect(page.locator(".tile")).to_have_count(1)
        await expect(page.locator("#none")).to_be_hidden()
        desk.bay_views = []
        desk.ring()
        await expect(page.locator("#none")).to_be_visible()


async def test_a_large_tile_says_why_a_camera_was_not_cleared_to_the_end(browser: Browser, tmp_path: Path) -> None:
    why = (
        "all footage that its profile names is in the evidence store; the camera was not cleared: nobody has claimed it"
    )
    done = bay_view("1", "take, footage still aboard", reason=why, total_bytes=0, done_bytes=0, rate_bytes_s=0)
    async with shown(browser, FakeDesk(done, empty_bay("2")), tmp_path) as (page, _):
        reason = page.locator(".tile .reason").first
        await expect(reason).to_have_text(why)
        assert await reason.evaluate("text => text.scrollHeight <= text.clientHeight + 1")
        camera = page.locator(".tile .camera").first
        assert await camera.evaluate(
            "text => text.getBoundingClientRect().bottom < text.closest('.tile').getBoundingClientRect().bottom"
        )


async def test_bays_that_come_and_go_keep_their_order(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"), bay_view("2"), bay_view("3"))
    async with shown(browser, desk, tmp_path) as (page, _):
        desk.bay_views = [bay_view("3"), bay_view("0"), bay_view("1")]
        desk.ring()
        await expect(page.locator(".name bdi")).to_have_text(["3", "0", "1"])


async def test_states_differ_in_words_and_shape_and_not_only_in_colour(browser: Browser, tmp_path: Path) -> None:
    async with shown(browser, FakeDesk(*bays(6)), tmp_path) as (page, _):
        looks = await page.locator(".tile").evaluate_all(
            "tiles => tiles.map(t => [t.dataset.kind, t.querySelector('.advice').textContent,"
            " t.querySelector('.band use').getAttribute('href'),"
            " getComputedStyle(t.querySelector('.band')).backgroundColor])"
        )
    by_kind = {look[0]: tuple(look[1:]) for look in looks}
    assert set(by_kind) == {"take", "wait", "aboard", "stop", "empty"}
    for feature in range(3):
        assert len({look[feature] for look in by_kind.values()}) == 5


async def test_a_seized_camera_has_a_band_that_says_so(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1", seized="Case 9"), bay_view("2"))
    async with shown(browser, desk, tmp_path) as (page, _):
        bands = page.locator(".seized")
        await expect(bands.first).to_have_text("Seized: Case 9")
        await expect(bands.nth(1)).to_be_hidden()


async def test_limits_of_bandwidth_are_said_until_they_end(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with shown(browser, desk, tmp_path) as (page, _):
        await expect(page.locator("#bandwidth")).to_be_hidden()
        pause = {"limit_bits_s": 0, "until": None, "shown": "paused"}
        desk.station_view = station_view(
            bandwidth={
                "limit_bits_s": 5_000_000,
                "until": "2026-11-27T18:00:00+00:00",
                "shown": "5 Mbit/s until 18:00",
            },
            stores=[{"name": "central", "ok": True, "counts": True, "bandwidth": pause}],
        )
        desk.ring()
        await expect(page.locator("#bandwidth")).to_have_text("uploads: 5 Mbit/s until 18:00")
        await expect(page.locator("#stores")).to_have_text("store central: ok, paused")
        slowed = {"limit_bits_s": 2_400_000, "delay_ms": 70, "shown": "slowed to 2.4 Mbit/s"}
        desk.station_view = station_view(
            stores=[{"name": "central", "ok": True, "counts": True, "bandwidth": None, "yielding": slowed}]
        )
        desk.ring()
        await expect(page.locator("#stores")).to_have_text("store central: ok, slowed to 2.4 Mbit/s")
        desk.station_view = station_view()
        desk.ring()
        await expect(page.locator("#bandwidth")).to_be_hidden()


async def test_trial_wiping_and_a_store_in_trouble_are_said_in_words(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with shown(browser, desk, tmp_path) as (page, _):
        await expect(page.locator("#trial")).to_be_hidden()
        await expect(page.locator("#wiping")).to_have_text("wiping is on")
        await expect(page.locator("#stores")).to_contain_text("store central: ok")
        trouble = {"name": "central", "ok": False, "counts": True, "problem": "No connection.", "failures": 3}
        desk.station_view = station_view(
            trial=True, wiping=False, stores=[trouble], spool={"free_bytes": 1, "reserve_bytes": 2}, notices=["Look."]
        )
        desk.ring()
        await expect(page.locator("#trial")).to_be_visible()
        await expect(page.locator("#wiping")).to_have_text("wiping is off")
        await expect(page.locator("#stores")).to_contain_text("store central: trouble")
        notices: list[str | re.Pattern[str]] = [re.compile("No connection"), re.compile("spool is full"), "Look."]
        await expect(page.locator("#notices li")).to_have_text(notices)


@pytest.mark.parametrize("script", [True, False])
async def test_a_hostile_serial_stays_text(browser: Browser, tmp_path: Path, script: bool) -> None:
    bay = bay_view(
        "1", "wait", camera=HOSTILE, reason=HOSTILE, problem=HOSTILE + "!", seized=HOSTILE, claimed_by=HOSTILE
    )
    desk = FakeDesk({**bay, "bay": HOSTILE})
    store = {"name": HOSTILE, "ok": False, "problem": HOSTILE}
    desk.station_view = station_view(station=HOSTILE, version=HOSTILE, stores=[store], notices=[HOSTILE])
    async with shown(browser, desk, tmp_path, script=script) as (page, _):
        assert await page.locator("img").count() == 0
        assert await page.locator("script").count() == 1
        assert "{{7*7}}" in await page.locator("h1").inner_text()
        if script:
            camera = await page.locator(".camera").inner_text()
            assert "<img src=x onerror=alert(1)>" in camera
            assert "\u202e" not in camera


async def test_a_lost_connection_is_said_plainly_and_mends_itself(browser: Browser, tmp_path: Path) -> None:
    complaints: list[str] = []
    desk = FakeDesk(bay_view("1"))
    async with shown(browser, desk, tmp_path, complaints=complaints) as (page, api):
        line = page.locator("#connection")
        await expect(line).to_be_hidden()
        port = api.port
        api.stop.set()
        words = re.compile(r"^Connection lost, showing the state of \d\d:\d\d:\d\d$")
        await expect(line).to_have_text(words)
        await expect(line).to_be_visible()
        await expect(page.locator(".advice")).to_have_text("wait")
        await until(lambda: not api.socket.exists())
        desk.bay_views = [bay_view("1", "take")]
        async with serving(desk, tmp_path, f"127.0.0.1:{port}"):
            await expect(page.locator(".advice")).to_have_text("take", timeout=20_000)
            await expect(line).to_be_hidden()
    assert [text for text in complaints if "net::ERR_" not in text] == []


async def test_a_station_that_falls_silent_counts_as_lost(browser: Browser, tmp_path: Path) -> None:
    async with shown(browser, FakeDesk(bay_view("1")), tmp_path, complaints=[]) as (page, _):
        await page.clock.install()
        await page.reload()
        await page.locator(".tile").wait_for()
        await expect(page.locator("#connection")).to_be_hidden()
        await page.clock.fast_forward(41_000)
        await expect(page.locator("#connection")).to_contain_text("Connection lost, showing the state of")


async def test_a_new_version_of_the_agent_brings_its_new_page(browser: Browser, tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with shown(browser, desk, tmp_path) as (page, _):
        desk.station_view = station_view(version="0.2.0")
        desk.ring()
        await expect(page.locator("body")).to_have_attribute("data-version", "0.2.0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("count", "size"), [(8, (1280, 800)), (64, (1280, 800)), (8, (390, 844))])
async def test_every_text_has_the_contrast_of_wcag_aa(
    browser: Browser, tmp_path: Path, scheme: Literal["dark", "light"], count: int, size: tuple[int, int]
) -> None:
    desk = FakeDesk(*bays(count))
    desk.bay_views[1] = bay_view("2", problem="The store is away.")
    desk.station_view = station_view(trial=True, notices=["Look."], stores=[{"name": "a", "ok": True}, {"name": "b"}])
    async with shown(browser, desk, tmp_path, scheme=scheme, size=size, complaints=[]) as (page, api):
        texts = await page.evaluate(COLOURS)
        api.stop.set()
        await expect(page.locator("#connection")).to_be_visible()
        texts += await page.evaluate(COLOURS)
    assert len(texts) > 2 * count
    assert [text for text in texts if text["ratio"] < text["needed"]] == []


@pytest.mark.parametrize(
    ("count", "size"), [(1, (1280, 800)), (4, (1280, 800)), (16, (1280, 800)), (64, (1280, 800)), (8, (1920, 1080))]
)
async def test_a_kiosk_shows_all_bays_whole_and_without_scrolling(
    browser: Browser, tmp_path: Path, count: int, size: tuple[int, int]
) -> None:
    async with shown(browser, FakeDesk(*bays(count)), tmp_path, size=size) as (page, _):
        overflow = await page.evaluate(
            "[document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth]"
        )
        assert overflow == [0, 0]
        cut = await page.locator(".tile").evaluate_all(
            "tiles => tiles.flatMap(t => { const tile = t.getBoundingClientRect(); return [...t.querySelectorAll("
            "'.name, .advice, .band .icon, .seized, .facts p')].filter(e => e.checkVisibility() && e.textContent"
            ").filter(e => { const r = e.getBoundingClientRect(); return r.bottom > tile.bottom + 1 ||"
            " r.right > tile.right + 1 || r.top < tile.top || e.matches('.advice') && e.scrollWidth > e.clientWidth"
            " + 1 }).map(e => t.querySelector('.name').textContent + ': ' + e.textContent) })"
        )
        assert cut == []


async def test_a_phone_shows_one_column_and_scrolls_only_down(browser: Browser, tmp_path: Path) -> None:
    async with shown(browser, FakeDesk(*bays(8)), tmp_path, size=(390, 844)) as (page, _):
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert await page.evaluate("document.documentElement.scrollHeight > 1500")
        lefts = await page.locator(".tile").evaluate_all("tiles => tiles.map(t => t.getBoundingClientRect().left)")
        assert len(set(lefts)) == 1


async def test_without_script_the_bays_are_a_list(browser: Browser, tmp_path: Path) -> None:
    async with shown(browser, FakeDesk(*bays(6)), tmp_path, script=False) as (page, _):
        rows = page.locator("noscript li")
        await expect(rows.nth(3)).to_have_text("Bay 4: do not remove, the camera is being cleared")
        await expect(rows.nth(5)).to_have_text("Bay 6: empty")


async def test_the_page_asks_nobody_but_its_station(browser: Browser, tmp_path: Path) -> None:
    async with shown(browser, FakeDesk(bay_view("1")), tmp_path) as (page, api):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.reload()
        await page.locator(".tile").wait_for()
    assert asked
    assert all(url.startswith(api.url) for url in asked)


async def test_markup_that_got_in_would_still_not_run(browser: Browser, tmp_path: Path) -> None:
    complaints: list[str] = []
    async with shown(browser, FakeDesk(bay_view("1")), tmp_path, complaints=complaints) as (page, _):
        markup = '<img src="x:" onerror="document.title=1"><p style="color:red">'
        await page.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", markup)
        await expect(page.locator("body > p").last).to_have_css("color", "rgb(20, 32, 46)")
        await expect(page).to_have_title("Station hub7")
    assert any("Content Security Policy" in text for text in complaints)
