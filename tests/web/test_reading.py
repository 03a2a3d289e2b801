"""What can be read, and how questions that make no sense are answered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.custody import verify_chain
from tests.fakes.desk import FakeDesk, Unanswering, bay_view, empty_bay
from tests.web.serving import serving

CLIPS: list[dict[str, Any]] = [
    {"id": "c2", "camera": "X2", "name": {"hex": "ff"}, "shown": "\\xff", "size": 7, "state": "confirmed"},
    {"id": "c1", "camera": "X1", "name": "DCIM/1.MP4", "shown": "DCIM/1.MP4", "size": 5, "state": "listed"},
]


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ("station", lambda desk: desk.station_view),
        ("bays", lambda desk: desk.bay_views),
        ("clips", lambda desk: desk.clip_views),
        ("queue", lambda desk: desk.queue_views),
        ("health", lambda desk: desk.health_view),
    ],
)
async def test_each_view_is_answered_as_the_desk_gives_it(
    tmp_path: Path, route: str, shown: Callable[[FakeDesk], object]
) -> None:
    desk = FakeDesk(bay_view("1"), empty_bay("2"))
    desk.clip_views, desk.queue_views = list(CLIPS), [{"sha256": "ab", "state": "waiting"}]
    async with serving(desk, tmp_path) as api:
        for client in (api.page, api.orders):
            answer = await client.get(f"/api/v1/{route}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == shown(desk)


async def test_clips_can_be_narrowed_down(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.clip_views = list(CLIPS)
    async with serving(desk, tmp_path) as api:
        by_camera = await api.page.get("/api/v1/clips", params={"camera": "X1"})
        by_state = await api.page.get("/api/v1/clips", params={"custody": "confirmed"})
        first = await api.page.get("/api/v1/clips", params={"limit": 1})
    assert [row["id"] for row in by_camera.json()] == ["c1"]
    assert [row["id"] for row in by_state.json()] == ["c2"]
    assert [row["id"] for row in first.json()] == ["c2"]


async def test_the_custody_log_comes_as_lines_that_verify(tmp_path: Path) -> None:
    desk = FakeDesk()
    for word in ("clip.listed", "clip.spooled", "clip.confirmed"):
        desk.record(word, camera="Käfer 1")
    async with serving(desk, tmp_path) as api:
        whole = await api.page.get("/api/v1/custody")
        rest = await api.page.get("/api/v1/custody", params={"after": 2, "limit": 5})
        events = await api.page.get("/api/v1/events", params={"after": 1, "limit": 1})
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.text.endswith("\n")
    report = verify_chain(whole.text.splitlines())
    assert (report.events, report.fault) == (3, None)
    assert rest.text == desk.lines[2] + "\n"
    assert [event["event"] for event in events.json()] == ["clip.spooled"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("clips?limit=0", "from 1 to 10000"),
        ("clips?limit=10001", "from 1 to 10000"),
        ("clips?limit=-1", "from 1 to 10000"),
        ("clips?limit=1e3", "from 1 to 10000"),
        ("clips?limit=%D9%A1", "from 1 to 10000"),  # an Arabic digit
        ("clips?limit=", "from 1 to 10000"),
        ("clips?custody=stolen", "listed, spooled, confirmed, quarantined, lost"),
        ("clips?camera=", "printable"),
        ("clips?camera=%00", "printable"),
        ("clips?camera=" + "x" * 256, "1 to 255"),
        ("clips?camera=1&camera=2", "once"),
        ("clips?kamera=1", "camera, custody, limit"),
        ("events?after=-1", "from 0 to"),
        ("events?after=9223372036854775808", "from 0 to"),
        ("custody?after=x", "from 0 to"),
        ("bays?verbose=1", "none"),
    ],
)
async def test_a_wrong_parameter_is_refused_with_what_was_expected(tmp_path: Path, query: str, expected: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        answer = await api.page.get(f"/api/v1/{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "hint"}
    assert expected in answer.json()["hint"]


async def test_text_that_is_no_proper_unicode_is_still_answered(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1", reason="broken \ud800 text"))
    async with serving(desk, tmp_path) as api:
        answer = await api.page.get("/api/v1/bays")
    assert answer.status_code == 200
    assert "\\ud800" in answer.text


@pytest.mark.parametrize("route", ["/", "/metrics", "/api/v1/bays", "/api/v1/station"])
async def test_a_failing_desk_is_said_in_its_hint_without_its_message(tmp_path: Path, route: str) -> None:
    desk = FakeDesk()
    desk.failure = Unanswering("disk image is malformed at /secret/place")
    async with serving(desk, tmp_path) as api:
        answer = await api.page.get(route)
    assert answer.status_code == 503
    assert answer.json() == {
        "error": "the agent could not answer (ledger.refused)",
        "hint": "Keep the state directory as it is.",
    }


async def test_a_crash_says_nothing_of_itself_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = FakeDesk()
    desk.failure = KeyError("secret")
    async with serving(desk, tmp_path) as api:
        answer = await api.page.get("/api/v1/bays")
        desk.failure = None
        healed = await api.page.get("/api/v1/bays")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal error")
    assert "secret" not in answer.text
    assert "KeyError: 'secret'" in caplog.text
    assert healed.status_code == 200


@pytest.mark.parametrize(
    "route", ["/api/v1/clips/c1", "/api/v1/objects/ab", "/clips/c1/bytes", "/spool/ab", "/nowhere"]
)
async def test_no_route_leads_to_the_bytes_of_a_clip(tmp_path: Path, route: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        for client in (api.page, api.orders):
            assert (await client.get(route)).status_code == 404
