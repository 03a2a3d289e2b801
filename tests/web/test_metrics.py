"""Metrics that Prometheus can read and that name nobody."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.desk import FakeDesk, bay_view, empty_bay, station_view
from tests.web.serving import serving


async def scraped(desk: FakeDesk, directory: Path) -> tuple[str, dict[tuple[str, str], float]]:
    """The text, and its values by name and first label value."""
    async with serving(desk, directory) as api:
        answer = await api.page.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return answer.text, {(s.name, next(iter(s.labels.values()), "")): s.value for s in samples}


async def test_bays_clips_spool_and_stores_are_counted(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"), bay_view("2", "take"), bay_view("3", seized="court order 7"), empty_bay("4"))
    _, values = await scraped(desk, tmp_path)
    assert values["dock_bays", "wait"] == 2
    assert values["dock_bays", "take"] == 1
    assert values["dock_bays", "take, footage still aboard"] == 0
    assert values["dock_bays", "do not remove"] == 0
    assert values["dock_bays", "empty"] == 1
    assert values["dock_bays_seized", ""] == 1
    assert values["dock_clips", "confirmed"] == 5
    assert values["dock_clips", "lost"] == 0
    assert values["dock_clip_bytes", "spooled"] == 3_000
    assert values["dock_spool_bytes", ""] == 53_000
    assert values["dock_spool_free_bytes", ""] == 812e9
    assert values["dock_store_up", "central"] == 1
    assert values["dock_info", "0.1.0"] == 1
    assert (values["dock_trial", ""], values["dock_wiping_enabled", ""], values["dock_healthy", ""]) == (0, 1, 1)


async def test_a_store_that_is_away_shows_as_down(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.station_view = station_view(stores=[{"name": "central", "ok": False, "failures": 4, "problem": "no route"}])
    desk.health_view = {"ok": False, "problems": ["store central: no route"]}
    _, values = await scraped(desk, tmp_path)
    assert (values["dock_store_up", "central"], values["dock_store_failures", "central"]) == (0, 4)
    assert (values["dock_healthy", ""], values["dock_problems", ""]) == (0, 1)


async def test_limits_of_bandwidth_are_told_in_bytes_and_left_out_where_there_are_none(tmp_path: Path) -> None:
    desk = FakeDesk()
    _, values = await scraped(desk, tmp_path)
    assert not [name for name, _ in values if "limit" in name]
    pause = {"limit_bits_s": 0, "until": None, "shown": "paused"}
    desk.station_view = station_view(
        bandwidth={"limit_bits_s": 5_000_000, "until": None, "shown": "5 Mbit/s"},
        stores=[{"name": "central", "ok": True, "bandwidth": pause}, {"name": "second", "ok": True, "bandwidth": None}],
    )
    _, values = await scraped(desk, tmp_path)
    found = {key: value for key, value in values.items() if "limit" in key[0]}
    assert found == {
        ("dock_upload_limit_bytes_per_second", ""): 625_000,
        ("dock_store_upload_limit_bytes_per_second", "central"): 0,
    }


async def test_what_is_left_to_others_is_told_in_bytes(tmp_path: Path) -> None:
    desk = FakeDesk()
    slowed = {"limit_bits_s": 2_400_000, "delay_ms": 70, "shown": "slowed"}
    desk.station_view = station_view(stores=[{"name": "central", "ok": True, "yielding": slowed}])
    _, values = await scraped(desk, tmp_path)
    assert values["dock_store_upload_yield_bytes_per_second", "central"] == 300_000


async def test_no_metric_names_a_camera_an_officer_or_a_problem(tmp_path: Path) -> None:
    desk = FakeDesk(
        bay_view("Secret bay", camera="SERIAL77", claimed_by="PC Smith", seized="case 9", problem="SERIAL77 is torn")
    )
    text, _ = await scraped(desk, tmp_path)
    for word in ("SERIAL77", "Smith", "case 9", "Secret", "torn", "hub7"):
        assert word not in text


async def test_what_a_view_does_not_say_is_left_out(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.station_view = {"station": "hub7"}
    _, values = await scraped(desk, tmp_path)
    assert ("dock_spool_bytes", "") not in values
    assert values["dock_info", "unknown"] == 1
